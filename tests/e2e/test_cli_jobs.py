"""`kalpi jobs` as it is typed, against a running stack."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from sqlalchemy import create_engine, text

from cli.backends import sqlalchemy_url
from tests.integration.far_end import Asked, Reply, far_end, in_json
from tests.stack import KALPI, PASSWORD, ROOT, Account, Stack, run_kalpi
from tests.wire import Loss, wire_to

BODY: dict[str, Any] = {
    "symbols": "*",
    "indicators": [{"name": "sma", "params": {"period": [10, 20]}}],
    "format": "csv",
}
COST = 40
UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"

Jobs = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def ada(stack: Stack) -> Account:
    return stack.create_user("premium")


@pytest.fixture(scope="module")
def client(stack: Stack, ada: Account) -> Iterator[httpx.Client]:
    """To look from outside at what the command has done."""
    with stack.client(ada) as client:
        yield client


@pytest.fixture(scope="module")
def environment(stack: Stack, ada: Account) -> dict[str, str]:
    return {"KALPI_STATE_DIR": str(stack.state_dir), "KALPI_USER": ada.username, "KALPI_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def jobs(environment: dict[str, str]) -> Jobs:
    """`jobs("list", …)`: what `kalpi jobs list …` does for ada."""

    def run(*words: str | Path, body: object = None, **env: str) -> subprocess.CompletedProcess[str]:
        done = run_kalpi("jobs", *words, stdin=json.dumps(body), env=environment | env)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture(scope="module")
def submitted(jobs: Jobs, tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], Path]:
    """What the command says that takes a job from its file to its table, and the table."""
    folder = tmp_path_factory.mktemp("job")
    (folder / "job.json").write_text(json.dumps(BODY))
    return jobs("submit", folder / "job.json", "--out", folder / "table.csv"), folder / "table.csv"


@pytest.fixture(scope="module")
def completed(submitted: tuple[subprocess.CompletedProcess[str], Path]) -> str:
    """Id of a completed job of ada's."""
    return submitted[0].stdout.strip()


def change(stack: Stack, statement: str, **values: object) -> int:
    engine = create_engine(sqlalchemy_url(stack.up["database_url"]))
    try:
        with engine.begin() as connection:
            return connection.execute(text(statement), values).rowcount
    finally:
        engine.dispose()


def test_a_job_from_a_file_to_its_table(
    submitted: tuple[subprocess.CompletedProcess[str], Path], client: httpx.Client, completed: str
) -> None:
    done, table = submitted
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(UUID, completed)
    assert table.read_bytes() == client.get(f"/v1/jobs/{completed}/result").content
    assert {file.name for file in table.parent.iterdir()} == {"job.json", "table.csv"}
    said = done.stderr.splitlines()
    assert said[0] == f"Job {completed} was accepted: {COST} series, csv."
    assert re.fullmatch(rf"Job {completed} completed after .+ s, [\d,]+ series/s: {COST} of {COST} series", said[-2])
    assert said[-1] == f"{table}: {table.stat().st_size:,} bytes"


def test_a_file_that_is_there_is_noticed_before_anything_is_submitted(
    jobs: Jobs, client: httpx.Client, submitted: tuple[subprocess.CompletedProcess[str], Path]
) -> None:
    before, table = client.get("/v1/jobs").json(), submitted[1]
    done = jobs("submit", "-", "--out", table, body=BODY)
    assert (done.returncode, done.stderr) == (2, f"kalpi: --out: {table} is there already; --force overwrites it\n")
    assert client.get("/v1/jobs").json() == before


def test_standard_output_is_the_id_alone_or_the_table_alone(jobs: Jobs, client: httpx.Client) -> None:
    once = ("submit", "-", "--format", "json", "--idempotency-key", "mine")
    first, second = jobs(*once, body=BODY), jobs(*once, "--out", "-", body=BODY)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert re.fullmatch(rf"{UUID}\n", first.stdout)
    assert second.stderr.startswith(f"Job {first.stdout.strip()} was accepted before: {COST} series, json.")
    result = client.get(f"/v1/jobs/{first.stdout.strip()}/result")
    assert second.stdout.encode() == result.content
    assert result.headers["Content-Type"] == "application/json"


def test_what_it_would_cost_is_said_and_nothing_begun(jobs: Jobs, client: httpx.Client) -> None:
    before = client.get("/v1/jobs").json()
    done = jobs("submit", "-", "--validate-only", body=BODY)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [
        ["cost", str(COST)],
        ["columns", "2"],
        ["rows", "15,660"],
        ["remaining", "unlimited"],
    ]
    assert client.get("/v1/jobs").json() == before


def test_jobs_are_listed_and_shown_to_people_and_to_programs(jobs: Jobs, client: httpx.Client, completed: str) -> None:
    known = client.get("/v1/jobs", params={"status": "completed", "page_size": 100}).json()["jobs"]
    as_json = jobs("list", "--status", "completed", "--json", "--limit", "1000")
    assert [json.loads(line) for line in as_json.stdout.splitlines()] == known
    header, newest = jobs("list", "--limit", "1").stdout.splitlines()
    assert header.split() == ["id", "status", "done", "series", "failed", "format", "created", "age"]
    assert newest.split()[0] == client.get("/v1/jobs").json()["jobs"][0]["id"]

    assert json.loads(jobs("show", completed, "--json").stdout) == client.get(f"/v1/jobs/{completed}").json()
    shown = dict(line.split(maxsplit=1) for line in jobs("show", completed).stdout.splitlines())
    assert (shown["job"].strip(), shown["status"].strip()) == (completed, "completed")


def test_stopped_jobs_give_back_what_was_not_done(
    jobs: Jobs, stack: Stack, client: httpx.Client, completed: str
) -> None:
    stopped = client.post("/v1/jobs", json=BODY, headers={"Prefer": "wait=30"}).json()["id"]
    change(
        stack,
        """UPDATE jobs SET status = 'queued', series_completed = 0, parts_ended = 0, completed_at = NULL,
                  expires_at = NULL WHERE id = :id""",
        id=stopped,
    )
    done = jobs("cancel", "no-job", completed, stopped)
    assert done.returncode == 2
    assert done.stdout == f"Cancelled {stopped}: {COST} of {COST} series given back.\n"
    assert done.stderr.splitlines() == [
        "kalpi: Job 'no-job' not found",
        f"kalpi: Job {completed} is completed and cannot be cancelled",
    ]
    watched = jobs("fetch", stopped, "--watch")
    assert (watched.returncode, watched.stdout) == (1, "")
    assert watched.stderr.startswith(f"Job {stopped} was cancelled")


def test_a_fetch_goes_on_where_an_earlier_one_broke_off(
    jobs: Jobs, client: httpx.Client, completed: str, tmp_path: Path
) -> None:
    answer = client.get(f"/v1/jobs/{completed}/result")
    table = tmp_path / f"kalpi-{completed}.csv"
    tag = re.sub(r"\W", "", answer.headers["ETag"])[:16]
    head = b"#" + answer.content[1:1000]  # marked, so that it shows which bytes were there before
    table.with_name(f"{table.name}.{tag}.part").write_bytes(head)
    table.with_name(f"{table.name}.of-another.part").write_bytes(b"?")
    done = jobs("fetch", completed, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert table.read_bytes() == head + answer.content[1000:]
    assert jobs("fetch", completed, "--out", table, "--force").returncode == 0
    assert table.read_bytes() == answer.content
    assert {file.name for file in tmp_path.iterdir()} == {table.name, f"{table.name}.of-another.part"}


def test_a_submission_whose_answer_is_lost_is_one_job(jobs: Jobs, stack: Stack, client: httpx.Client) -> None:
    before = client.get("/v1/jobs", params={"page_size": 100}).json()["jobs"]

    async def scenario() -> subprocess.CompletedProcess[str]:
        async with wire_to(stack.url) as wire:
            lost = wire.lose(Loss(b"Idempotency-Key"))
            done = await asyncio.to_thread(jobs, "submit", "-", "--watch", "--url", wire.url(stack.url), body=BODY)
            assert lost.is_set()
            return done

    done = asyncio.run(scenario())
    assert done.returncode == 0, done.stderr
    told, accepted, *_ = done.stderr.splitlines()
    assert re.fullmatch(r"kalpi: no answer from http://127\.0\.0\.1:\d+ \(.+\); trying again for 60 s", told)
    assert accepted == f"Job {done.stdout.strip()} was accepted before: {COST} series, csv."
    newest, *others = client.get("/v1/jobs", params={"page_size": 100}).json()["jobs"]
    assert newest["id"] == done.stdout.strip()
    assert [job["id"] for job in others] == [job["id"] for job in before]


def test_what_is_refused_says_why_line_by_line(jobs: Jobs) -> None:
    bad = jobs("submit", "-", body={"symbols": [], "indicators": [{"name": "sma", "params": {"period": -1}}]})
    assert (bad.returncode, bad.stdout) == (2, "")
    assert re.fullmatch(
        r"kalpi: Invalid parameters\n  body\.symbols: .+\n  body\.indicators\.0\.params\.period: .+\n", bad.stderr
    )
    near = jobs("submit", "-", body={"symbols": ["SYN01"], "indicators": [{"name": "sma"}]})
    assert near.returncode == 2
    assert re.fullmatch(r"kalpi: Symbol 'SYN01' not found; did you mean SYN\d+( or SYN\d+)*\?\n", near.stderr)


def test_who_asks_is_found_in_the_environment_or_named(
    jobs: Jobs, stack: Stack, ada: Account, environment: dict[str, str]
) -> None:
    token = jobs("show", "no-job", KALPI_TOKEN=ada.token, KALPI_USER="", KALPI_PASSWORD="")
    assert (token.returncode, token.stderr) == (2, "kalpi: Job 'no-job' not found\n")
    named = ("show", "no-job", "--user", ada.username, "--state-dir", stack.state_dir)
    piped = run_kalpi("jobs", *named, "--password-stdin", stdin=f"{PASSWORD}\n")
    assert (piped.returncode, piped.stderr) == (2, "kalpi: Job 'no-job' not found\n")
    # Without a terminal there is nobody to ask.
    alone = subprocess.run(
        [*KALPI, "jobs", "list"],
        cwd=ROOT,
        env=os.environ | environment | {"KALPI_PASSWORD": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    assert (alone.returncode, alone.stderr.partition(",")[0]) == (2, "kalpi: KALPI_PASSWORD: is not set")


def test_an_api_that_is_away_has_an_exit_code_of_its_own(jobs: Jobs) -> None:
    done = jobs("submit", "-", "--url", "http://127.0.0.1:1", "--patience", "0.2", body=BODY)
    assert (done.returncode, done.stdout) == (3, "")
    assert "no answer from http://127.0.0.1:1 (Connection refused); trying again for 0.2 s" in done.stderr
    assert re.search(rf"--idempotency-key {UUID} finds it", done.stderr)


def test_ctrl_c_leaves_the_job_and_says_how_to_go_on() -> None:
    """A job that never ends: its events are a stream in which nothing more comes."""
    watched, over = Event(), Event()
    job = {"id": "one", "status": "running", "series": {"total": 9, "completed": 1, "failed": 0}, "format": "csv"}

    def answer(asked: Asked) -> Reply:
        if not asked.path.endswith("/events"):
            return in_json(job, 202)
        watched.set()
        return Reply(body=b": so far\n", headers={"Content-Type": "text/event-stream"}, length=99, until=over)

    with far_end(answer) as there:
        process = subprocess.Popen(
            [*KALPI, "jobs", "submit", "-", "--watch", "--url", there.url],
            cwd=ROOT,
            env=os.environ | {"KALPI_TOKEN": "x"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(BODY))
        process.stdin.close()
        process.stdin = None
        assert watched.wait(30)
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
        over.set()
    assert (process.returncode, out) == (130, "one\n")
    assert said.splitlines()[1:] == [
        "kalpi: the job goes on without being watched",
        "  kalpi jobs fetch --watch one   waits for its result",
        "  kalpi jobs cancel one          stops it",
    ]


def test_a_terminal_shows_a_bar_and_takes_it_away_again(environment: dict[str, str], tmp_path: Path) -> None:
    """And the id is not on a line of its own, since nobody reads it from there."""
    file = tmp_path / "job.json"
    file.write_text(json.dumps(BODY))
    keyboard, terminal = pty.openpty()
    with os.fdopen(keyboard, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [*KALPI, "jobs", "submit", str(file), "--out", str(tmp_path / "out.csv")],
            cwd=ROOT,
            env=os.environ | environment | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "30"},
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        os.close(terminal)
        seen = b""
        try:
            while data := screen.read(65536):
                seen += data
        except OSError:  # nobody is at the other end any more
            pass
    assert process.wait(30) == 0
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())
    assert re.search(rf"queued +━+ +0 % +0/{COST} series", shown)
    assert re.search(r"downloading +━+ +", shown)
    assert "\x1b[2K" in seen.decode()
    assert not re.search(rf"^{UUID}\r?$", shown, re.MULTILINE)


def test_every_sign_in_has_been_signed_out(stack: Stack, ada: Account, completed: str) -> None:
    """The last of this module: of all commands above none has left one."""
    assert completed
    live = """UPDATE sessions SET revoked_at = now() FROM users u
              WHERE u.id = user_id AND u.username = :name AND revoked_at IS NULL"""
    assert change(stack, live, name=ada.username) == 1  # the one that `create_user` has made
