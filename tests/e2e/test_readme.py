"""The README's commands, run as they stand there against a running stack."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.stack import ROOT, Stack

README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
JSON_OUTPUTS = re.findall(r"^```json\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def _members(text: str) -> list[str]:
    """The keys of a JSON text, shortened ones included, in their order."""
    return re.findall(r'"([a-z_]+)":', text)


def test_the_commands_work_one_after_the_other_and_print_what_is_shown(stack: Stack, tmp_path: Path) -> None:
    assert len(COMMANDS) == 9
    separator = "=" * 40
    script = f"\necho; echo {separator}\n".join(COMMANDS)
    # Where the stack of this test differs from that of `make run`: its address, its folder, its interpreter.
    script = script.replace("http://127.0.0.1:8000", stack.url)
    script = script.replace(".venv/bin/kalpi", f"env KALPI_STATE_DIR={stack.state_dir} {sys.executable} -m cli")
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    registered, values, tier, chained, job, table, events, submitted, fetched = (
        part.strip() for part in done.stdout.split(separator)
    )
    assert tier == "ada is premium now."
    for printed, shown in zip((registered, values, job), JSON_OUTPUTS, strict=True):
        json.loads(printed)
        assert _members(printed) == _members(shown)
    for line in chained.splitlines():
        assert re.fullmatch(r"\d{4}-\d\d-\d\d(,-?\d+\.\d+){3}", line)
    assert json.loads(job)["status"] == "completed"
    assert json.loads(job)["series"]["failed"] == 0
    for line in table.splitlines():
        assert re.fullmatch(r"SYN\d+,\d{4}-\d\d-\d\d(,-?\d+\.\d+){7}", line)
    assert events.startswith("retry: 2000\n\nevent: completed\n")
    assert f'data: {{"id":"{json.loads(job)["id"]}","status":"completed",' in events
    size = (tmp_path / "universe.parquet").stat().st_size
    assert re.search(
        rf"^Job {submitted} was accepted: 40 series, parquet\.\n"
        rf"Job {submitted} completed after .+, [\d,]+ series/s: 40 of 40 series\n"
        rf"universe\.parquet: {size:,} bytes$",
        done.stderr,
        re.MULTILINE,
    )
    last, header, *listed = fetched.splitlines()
    assert re.fullmatch(r"SYN\d+,\d{4}-\d\d-\d\d(,-?\d+\.\d+){4}", last)
    assert header.split() == ["id", "status", "done", "series", "failed", "format", "created", "age"]
    assert submitted in {line.split()[0] for line in listed}


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
