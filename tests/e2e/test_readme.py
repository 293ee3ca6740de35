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
    assert len(COMMANDS) == 7
    separator = "=" * 40
    script = f"\necho; echo {separator}\n".join(COMMANDS)
    # Where the stack of this test differs from that of `make run`: its address, its folder, its interpreter.
    script = script.replace("http://127.0.0.1:8000", stack.url)
    kalpi = f"{sys.executable} -m cli"
    script = script.replace(".venv/bin/kalpi", f"cd {ROOT}; KALPI_STATE_DIR={stack.state_dir} {kalpi}")
    script = script.replace("set-tier ada premium", f"set-tier ada premium; cd {tmp_path}")
    done = subprocess.run(
        ["bash", "-eu", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    registered, values, tier, chained, job, table, events = (part.strip() for part in done.stdout.split(separator))
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
    assert re.fullmatch(
        r'retry: 2000\n\nevent: completed\nid: completed\.\d+\ndata: \{"id":"[0-9a-f-]{36}","status":"completed",.*',
        events,
    )


def test_the_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
