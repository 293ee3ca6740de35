"""One part of a job, from its message to its end: claim, compute or assemble, record."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa
import structlog
from celery.exceptions import SoftTimeLimitExceeded
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from common.errors import KalpiError
from common.jobs import JobRequest
from common.results import part_file, result_file
from worker import store
from worker.compute import compute_table, describe, table_schema
from worker.doorbell import publish_parts
from worker.encode import encode_table, read_part, write_part
from worker.market.store import Market
from worker.resources import Resources
from worker.transitions import (
    Claim,
    Outcome,
    ResultFile,
    claim_part,
    complete_assembly,
    complete_part,
    fail_part,
    release,
    renew,
)

log = structlog.get_logger()

_PARTS = text("""
SELECT number, symbols, file FROM job_parts
WHERE job_id = CAST(:job_id AS uuid) AND number < :assembly ORDER BY number
""")


def run_part(resources: Resources, job_id: str, number: int) -> None:
    """Runs a part unless somebody else does or has; a message may come any number of times."""
    settings = resources.settings
    with resources.engine.begin() as connection:
        claim = claim_part(
            connection,
            job_id,
            number,
            worker=resources.worker,
            lease=settings.part_lease_seconds,
            max_attempts=settings.part_max_attempts,
        )
    if claim is None:
        log.info("part_not_claimed", job_id=job_id, part=number)
        return
    try:
        with _renewing(resources.engine, claim, settings.part_lease_seconds):
            outcome = _assemble(resources, claim) if claim.is_assembly else _compute(resources, claim)
    except Exception as error:  # noqa: BLE001 - whatever it is, the part is queued again or fails
        outcome = _settle(resources, claim, error)
    log.info("part_ended", job_id=job_id, part=number, attempt=claim.attempt, outcome=outcome.name.lower())
    if outcome is Outcome.ASSEMBLY_QUEUED:
        publish_parts(resources.celery, [(job_id, claim.parts_total)])


@contextmanager
def _renewing(engine: Engine, claim: Claim, lease: float) -> Iterator[None]:
    """Renews the claim's lease while the block runs, or until it is lost."""
    stop = threading.Event()

    def keep() -> None:
        while not stop.wait(lease / 3):
            try:
                with engine.begin() as connection:
                    held = renew(connection, claim, lease)
            except SQLAlchemyError as error:
                log.warning("lease_not_renewed", job_id=claim.job_id, part=claim.number, error=type(error).__name__)
                continue
            if not held:
                return

    threading.Thread(target=keep, name="lease", daemon=True).start()
    try:
        yield
    finally:
        stop.set()


def _compute(resources: Resources, claim: Claim) -> Outcome:
    """Computes the part's rows into its file."""
    settings = resources.settings
    market = resources.markets.market_for(claim.data_version)
    table, errors = compute_table(market, claim.request, claim.symbols)
    file = part_file(claim.job_id, claim.number, claim.attempt, store.boot())
    path = settings.results_dir / file
    with store.replacing(path, durable=False) as sink:
        write_part(table, sink)
    with resources.engine.begin() as connection:
        outcome = complete_part(connection, claim, file, errors, settings.job_ttl_seconds)
    if outcome is Outcome.REFUSED:
        path.unlink(missing_ok=True)
    return outcome


def _assemble(resources: Resources, claim: Claim) -> Outcome:
    """Makes the result of the parts' files, in their order, and removes them."""
    settings = resources.settings
    request = claim.request
    file = result_file(claim.job_id, claim.attempt, request.format)
    path = settings.results_dir / file
    with store.replacing(path, durable=True) as sink:
        encode_table(_tables(resources, claim), table_schema(request), request.format, sink)
    result = ResultFile(file, path.stat().st_size, store.etag(path))
    with resources.engine.begin() as connection:
        outcome = complete_assembly(connection, claim, result, settings.job_ttl_seconds)
    if outcome is Outcome.REFUSED:
        path.unlink(missing_ok=True)
    else:
        store.keep_only(path)
    return outcome


def _tables(resources: Resources, claim: Claim) -> Iterator[pa.Table]:
    with resources.engine.connect() as connection:
        parts = connection.execute(_PARTS, {"job_id": claim.job_id, "assembly": claim.number}).all()
    for part in parts:
        if part.file is not None:
            yield _rows(resources, claim, part.symbols, part.file)
        elif claim.attempt < resources.settings.part_max_attempts:
            yield _without_series(resources.markets.market_for(claim.data_version), claim.request, part.symbols)
        # On the last attempt the rows of a part that failed are left out: they may be what killed its workers.


def _rows(resources: Resources, claim: Claim, symbols: list[str], file: str) -> pa.Table:
    """The rows of a part that was completed, computed again if its file does not count any more."""
    if f"-{store.boot()}." in file:
        try:
            return read_part(resources.settings.results_dir / file)
        except (OSError, pa.ArrowInvalid) as error:
            log.warning("part_file_lost", file=file, error=type(error).__name__)
    table, _ = compute_table(resources.markets.market_for(claim.data_version), claim.request, symbols)
    return table


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


def _settle(resources: Resources, claim: Claim, error: Exception) -> Outcome:
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
    with resources.engine.begin() as connection:
        if final:
            return fail_part(connection, claim, _reason(error, settings.part_soft_seconds), settings.job_ttl_seconds)
        return Outcome.RELEASED if release(connection, claim) else Outcome.REFUSED


def _reason(error: Exception, soft_seconds: int) -> str:
    """What the user is told: nothing of our insides."""
    if isinstance(error, SoftTimeLimitExceeded):
        return f"took longer than {soft_seconds} s"
    return describe(error)
