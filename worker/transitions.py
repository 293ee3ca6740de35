"""Every change of state of a job's parts: claimed, renewed, released, completed, failed.

Each is guarded in SQL by state and attempt, so a worker that has lost its claim changes nothing. Rows are locked
in one order everywhere: the job, its parts, the user. The caller brings the transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import orjson
from sqlalchemy import Connection, Row, text

from common.jobs import JobRequest, SeriesError
from common.quota import refund


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one part of a job, until the lease ends or another attempt begins."""

    job_id: str
    number: int
    attempt: int
    symbols: tuple[str, ...]
    request: JobRequest
    data_version: str
    parts_total: int

    @property
    def is_assembly(self) -> bool:
        return self.number == self.parts_total


class Outcome(Enum):
    """What ending a part has led to."""

    REFUSED = auto()  # the claim is lost, or the job has ended; nothing has changed
    RELEASED = auto()  # queued for another attempt
    ENDED = auto()
    ASSEMBLY_QUEUED = auto()  # it was the last part; the caller publishes the assembly after commit
    JOB_ENDED = auto()


@dataclass(frozen=True, slots=True)
class ResultFile:
    file: str
    size: int
    etag: str


_CLAIM = text("""
WITH job AS (
    SELECT id, request, data_version, parts_total FROM jobs
    WHERE id = CAST(:job_id AS uuid) AND status IN ('queued', 'running')
    FOR NO KEY UPDATE
),
part AS (
    UPDATE job_parts p
    SET state = 'running', attempt = p.attempt + 1, worker = :worker,
        lease_until = clock_timestamp() + make_interval(secs => :lease)
    FROM job
    WHERE p.job_id = job.id AND p.number = :number AND p.attempt < :max_attempts
      AND (p.state = 'queued' OR (p.state = 'running' AND p.lease_until < now()))
    RETURNING p.attempt, p.symbols
),
started AS (
    UPDATE jobs SET status = 'running', started_at = now()
    FROM part WHERE jobs.id = CAST(:job_id AS uuid) AND jobs.status = 'queued'
)
SELECT part.attempt, part.symbols, job.request, job.data_version, job.parts_total FROM job, part
""")

_RENEW = text("""
UPDATE job_parts SET lease_until = clock_timestamp() + make_interval(secs => :lease)
WHERE job_id = CAST(:job_id AS uuid) AND number = :number AND state = 'running' AND attempt = :attempt
""")

_RELEASE = text("""
UPDATE job_parts SET state = 'queued', lease_until = NULL, published_at = NULL
WHERE job_id = CAST(:job_id AS uuid) AND number = :number AND state = 'running' AND attempt = :attempt
""")

_LOCK_JOB = text("""
SELECT user_id, charged_on, cost, refunded, parts_total FROM jobs
WHERE id = CAST(:job_id AS uuid) AND status = 'running' FOR NO KEY UPDATE
""")

_END_PART = text("""
UPDATE job_parts SET state = :state, file = :file, errors = CAST(:errors AS jsonb), lease_until = NULL
WHERE job_id = CAST(:job_id AS uuid) AND number = :number AND state = 'running' AND attempt = :attempt
""")

_COUNT_PART = text("""
UPDATE jobs SET parts_ended = parts_ended + 1, series_completed = series_completed + :completed,
                series_failed = series_failed + :failed, refunded = refunded + :failed
WHERE id = CAST(:job_id AS uuid)
RETURNING parts_ended = parts_total AS all_ended, series_completed
""")

_QUEUE_ASSEMBLY = text("""
UPDATE job_parts SET state = 'queued', published_at = now()
WHERE job_id = CAST(:job_id AS uuid) AND number = :number AND state = 'waiting'
""")

_CANCEL_ASSEMBLY = text("""
UPDATE job_parts SET state = 'cancelled'
WHERE job_id = CAST(:job_id AS uuid) AND number = :number AND state = 'waiting'
""")

_END_JOB = text("""
UPDATE jobs SET status = :status, refunded = refunded + :refunded, completed_at = now(),
                expires_at = now() + make_interval(secs => :ttl),
                result_file = :file, result_bytes = :size, result_etag = :etag
WHERE id = CAST(:job_id AS uuid)
""")


def claim_part(
    connection: Connection, job_id: str, number: int, *, worker: str, lease: float, max_attempts: int
) -> Claim | None:
    """Takes a part that is queued, or whose holder's lease has ended; None when there is nothing to take.

    The job is running from then on.
    """
    row = connection.execute(
        _CLAIM,
        {"job_id": job_id, "number": number, "worker": worker, "lease": lease, "max_attempts": max_attempts},
    ).one_or_none()
    if row is None:
        return None
    return Claim(
        job_id=job_id,
        number=number,
        attempt=row.attempt,
        symbols=tuple(row.symbols),
        request=JobRequest.from_json(row.request),
        data_version=row.data_version,
        parts_total=row.parts_total,
    )


def renew(connection: Connection, claim: Claim, lease: float) -> bool:
    """Whether the claim still holds; if so, for `lease` seconds from now."""
    return connection.execute(_RENEW, {**_place(claim), "lease": lease}).rowcount == 1


def release(connection: Connection, claim: Claim) -> bool:
    """Queues the part for another attempt; the sweeper publishes it."""
    return connection.execute(_RELEASE, _place(claim)).rowcount == 1


def complete_part(
    connection: Connection, claim: Claim, file: str, errors: Sequence[SeriesError], ttl: float
) -> Outcome:
    """Records the rows of a part and the series that failed in it, which are given back to the user."""
    return _end_part(connection, claim, "completed", file=file, errors=errors, ttl=ttl)


def fail_part(connection: Connection, claim: Claim, reason: str, ttl: float) -> Outcome:
    """Gives a part up for good, and all its series back to the user. A failed assembly fails the job."""
    if claim.is_assembly:
        return _fail_assembly(connection, claim, reason, ttl)
    errors = [SeriesError(symbol, label, reason) for symbol in claim.symbols for label in claim.request.labels]
    return _end_part(connection, claim, "failed", file=None, errors=errors, ttl=ttl)


def complete_assembly(connection: Connection, claim: Claim, result: ResultFile, ttl: float) -> Outcome:
    """Ends the job with its result."""
    if _lock_job(connection, claim.job_id) is None or not _mark(connection, claim, "completed", result.file, None):
        return Outcome.REFUSED
    _end_job(connection, claim.job_id, "completed", ttl, result=result)
    return Outcome.JOB_ENDED


def _end_part(
    connection: Connection, claim: Claim, state: str, *, file: str | None, errors: Sequence[SeriesError], ttl: float
) -> Outcome:
    job = _lock_job(connection, claim.job_id)
    listed = [{"symbol": e.symbol, "indicator": e.indicator, "detail": e.detail} for e in errors]
    if job is None or not _mark(connection, claim, state, file, listed or None):
        return Outcome.REFUSED
    failed = len(errors)
    completed = len(claim.symbols) * len(claim.request.labels) - failed
    counted = connection.execute(_COUNT_PART, {"job_id": claim.job_id, "completed": completed, "failed": failed}).one()
    if failed:
        refund(connection, job.user_id, failed, job.charged_on)
    if not counted.all_ended:
        return Outcome.ENDED
    assembly = {"job_id": claim.job_id, "number": job.parts_total}
    if counted.series_completed:
        connection.execute(_QUEUE_ASSEMBLY, assembly)
        return Outcome.ASSEMBLY_QUEUED
    connection.execute(_CANCEL_ASSEMBLY, assembly)
    _end_job(connection, claim.job_id, "failed", ttl)
    return Outcome.JOB_ENDED


def _fail_assembly(connection: Connection, claim: Claim, reason: str, ttl: float) -> Outcome:
    job = _lock_job(connection, claim.job_id)
    error = [{"symbol": None, "indicator": None, "detail": reason}]
    if job is None or not _mark(connection, claim, "failed", None, error):
        return Outcome.REFUSED
    unpaid = job.cost - job.refunded
    refund(connection, job.user_id, unpaid, job.charged_on)
    _end_job(connection, claim.job_id, "failed", ttl, refunded=unpaid)
    return Outcome.JOB_ENDED


def _place(claim: Claim) -> dict[str, Any]:
    return {"job_id": claim.job_id, "number": claim.number, "attempt": claim.attempt}


def _lock_job(connection: Connection, job_id: str) -> Row[Any] | None:
    return connection.execute(_LOCK_JOB, {"job_id": job_id}).one_or_none()


def _mark(
    connection: Connection,
    claim: Claim,
    state: str,
    file: str | None,
    errors: Sequence[Mapping[str, str | None]] | None,
) -> bool:
    encoded = None if errors is None else orjson.dumps(errors).decode()
    values = {**_place(claim), "state": state, "file": file, "errors": encoded}
    return connection.execute(_END_PART, values).rowcount == 1


def _end_job(
    connection: Connection,
    job_id: str,
    status: str,
    ttl: float,
    *,
    refunded: int = 0,
    result: ResultFile | None = None,
) -> None:
    connection.execute(
        _END_JOB,
        {
            "job_id": job_id,
            "status": status,
            "ttl": ttl,
            "refunded": refunded,
            "file": result.file if result else None,
            "size": result.size if result else None,
            "etag": result.etag if result else None,
        },
    )
