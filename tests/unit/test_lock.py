"""What `make check` says about the locks."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy to spoil."""
    for folder in ("locks", "scripts"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def check(project: Path) -> str:
    command = [sys.executable, str(project / "scripts" / "check_lock.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (1 if done.stdout else 0), done.stderr
    return done.stdout


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_the_locks_as_they_are(project: Path) -> None:
    assert check(project) == ""


def test_a_dependency_that_is_not_locked(project: Path) -> None:
    replace(
        project / "pyproject.toml", 'dependencies = [\n  "alembic', 'dependencies = [\n  "newcomer>=1",\n  "alembic'
    )
    assert "dev.txt: newcomer is missing" in check(project)


def test_a_bound_that_has_moved(project: Path) -> None:
    replace(project / "pyproject.toml", '"bcrypt>=4.2"', '"bcrypt>=99"')
    assert "api.txt: bcrypt" in check(project)


def test_parts_that_differ(project: Path) -> None:
    version = next(
        line.split("==")[1].split()[0]
        for line in (project / "locks" / "worker.txt").read_text().splitlines()
        if line.startswith("celery==")
    )
    replace(project / "locks" / "worker.txt", f"celery=={version}", "celery==5.7.999")
    assert "worker.txt: celery 5.7.999 is not what dev.txt has" in check(project)


def test_a_pin_without_a_hash(project: Path) -> None:
    with (project / "locks" / "api.txt").open("a") as file:
        file.write("left-pad==1.0\n")
    assert "api.txt: left-pad has no sha256 hash" in check(project)


def test_an_address(project: Path) -> None:
    with (project / "locks" / "api.txt").open("a") as file:
        file.write("--index-url https://packages.example\n")
    said = check(project)
    assert "api.txt: names an address" in said
    assert "not a pin with hashes alone" in said
