"""What the terminal shows of jobs."""

from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from cli.job_events import Job, settled
from common.jobs import JobState

_STYLES: dict[str, str] = {
    JobState.QUEUED: "yellow",
    JobState.RUNNING: "cyan",
    JobState.COMPLETED: "green",
    JobState.FAILED: "red",
    JobState.CANCELLED: "magenta",
    JobState.EXPIRED: "dim",
}

_SHOWN_REASONS = 10
_SHOWN_SERIES = 4

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"))

_WIDEST = 1000

_DROPPED = ("created", "format", "failed")
"""Columns of the list that a narrow terminal goes without, the first first."""


# --- many jobs


def show_list(jobs: Sequence[Job], console: Console, now: datetime) -> None:
    """A line per job, none of them broken or cut: ids are there to be copied."""
    dropped: set[str | None] = set()
    for name in (None, *_DROPPED):
        table = _table(jobs, now, dropped := dropped | {name})
        needed = Measurement.get(console, console.options.update(max_width=_WIDEST), table).maximum
        if needed <= console.width or not console.is_terminal:
            break
    console.width = max(console.width, needed)
    console.print(table)


def _table(jobs: Iterable[Job], now: datetime, dropped: Container[str | None]) -> Table:
    columns = [c for c in ("id", "status", "done", "series", "failed", "format", "created", "age") if c not in dropped]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold")
    for name in columns:
        right = name in {"done", "series", "failed", "age"}
        table.add_column(name, justify="right" if right else "left", no_wrap=True)
    for job in jobs:
        created = datetime.fromisoformat(job["created_at"])
        failed = job["series"]["failed"]
        cells = {
            "id": Text(job["id"]),
            "status": _status(job),
            "done": Text(_percent(job)),
            "series": Text(f"{job['series']['total']:,}"),
            "failed": Text(f"{failed:,}", "red") if failed else Text("0", "dim"),
            "format": Text(job["format"]),
            "created": Text(_moment(created)),
            "age": Text(span((now - created).total_seconds())),
        }
        table.add_row(*(cells[name] for name in columns))
    return table


# --- one job


def described(job: Job, now: datetime) -> Table:
    """All that is known of a job, its faults grouped by their reason."""
    table = _pairs()
    series, created = job["series"], datetime.fromisoformat(job["created_at"])
    table.add_row("job", job["id"])
    table.add_row("status", _status(job))
    progress = Text(f"{_percent(job)}, {series['completed']:,} of {series['total']:,} series")
    if series["failed"]:
        progress.append(f", {series['failed']:,} failed", "red")
    table.add_row("progress", progress)
    table.add_row("format", job["format"])
    table.add_row("counted", f"{job['cost']:,} series")
    table.add_row("created", f"{_moment(created)} UTC, {span((now - created).total_seconds())} ago")
    if job["started_at"]:
        waited = datetime.fromisoformat(job["started_at"]) - created
        table.add_row("started", f"{_moment(job['started_at'])} UTC, after {span(waited.total_seconds())}")
    if job["completed_at"]:
        table.add_row("ended", f"{_moment(job['completed_at'])} UTC{_took(job)}")
    if job["expires_at"]:
        left = (datetime.fromisoformat(job["expires_at"]) - now).total_seconds()
        table.add_row("expires", f"{_moment(job['expires_at'])} UTC" + (f", in {span(left)}" if left > 0 else ""))
    for n, warning in enumerate(job.get("warnings", ())):
        table.add_row("" if n else "warnings", Text(warning, "yellow"))
    for n, line in enumerate(fault_lines(job["errors"])):
        table.add_row("" if n else "errors", Text(line, "red"))
    return table


def fault_lines(errors: Sequence[Mapping[str, str | None]]) -> list[str]:
    """A line per reason, the most frequent first: how often, why, and the first of the series it struck."""
    groups: dict[str, list[str]] = {}
    for error in errors:
        where = " ".join(word for word in (error["symbol"], error["indicator"]) if word)
        groups.setdefault(str(error["detail"]), []).append(where)
    lines = []
    for detail, struck in sorted(groups.items(), key=lambda group: -len(group[1])):
        named = [where for where in struck if where]
        some = ", ".join(named[:_SHOWN_SERIES]) + (", …" if len(named) > _SHOWN_SERIES else "")
        lines.append(f"{len(struck):,} × {detail}" + (f": {some}" if some else ""))
    if len(lines) > _SHOWN_REASONS:
        lines[_SHOWN_REASONS:] = [f"… and {len(lines) - _SHOWN_REASONS:,} more reasons; --json has them all"]
    return lines


def ended(job: Job) -> Text:
    """How it has ended, in one line."""
    series = job["series"]
    line = Text.assemble(f"Job {job['id']} ", (_ENDINGS[job["status"]], _STYLES[job["status"]]))
    line.append(f"{_took(job)}: {series['completed']:,} of {series['total']:,} series")
    if series["failed"]:
        line.append(f", {series['failed']:,} failed", "red")
    return line


def given_back(job: Job) -> str:
    """What became of a job that was cancelled."""
    total = job["series"]["total"]
    return f"Cancelled {job['id']}: {total - job['cost']:,} of {total:,} series given back."


def estimated(estimate: Mapping[str, Any]) -> Table:
    """What a job would cost, and what would be left of the day."""
    left = estimate["remaining_after"]
    table = _pairs()
    table.add_row("cost", f"{estimate['cost']:,} series")
    table.add_row("columns", f"{estimate['series']:,} series per symbol")
    table.add_row("rows", f"{estimate['rows']:,}")
    table.add_row("remaining", "unlimited" if left is None else f"{left:,} series today")
    return table


def doing(job: Job) -> str:
    """What is going on, for the progress bar."""
    if job["status"] == JobState.RUNNING and settled(job) == job["series"]["total"]:
        return "finishing"  # the pieces become one table
    return str(job["status"])


def span(seconds: float) -> str:
    """A length of time in the largest unit of which there are two."""
    for length, unit in _UNITS:
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:.1f} s" if 0 < seconds < 9.95 else f"{max(seconds, 0):.0f} s"  # noqa: PLR2004


_ENDINGS: dict[str, str] = {
    JobState.COMPLETED: "completed",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "was cancelled",
    JobState.EXPIRED: "has expired",
}


def _pairs() -> Table:
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    return table


def _status(job: Job) -> Text:
    return Text(job["status"], _STYLES[job["status"]])


def _percent(job: Job) -> str:
    """Complete only when all is done."""
    return f"{int(job['progress'] * 100)} %"


def _moment(when: datetime | str) -> str:
    moment = datetime.fromisoformat(when) if isinstance(when, str) else when
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _took(job: Job) -> str:
    """How long it ran and its throughput, where it ever started."""
    if not (job["started_at"] and job["completed_at"]):
        return ""
    took = datetime.fromisoformat(job["completed_at"]) - datetime.fromisoformat(job["started_at"])
    return f" after {span(took.total_seconds())}, {settled(job) / max(took.total_seconds(), 1e-3):,.0f} series/s"
