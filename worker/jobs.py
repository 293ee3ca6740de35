"""One part of a job, from a ring to its end: claim, compute or assemble, record.

A part computes its symbols and writes their piece of the result; the assembly joins the pieces. A job of one part is
both at once.
"""

import io
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import structlog
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError

from common.broker import BATCH
from common.errors import KalpiError
from common.jobs import JobRequest
from common.results import part_file, result_file
from worker.compute import compute_table, count_rows, describe, table_schema
from worker.doorbell import announce, ring
from worker.lease import Lease, kept
from worker.market.store import Market
from worker.pieces import Sink, join, write_piece
from worker.resources import Resources
from worker.store import Counted, Tagged, describe_failure
from worker.transitions import (
    Claim,
    Outcome,
    StoredFile,
    claim_next,
    complete_assembly,
    complete_part,
    fail_part,
    release,
)

log = structlog.get_logger()

_PAUSE = 0.2
"""Seconds between two attempts to record an end while PostgreSQL is away."""

_PARTS = text("""
SELECT number, symbols, file, file_bytes FROM job_parts
WHERE job_id = CAST(:job_id AS uuid) AND number < :assembly ORDER BY number
""")

_NEXT = text("""
SELECT job_id, number FROM job_parts WHERE state = 'queued' AND user_id = :user_id
ORDER BY accepted_at, job_id, number LIMIT 1
""")


class ClaimLost(Exception):  # noqa: N818
    """Whoever claimed the part may not end it any more; what it would write is for nothing."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a worker has done with a part, for people and for those who count."""

    job_id: str
    number: int
    is_assembly: bool
    outcome: Outcome
    seconds: float
    trouble: str | None  # what kept it from being completed

    def __str__(self) -> str:
        what = "assembly" if self.is_assembly else f"part {self.number}"
        why = "" if self.trouble is None else f" ({self.trouble})"
        return f"{self.kind} in {self.seconds} s: {what} of {self.job_id}{why}"

    @property
    def kind(self) -> str:
        """How it counts."""
        if self.outcome is Outcome.REFUSED:
            return "refused"
        if self.outcome is Outcome.RELEASED:
            return "retried"
        return "completed" if self.trouble is None else "failed"


def run_next_part(resources: Resources) -> Ran | None:
    """Runs the part whose turn it is, if there is one."""
    settings = resources.settings
    with resources.engine.begin() as connection:
        claim = claim_next(
            connection,
            worker=resources.worker,
            lease=settings.part_lease_seconds,
            bounds=resources.bounds,
            requests=resources.requests,
            ttl=settings.job_ttl_seconds,
        )
    return None if claim is None else run_claimed(resources, claim)


def run_claimed(resources: Resources, claim: Claim) -> Ran:
    """Runs a part that has been claimed to its end."""
    began = time.monotonic()
    trouble = None
    with kept(resources.engine, claim, resources.settings.part_lease_seconds) as lease:
        try:
            outcome = _assemble(resources, claim, lease) if claim.is_assembly else _compute(resources, claim, lease)
        except ClaimLost:
            outcome = Outcome.REFUSED
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is queued again or fails
            trouble = _reason(error, resources.settings.part_soft_seconds)
            outcome = _settle(resources, claim, lease, error, trouble)
    seconds = round(time.monotonic() - began, 4)
    ran = Ran(claim.job_id, claim.number, claim.is_assembly, outcome, seconds, trouble)
    said = outcome.name.lower()
    log.info("part_ended", job_id=claim.job_id, part=claim.number, attempt=claim.attempt, outcome=said, seconds=seconds)
    _tell(resources, claim, outcome)
    if ran.kind != "refused":
        resources.totals.add(BATCH, seconds=seconds, **{ran.kind: 1})
    return ran


def _tell(resources: Resources, claim: Claim, outcome: Outcome) -> None:
    """Rings for what can run from now on, and tells those who follow the job."""
    if outcome is Outcome.ASSEMBLY_QUEUED:
        ring(resources.celery, [(claim.job_id, claim.parts_total)])
    elif claim.bounded_user is not None:
        ring(resources.celery, _held_back(resources, claim.bounded_user))
    if outcome is not Outcome.REFUSED:
        announce(resources.cache, claim.job_id)


def _held_back(resources: Resources, user_id: int) -> list[tuple[str, int]]:
    """The part of a user that may run now that another has ended, if one waits."""
    try:
        with resources.engine.connect() as connection:
            return [(str(row.job_id), row.number) for row in connection.execute(_NEXT, {"user_id": user_id})]
    except SQLAlchemyError as error:
        log.warning("rings_lost", sent=0, error=type(error).__name__)  # the sweeper rings
        return []


def _compute(resources: Resources, claim: Claim, lease: Lease) -> Outcome:
    """Computes the part's rows into its piece, or straight into the result if they are all of it."""
    ttl = resources.settings.job_ttl_seconds
    market = resources.markets.market_for(claim.data_version)
    table, errors = compute_table(market, claim.request, claim.symbols)
    if claim.is_whole:
        piece = _piece_in_memory(market, claim.request, claim.symbols, table)
        file = _write_result(resources, claim, iter([piece]))
    else:
        name = part_file(claim.job_id, claim.number, claim.attempt, resources.store.era)
        with resources.store.writing(name, durable=False) as sink:
            written = Counted(sink)
            _write_piece(market, claim.request, claim.symbols, table, written)
        file = StoredFile(name, written.size)
    return _record(resources, lease, lambda c: complete_part(c, claim, file, errors, ttl))


def _assemble(resources: Resources, claim: Claim, lease: Lease) -> Outcome:
    """Joins the parts' pieces, in their order, and removes them."""
    result = _write_result(resources, claim, _pieces(resources, claim, lease))
    ttl = resources.settings.job_ttl_seconds
    outcome = _record(resources, lease, lambda c: complete_assembly(c, claim, result, ttl))
    if outcome is Outcome.JOB_ENDED:
        with suppress(OSError):  # the sweeper does it otherwise
            resources.store.keep_only(result.name)
    return outcome


def _write_result(resources: Resources, claim: Claim, pieces: Iterator[BinaryIO]) -> StoredFile:
    name = result_file(claim.job_id, claim.attempt, claim.request.format)
    with resources.store.writing(name, durable=True) as sink:
        written = Tagged(sink)
        join(pieces, table_schema(claim.request), claim.request.format, written)
        etag = written.etag()
    return StoredFile(name, written.size, etag)


def _pieces(resources: Resources, claim: Claim, lease: Lease) -> Iterator[BinaryIO]:
    """Each is closed when the next is asked for. Raises ClaimLost between two when somebody has cancelled the job."""
    with resources.engine.connect() as connection:
        parts = connection.execute(_PARTS, {"job_id": claim.job_id, "assembly": claim.number}).all()
    for part in parts:
        if not lease.may_hold:
            raise ClaimLost
        if part.file is not None:
            with closing(_piece(resources, claim, part)) as piece:
                yield piece
        elif claim.attempt < resources.settings.part_max_attempts:
            market = resources.markets.market_for(claim.data_version)
            table = _without_series(market, claim.request, part.symbols)
            yield _piece_in_memory(market, claim.request, part.symbols, table)
        # On the last attempt the rows of a part that failed are left out: they may be what killed its workers.


def _piece(resources: Resources, claim: Claim, part: Row[Any]) -> BinaryIO:
    """The piece of a part that was completed, made again if its file does not count any more."""
    if f"-{resources.store.era}." in part.file:
        try:
            piece = resources.store.reading(part.file)
        except FileNotFoundError:
            log.warning("piece_lost", file=part.file)
        else:
            if piece.seek(0, io.SEEK_END) == part.file_bytes:
                return piece
            piece.close()
            log.warning("piece_torn", file=part.file)
    market = resources.markets.market_for(claim.data_version)
    table, _ = compute_table(market, claim.request, part.symbols)
    return _piece_in_memory(market, claim.request, part.symbols, table)


def _piece_in_memory(market: Market, request: JobRequest, symbols: Sequence[str], table: pa.Table) -> BinaryIO:
    piece = io.BytesIO()
    _write_piece(market, request, symbols, table, piece)
    return piece


def _write_piece(market: Market, request: JobRequest, symbols: Sequence[str], table: pa.Table, sink: Sink) -> None:
    before = request.symbols[: request.symbols.index(symbols[0])] if request.format.counts_rows else ()
    write_piece(table, request.format, sink, count_rows(market, request, before))


def _without_series(market: Market, request: JobRequest, symbols: list[str]) -> pa.Table:
    """The rows of a part that failed: symbols, dates and bars, null for every series, bars that count as one too."""
    bare = JobRequest(
        symbols=tuple(symbols),
        series=(),
        start_date=request.start_date,
        end_date=request.end_date,
        format=request.format,
        interval=request.interval,
        warmup=request.warmup,
        include_ohlcv=request.include_ohlcv and bool(request.series),
    )
    table, _ = compute_table(market, bare, bare.symbols)
    schema = table_schema(request)
    columns = [
        table.column(field.name) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _record(resources: Resources, lease: Lease, transition: Callable[[Connection], Outcome]) -> Outcome:
    """`transition` in one transaction; tried again while PostgreSQL is away and nobody else can have the claim.

    One whose reply was lost may have been carried out; then it is refused the second time.
    """
    while True:
        try:
            with resources.engine.begin() as connection:
                return transition(connection)
        except (OperationalError, InterfaceError) as error:
            log.warning("end_not_recorded", error=type(error).__name__)
            if not lease.may_hold:
                raise ClaimLost from error
            time.sleep(_PAUSE)


def _settle(resources: Resources, claim: Claim, lease: Lease, error: Exception, reason: str) -> Outcome:
    """Queues a part again after `error`, or fails it when that would not help."""
    settings = resources.settings
    final = isinstance(error, KalpiError) or claim.attempt >= settings.part_max_attempts
    log.error(
        "part_failed" if final else "part_interrupted",
        job_id=claim.job_id,
        part=claim.number,
        attempt=claim.attempt,
        exc_info=error,
    )

    def end(connection: Connection) -> Outcome:
        if final:
            return fail_part(connection, claim, reason, settings.job_ttl_seconds)
        return Outcome.RELEASED if release(connection, claim) else Outcome.REFUSED

    try:
        return _record(resources, lease, end)
    except ClaimLost:
        return Outcome.REFUSED


def _reason(error: Exception, soft_seconds: int) -> str:
    """What the user is told: nothing of our insides."""
    if isinstance(error, SoftTimeLimitExceeded):
        return f"took longer than {soft_seconds} s"
    return (describe_failure(error) if isinstance(error, OSError) else None) or describe(error)
