"""The pure parts of `kalpi jobs`."""

import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console, RenderableType

from cli.client import complaint, where
from cli.credentials import who
from cli.download import Result, file_name, target_of
from cli.job_display import described, doing, ended, estimated, fault_lines, given_back, show_list, span
from cli.job_events import Event, read_events
from cli.jobs import read_body
from common.errors import InvalidParameters, StartupError

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

JOB: dict[str, Any] = {
    "id": "0b0c3d39-8f0e-4f0f-9d3f-3b6e1c1f0a51",
    "status": "running",
    "created_at": "2026-11-25T08:57:00Z",
    "started_at": "2026-11-25T08:57:02Z",
    "completed_at": None,
    "expires_at": None,
    "format": "parquet",
    "series": {"total": 2000, "completed": 1200, "failed": 30},
    "cost": 1970,
    "progress": 0.617,
    "errors": [],
}
DONE = JOB | {
    "status": "completed",
    "completed_at": "2026-11-25T08:57:12Z",
    "expires_at": "2026-11-26T08:57:12Z",
    "series": {"total": 2000, "completed": 1970, "failed": 30},
    "progress": 1.0,
}


def printed(content: RenderableType) -> list[str]:
    console = Console(file=io.StringIO(), width=120, highlight=False)
    console.print(content)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def listed(width: int, *, terminal: bool = True) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)
    show_list([JOB, DONE], console, NOW)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        ("event: progress\nid: 7\ndata: {}\n\n", [Event("progress", "{}", "7")]),
        ("retry: 2000\n\n: still there\n\ndata:one\ndata:  two\n\n", [Event("message", "one\n two", "")]),
        ("id: 1\n\ndata: x\n\n", [Event("message", "x", "")]),
        ("data: whole\n\ndata: broken off", [Event("message", "whole", "")]),
        ("event: done\ndata\n\ndata: y\n\n", [Event("done", "", ""), Event("message", "y", "")]),
    ],
)
def test_events_are_read_as_they_are_sent(stream: str, events: list[Event]) -> None:
    assert list(read_events(stream.splitlines())) == events


def test_a_problem_is_a_line_for_each_thing_that_is_wrong() -> None:
    def said(status: int, **members: object) -> str:
        return complaint(httpx.Response(status, json=members, request=httpx.Request("GET", "http://x/y")))

    errors = [{"loc": ["body", "indicators", 0, "name"], "msg": "is missing"}, {"loc": ["body"], "msg": "is odd"}]
    assert said(422, detail="Invalid parameters", errors=errors) == (
        "Invalid parameters\n  body.indicators.0.name: is missing\n  body: is odd"
    )
    assert said(404, detail="Symbol 'A' not found", did_you_mean=["AB", "AC"]) == (
        "Symbol 'A' not found; did you mean AB or AC?"
    )
    assert said(403, detail="Not for you", required_tier="pro") == "Not for you; the tier pro has it"
    assert said(500, detail="Oh", request_id="r1") == "Oh (request r1)"
    assert said(404, nothing="of ours") == "http://x/y answered 404 Not Found"
    strange = httpx.Response(502, text="<html>", request=httpx.Request("GET", "http://x/y"))
    assert complaint(strange) == "http://x/y answered 502 Bad Gateway"


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"{]", "{file} is no JSON: "),
        (b"[]", "{file} is not an object with `symbols` and `indicators`"),
        (None, "{file}: No such file or directory"),
    ],
)
def test_a_file_that_is_no_job_is_named(tmp_path: Path, content: bytes | None, fault: str) -> None:
    file = tmp_path / "job.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidParameters, match=rf"^FILE: {re.escape(fault.format(file=file))}"):
        read_body(file)


def test_a_table_is_put_where_it_overwrites_nothing(tmp_path: Path) -> None:
    result = Result("/v1/jobs/one/result", "one.csv", 5, '"x"')
    there = tmp_path / "there.csv"
    there.touch()
    assert target_of(result, None, force=False) == Path("one.csv")
    assert target_of(result, tmp_path, force=False) == tmp_path / "one.csv"
    assert target_of(result, tmp_path / "new", force=False) == tmp_path / "new"
    assert target_of(result, there, force=True) == there
    assert target_of(result, Path("-"), force=False) == Path("-")
    for wrong, fault in ((there, "is there already; --force overwrites it"), (there / "x", "there is no folder")):
        with pytest.raises(InvalidParameters, match=fault):
            target_of(result, wrong, force=False)
    (tmp_path / "one.csv").touch()
    with pytest.raises(InvalidParameters, match="is there already"):
        target_of(result, tmp_path, force=False)


def test_an_address_is_the_one_named_before_any_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    up = {"url": "http://127.0.0.1:7"}
    monkeypatch.setenv("KALPI_STATE_DIR", str(tmp_path))
    with pytest.raises(StartupError, match=r"^neither --url nor KALPI_URL is set and no `kalpi up` runs in "):
        where(None, None)
    (tmp_path / "up.json").write_text(json.dumps(up))
    assert where(None, None) == up["url"]
    monkeypatch.setenv("KALPI_URL", "https://kalpi.example/api/")
    assert where(None, None) == "https://kalpi.example/api"
    assert where(None, tmp_path) == up["url"]
    assert where("http://ada:secret@[::1]:8080", tmp_path) == "http://[::1]:8080"
    with pytest.raises(StartupError, match=r"^no `kalpi up` runs in "):
        where(None, tmp_path / "nowhere")
    for wrong in ("127.0.0.1:8000", "ftp://x", "http://", "http://x:y", "x"):
        with pytest.raises(InvalidParameters, match="is not an address such as"):
            where(wrong, None)


def test_who_asks_is_the_one_named_before_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KALPI_TOKEN", "KALPI_USER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StartupError, match=r"^who asks"):
        who("http://x", None, password_stdin=False)
    monkeypatch.setenv("KALPI_USER", "ada")
    assert "'ada'" in who("http://x", None, password_stdin=False).refused
    monkeypatch.setenv("KALPI_TOKEN", "abc")
    assert "KALPI_TOKEN" in who("http://x", None, password_stdin=False).refused
    assert "'eve'" in who("http://x", "eve", password_stdin=False).refused
    monkeypatch.setenv("KALPI_TOKEN", "abc\n")
    with pytest.raises(InvalidParameters, match=r"^KALPI_TOKEN: has characters that are not printable ASCII$"):
        who("http://x", None, password_stdin=False)


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="kalpi-1.csv"', "kalpi-1.csv"),
        ("attachment; filename*=UTF-8''a%20b.csv", "a b.csv"),
        ('attachment; filename="/etc/../x/.bashrc"', "bashrc"),
        ('attachment; filename=".."', "result"),
        ("", "result"),
    ],
)
def test_a_name_from_outside_never_leads_elsewhere(disposition: str, name: str) -> None:
    assert file_name(disposition) == name


def test_the_list_keeps_ids_whole_and_goes_without_the_least_important_columns() -> None:
    wide, narrow, narrowest = listed(120), listed(80), listed(40)
    assert wide[0].split() == ["id", "status", "done", "series", "failed", "format", "created", "age"]
    assert wide[1].split() == [
        JOB["id"],
        "running",
        "61",
        "%",
        "2,000",
        "30",
        "parquet",
        "2026-11-25",
        "08:57:00",
        "3",
        "min",
    ]
    assert narrow[0].split() == ["id", "status", "done", "series", "failed", "age"]
    assert narrowest[0].split() == ["id", "status", "done", "series", "age"]
    for lines in (wide, narrow, narrowest):
        assert [line.split()[0] for line in lines[1:]] == [JOB["id"]] * 2
    assert listed(40, terminal=False) == wide


def test_a_job_is_shown_with_all_there_is_to_know() -> None:
    faults = [{"symbol": f"S{n}", "indicator": "rsi_14", "detail": "is flat"} for n in range(30)]
    lines = printed(described(DONE | {"errors": faults, "warnings": ["few bars"]}, NOW))
    shown = {line[:10].strip(): line[10:].strip() for line in lines}
    assert shown == {
        "job": JOB["id"],
        "status": "completed",
        "progress": "100 %, 1,970 of 2,000 series, 30 failed",
        "format": "parquet",
        "counted": "1,970 series",
        "created": "2026-11-25 08:57:00 UTC, 3 min ago",
        "started": "2026-11-25 08:57:02 UTC, after 2.0 s",
        "ended": "2026-11-25 08:57:12 UTC after 10 s, 200 series/s",
        "expires": "2026-11-26 08:57:12 UTC, in 24 h",
        "warnings": "few bars",
        "errors": "30 × is flat: S0 rsi_14, S1 rsi_14, S2 rsi_14, S3 rsi_14, …",
    }


def test_a_job_that_has_not_begun_says_nothing_of_its_end() -> None:
    lines = printed(described(JOB | {"status": "queued", "started_at": None}, NOW))
    assert [line.split()[0] for line in lines] == ["job", "status", "progress", "format", "counted", "created"]


def test_faults_are_grouped_by_their_reason_the_most_frequent_first() -> None:
    faults = [{"symbol": None, "indicator": None, "detail": "the disk is full"}]
    faults += [{"symbol": "A", "indicator": name, "detail": "[bold]too short"} for name in ("x", "y")]
    assert fault_lines(faults) == ["2 × [bold]too short: A x, A y", "1 × the disk is full"]
    many = [{"symbol": "A", "indicator": "x", "detail": f"reason {n}"} for n in range(12)]
    assert fault_lines(many)[9:] == ["1 × reason 9: A x", "… and 2 more reasons; --json has them all"]


def test_an_end_is_one_line() -> None:
    one = f"Job {JOB['id']}"
    assert ended(DONE).plain == f"{one} completed after 10 s, 200 series/s: 1,970 of 2,000 series, 30 failed"
    stopped = JOB | {"status": "cancelled", "started_at": None, "completed_at": "2026-11-25T08:57:12Z"}
    assert ended(stopped).plain == f"{one} was cancelled: 1,200 of 2,000 series, 30 failed"
    assert given_back(stopped | {"cost": 1200}) == f"Cancelled {JOB['id']}: 800 of 2,000 series given back."


def test_an_estimate_says_what_is_left() -> None:
    estimate = {"cost": 2500, "series": 5, "rows": 391500, "remaining_after": None}
    assert [line.split(maxsplit=1) for line in printed(estimated(estimate))] == [
        ["cost", "2,500 series"],
        ["columns", "5 series per symbol"],
        ["rows", "391,500"],
        ["remaining", "unlimited"],
    ]
    assert printed(estimated(estimate | {"remaining_after": 0}))[-1].split(maxsplit=1) == [
        "remaining",
        "0 series today",
    ]


def test_a_job_whose_series_are_done_is_finishing() -> None:
    assert doing(JOB) == "running"
    assert doing(DONE | {"status": "running"}) == "finishing"
    assert doing(DONE) == "completed"


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (0.04, "0.0 s"),
        (1.26, "1.3 s"),
        (42, "42 s"),
        (94, "94 s"),
        (130, "2 min"),
        (86400, "24 h"),
        (7300, "2 h"),
        (2e5, "2 d"),
    ],
)
def test_spans_are_said_in_a_unit_that_fits(seconds: float, shown: str) -> None:
    assert span(seconds) == shown
