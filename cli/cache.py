"""`kalpi cache …`: computes answers before anybody asks, and shows what is asked most."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import orjson
import redis
import typer
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cli.progress import progress
from cli.state import read_up
from common.broker import make_celery
from common.dataset import Manifest, ManifestFile
from common.errors import InvalidParameters, KalpiError, StartupError
from common.query import IndicatorQuery
from common.redis import VALUES_DONE, make_client
from common.settings import Settings
from common.warming import batches, lines_of, missing, most_asked, order, read_line, read_lines, there

app = typer.Typer(help="Compute answers before anybody asks; see what is asked most.", no_args_is_help=True)

StateDir = Annotated[Path | None, typer.Option(help="State folder of the running `kalpi up` to talk to.")]

_OUT = 200
"""Queries that are out at once, four messages' worth: enough for the workers, and nothing to flood the broker with."""

_LOOK_SECONDS = 1.0
"""Period in which the cache itself is looked at: an announcement may be missed."""

_PATIENCE = 60.0
"""Seconds without any progress after which it is given up."""

_SHOWN_REASONS = 5


@app.command()
def warm(
    queries: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[QUERY]…",
            help="Such as 'sma?symbol=*&period=20' or 'pro csv /v1/symbols/RELIANCE/ohlcv'.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="File of queries, one a line; # begins a comment.")] = None,
    asked: Annotated[int | None, typer.Option(min=0, help="So many of the last day's most asked queries.")] = None,
    state_dir: StateDir = None,
) -> None:
    """Compute what is not in the cache yet, and wait until it is.

    A query is [TIER] [FORM] TARGET. Without a tier it is computed for every tier that may ask it, without a form as
    JSON; symbol=* means every symbol. Without any query, file or number: what KALPI_WARM_QUERIES and KALPI_WARM_FILE
    name.
    """
    with _stack(state_dir) as stack:
        given = queries or file is not None or asked is not None
        most = asked if given else stack.settings.warm_queries
        source = file if given else stack.settings.warm_file
        wanted = read_lines(enumerate(queries or (), 1), stack.manifest, "query")
        if source is not None:
            wanted += read_lines(lines_of(_read(source)), stack.manifest, f"{source} line")
        popular, outdated = _popular(stack, most or 0)
        needed = missing(stack.cache, [*wanted, *popular], stack.manifest.data_version)
        present = len({*wanted, *popular}) - len(needed)
        outcome = _compute(stack, needed)
    typer.echo(_said(outcome, present, outdated))
    if outcome.out:
        typer.echo(f"kalpi: no answer for {_PATIENCE:.0f} s; {len(outcome.out):,} queries are not computed", err=True)
    if outcome.out or outcome.failed:
        raise typer.Exit(1)


@app.command("asked")
def show_asked(
    number: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many to show.")] = 20,
    state_dir: StateDir = None,
) -> None:
    """List the queries that were asked most today and yesterday (UTC)."""
    with _stack(state_dir) as stack:
        lines = most_asked(stack.cache, number, datetime.now(UTC).date())
    table = Table("asked", "tier", "form", "query")
    table.columns[0].justify = "right"
    table.columns[3].overflow = "fold"
    for text, times in lines:
        table.add_row(f"{times:,}", *map(Text, text.split(" ", 2)))
    Console().print(table)


# --- the stack that runs


@dataclass(frozen=True, slots=True)
class _Stack:
    settings: Settings
    manifest: Manifest
    cache: redis.Redis


@contextmanager
def _stack(state_dir: Path | None) -> Iterator[_Stack]:
    """That of the servers that are set, or the one that runs in the folder."""
    settings = Settings()
    folder = state_dir or settings.state_dir
    up = None if settings.redis_url is not None and state_dir is None else read_up(folder)
    if up is not None:
        settings = Settings(redis_url=up["redis_url"], cache_url=up["cache_url"], state_dir=Path(up["state_dir"]))
    elif settings.redis_url is None or state_dir is not None:
        unset = "KALPI_REDIS_URL is not set and " if state_dir is None else ""
        raise StartupError(f"{unset}no `kalpi up` runs in {folder.absolute()}")
    manifest = ManifestFile(settings.market_dir).current()
    try:
        with make_client(settings.cache, settings.redis_timeout_seconds) as cache:
            yield _Stack(settings, manifest, cache)
    except (RedisError, OSError) as error:
        raise StartupError(f"cannot reach Redis: {str(error).partition(chr(10))[0]}") from error


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise InvalidParameters.one("--file", f"{file}: {reason}") from error


def _popular(stack: _Stack, count: int) -> tuple[list[IndicatorQuery], int]:
    """The queries asked most, and how many of them cannot be asked of this version of the data any more."""
    found: dict[IndicatorQuery, None] = {}
    outdated = 0
    for text, _ in most_asked(stack.cache, count, datetime.now(UTC).date()):
        try:
            found.update(dict.fromkeys(read_line(text, stack.manifest)))
        except KalpiError:
            outdated += 1
    return list(found), outdated


# --- ordering and waiting


@dataclass(slots=True)
class _Outcome:
    computed: int = 0
    failed: dict[str, str] = field(default_factory=dict)  # reasons by key
    out: set[str] = field(default_factory=set)  # keys that are ordered and neither computed nor failed

    @property
    def settled(self) -> int:
        return self.computed + len(self.failed)

    def hear(self, done: Iterable[str], failed: Mapping[str, Mapping[str, str]]) -> None:
        """What a worker has announced, or what was found in the cache; much of it may be for others."""
        landed = self.out.intersection(done)
        self.computed += len(landed)
        fallen = {key: _reason(failed[key]) for key in self.out.intersection(failed)}
        self.failed |= fallen
        self.out -= landed | fallen.keys()


def _compute(stack: _Stack, needed: Mapping[str, IndicatorQuery]) -> _Outcome:
    """All that is needed; what is still out when this returns has not moved for a while."""
    outcome = _Outcome()
    if not needed:
        return outcome
    version = stack.manifest.data_version
    keys = {query: key for key, query in needed.items()}
    waiting = batches(needed.values())
    with (
        closing(make_celery(lambda: stack.settings)) as celery,
        stack.cache.pubsub(ignore_subscribe_messages=True) as channel,  # type: ignore[no-untyped-call]
        progress(Console(), "Computing", len(needed), "queries") as show,
    ):
        channel.subscribe(VALUES_DONE)
        batch = next(waiting, None)
        looked = moved = monotonic()
        while batch is not None or outcome.out:
            while batch is not None and len(outcome.out) + len(batch) <= _OUT:
                outcome.out.update(keys[query] for query in batch)
                order(celery, [batch], version)
                batch = next(waiting, None)
            before = outcome.settled
            message: dict[str, Any] | None = channel.get_message(timeout=_LOOK_SECONDS)
            if message is not None:
                news = orjson.loads(message["data"])
                outcome.hear(news["done"], news["failed"])
            if monotonic() - looked >= _LOOK_SECONDS:
                outcome.hear(there(stack.cache, list(outcome.out)), {})
                looked = monotonic()
            if outcome.settled > before:
                moved = monotonic()
                show(outcome.settled)
            elif monotonic() - moved > _PATIENCE:
                break
    return outcome


def _reason(failure: Mapping[str, str]) -> str:
    if failure["kind"] == "stale":
        return "the data has been replaced meanwhile"
    return failure["detail"] or "a worker could not compute it; its log says why"


def _said(outcome: _Outcome, present: int, outdated: int) -> str:
    line = f"{outcome.computed:,} computed, {present:,} were there already, {len(outcome.failed):,} failed"
    if outcome.failed:
        reasons = Counter(outcome.failed.values()).most_common(_SHOWN_REASONS)
        line += ": " + "; ".join(f"{reason} ({times:,})" for reason, times in reasons)
    if outdated:
        line += f"; {outdated:,} of the most asked can no longer be asked"
    return f"{line}."
