"""Jobs whose results lie on a disk that is full, and in an object store."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Engine

from common.jobs import TableFormat
from common.settings import Settings
from tests.integration.job_kit import Desk, make_resources
from tests.object_store import LOGIN, ObjectStore, serving
from tests.stack import ROOT
from worker.expiry import Expiry
from worker.resources import Resources

MB = 2**20
FULL = "the result store is full"


@pytest.fixture
def resources_with(settings: Settings) -> Iterator[Callable[[str], Resources]]:
    """`resources_with(uri)`: as `resources`, with results there."""
    made: list[Resources] = []

    def make(uri: str) -> Resources:
        made.append(make_resources(settings.model_copy(update={"results_uri": uri})))
        return made[-1]

    yield make
    for one in made:
        one.engine.dispose()
        one.cache.close()
        one.celery.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 1 MB, which only a namespace of its own sees; it is reached through a process in there."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = 'mount -t tmpfs -o size=1m,mode=0777 tmpfs "$0" && echo mounted && exec cat'
    process = subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with process:
        assert process.stdout is not None
        if process.stdout.readline() != b"mounted\n":
            pytest.skip("mounting is not permitted here")
        yield Path(f"/proc/{process.pid}/root{folder}")


@pytest.fixture
def objects(monkeypatch: pytest.MonkeyPatch) -> Iterator[ObjectStore]:
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    with serving() as store:
        yield store


def reasons(desk: Desk, job_id: str, number: int) -> set[Any]:
    return {error["detail"] for error in desk.part(job_id, number).errors}


def use_up(disk: Path) -> Path:
    """A file that takes all the room there is."""
    ballast = disk / "ballast"
    room = os.statvfs(disk)
    ballast.write_bytes(bytes(room.f_bavail * room.f_frsize))
    assert os.statvfs(disk).f_bavail == 0
    return ballast


def test_a_part_on_a_full_disk_fails_and_says_so_and_the_others_go_on(
    desk: Desk, resources_with: Callable[[str], Resources], small_disk: Path
) -> None:
    resources = resources_with(f"file://{small_disk}")
    job_id = desk.submit(symbols=2)
    ballast = use_up(small_disk)
    for attempt in (1, 2, 3):
        desk.run(resources, job_id, 0)
        assert desk.part(job_id, 0).attempt == attempt
    assert (desk.part(job_id, 0).state, reasons(desk, job_id, 0)) == ("failed", {FULL})
    assert not [path for path in (small_disk / job_id).rglob("*") if path.is_file()]
    ballast.unlink()
    for number in (1, 2):
        desk.run(resources, job_id, number)
    job = desk.job(job_id)
    assert (job.status, job.series_failed, job.series_completed, job.refunded) == ("completed", 2, 2, 2)
    assert [path.name for path in (small_disk / job_id).rglob("*")] == ["result-1.csv"]
    assert (small_disk / job.result_file).stat().st_size == job.result_bytes


def test_a_result_that_finds_no_room_is_not_there(
    desk: Desk, resources_with: Callable[[str], Resources], small_disk: Path
) -> None:
    resources = resources_with(f"file://{small_disk}")
    job_id = desk.submit(symbols=2)
    for number in (0, 1):
        desk.run(resources, job_id, number)
    use_up(small_disk)
    for _ in range(3):
        desk.run(resources, job_id, 2)
    job = desk.job(job_id)
    assert (job.status, job.result_file, job.refunded) == ("failed", None, job.cost)
    assert reasons(desk, job_id, 2) == {FULL}
    assert {path.parent.name for path in (small_disk / job_id).rglob("*") if path.is_file()} == {"pieces"}


@pytest.mark.parametrize("form", list(TableFormat))
def test_a_result_in_an_object_store_has_the_bytes_it_has_in_a_folder(
    desk: Desk,
    resources: Resources,
    resources_with: Callable[[str], Resources],
    objects: ObjectStore,
    form: TableFormat,
) -> None:
    far = resources_with(objects.uri)
    here, there, one_part = (desk.submit(symbols=3, parts_of=size, form=form) for size in (1, 1, 3))
    desk.run_all(resources, here)
    for number in range(3):
        desk.run(far, there, number)
    assert objects.files() == sorted(f"{there}/pieces/{number}-1-kept.piece" for number in range(3))
    desk.run(far, there, 3)
    job = desk.job(there)
    assert (job.status, objects.files()) == ("completed", [job.result_file])
    assert objects.objects[f"prefix/{job.result_file}"] == desk.result(here)
    assert (job.result_etag, job.result_bytes) == (desk.job(here).result_etag, desk.job(here).result_bytes)
    desk.run_all(far, one_part)
    assert objects.objects[f"prefix/{one_part}/result-1.{form}"]
    assert not objects.uploads


def test_a_piece_that_an_object_store_has_lost_is_made_again(
    desk: Desk, resources: Resources, resources_with: Callable[[str], Resources], objects: ObjectStore
) -> None:
    far = resources_with(objects.uri)
    here, there = desk.submit(symbols=3), desk.submit(symbols=3)
    desk.run_all(resources, here)
    for number in range(3):
        desk.run(far, there, number)
    del objects.objects[f"prefix/{desk.part(there, 0).file}"]
    objects.objects[f"prefix/{desk.part(there, 1).file}"] = b"torn"
    desk.run(far, there, 3)
    assert objects.objects[f"prefix/{desk.job(there).result_file}"] == desk.result(here)


def test_a_part_whose_object_store_is_full_fails_and_says_so(
    desk: Desk, resources_with: Callable[[str], Resources], objects: ObjectStore
) -> None:
    far = resources_with(objects.uri)
    job_id = desk.submit(symbols=2)
    objects.is_full = True
    for _ in range(3):
        desk.run(far, job_id, 0)
    assert (desk.part(job_id, 0).state, reasons(desk, job_id, 0)) == ("failed", {FULL})
    objects.is_full = False
    for number in (1, 2):
        desk.run(far, job_id, number)
    job = desk.job(job_id)
    assert (job.status, job.series_failed, objects.files()) == ("completed", 2, [job.result_file])


@pytest.mark.parametrize("end", ["os.kill(os.getpid(), signal.SIGKILL)", "raise SystemExit"])
def test_nothing_has_the_name_of_what_its_writer_did_not_finish(objects: ObjectStore, end: str) -> None:
    program = f"""
import os, signal, sys
from worker.remote_store import open_remote
with open_remote(sys.argv[1]).writing("a-job/result-1.csv", durable=True) as sink:
    for _ in range(40):
        sink.write(bytes({MB}))
    sink.flush()
    {end}
"""
    subprocess.run([sys.executable, "-c", program, objects.uri], cwd=ROOT, check=False)
    assert objects.files() == []
    assert bool(objects.uploads) == ("SIGKILL" in end)


def test_expiry_clears_an_object_store(
    desk: Desk,
    engine: Engine,
    resources_with: Callable[[str], Resources],
    objects: ObjectStore,
) -> None:
    far = resources_with(objects.uri)
    kept, over = desk.submit(symbols=2), desk.submit(symbols=2)
    for job_id in (kept, over):
        desk.run_all(far, job_id)
    orphan = UUID(int=1)
    objects.objects |= {f"prefix/{orphan}/result-1.csv": b"x", "prefix/readme": b"x", f"other/{orphan}/x": b"x"}
    desk.change("UPDATE jobs SET expires_at = now() - interval '1 second' WHERE id = :id", id=UUID(over))
    expiry = Expiry(far.settings, far.store)
    with engine.connect() as connection:
        expiry.expire(connection)
        assert f"prefix/{over}/result-1.csv" in objects.objects  # for downloads that saw it
        expiry.expire(connection)
        assert f"prefix/{over}/result-1.csv" not in objects.objects
        expiry.tidy(connection)
    assert [key for key in objects.objects if not key.endswith("/")] == [
        f"prefix/{desk.job(kept).result_file}",
        "prefix/readme",
        f"other/{orphan}/x",
    ]
