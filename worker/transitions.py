"""Every change of state of a part that a worker has claimed: renewed, released, completed, failed.

Each is guarded in SQL by state, attempt and worker, so one that has lost its claim changes nothing. Rows are locked
in one order everywhere: the job, its parts, the user. The caller brings the transaction.

Workers do not wait for their commits to be on disk: a crash of PostgreSQL may forget a claim or a part's end, and then
the part is done again. The end of a job is waited for, and all that came before it with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import orjson
import structlog
from sqlalchemy import Connection, Row, text

from common.errors import KalpiError
from common.job_parts import cancel_parts
from common.jobs import JobRequest, SeriesError
from common.quota import refund
from common.webhooks import announce_end
from worker.requests import Requests
from worker.turns import claim_turn

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one part of a job, until the lease ends or another attempt begins."""

    job_id: str
    number: int
    attempt: int
    worker: str
    symbols: tuple[str, ...]
    request: JobRequest
    data_version: str
    parts_total: int
    bounded_user: int | None = None  # whose parts may not all run at once: others may wait for the end of this one

    @property
    def is_assembly(self) -> bool:
        return self.number == self.parts_total

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the job: its rows are the result, and there is nothing to put together."""
        return self.parts_total == 1


class Outcome(Enum):
    """What ending a part has led to."""

    REFUSED = auto()  # the claim is lost, or the job has ended; nothing has changed
    RELEASED = auto()  # queued for another attempt
    ENDED = auto()
    ASSEMBLY_QUEUED = auto()  # it was the last part; the caller rings for the assembly after commit
    JOB_ENDED = auto()


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A piece or a result: its name in the store, its size in bytes; the strong ETag of a result."""

    name: str
    size: int
    etag: str | None = None


_HELD = """WHERE job_id = CAST(:job_id AS uuid) AND number = :number
AND state = 'running' AND attempt = :attempt AND worker = :worker"""

_RENEW = text(f"""
UPDATE job_parts SET lease_until = clock_timestamp() + make_interval(secs => :lease)
{_HELD}
""")  # noqa: S608

_RELEASE = text(f"""
UPDATE job_parts SET state = 'queued', lease_until = NULL
{_HELD}
""")  # noqa: S608

_LOCK_JOB = text("""
SELECT id, user_id, charged_on, cost, refunded, parts_total FROM jobs
WHERE id = CAST(:job_id AS uuid) AND status IN ('queued', 'running') FOR NO KEY UPDATE
""")

_END_PART = text(f"""
UPDATE job_parts
SET state = :state, file = :file, file_bytes = :size, errors = CAST(:errors AS jsonb), lease_until = NULL
{_HELD}
""")  # noqa: S608

_COUNT_PART = text("""
UPDATE jobs SET status = 'running', started_at = COALESCE(started_at, now()),
                parts_ended = parts_ended + 1, series_completed = series_completed + :completed,
                series_failed = series_failed + :failed, refunded = refunded + :failed
WHERE id = CAST(:job_id AS uuid)
RETURNING parts_ended = parts_total AS all_ended, series_completed
""")

_QUEUE_ASSEMBLY = text("""
UPDATE job_parts SET state = 'queued'
WHERE job_id = CAST(:job_id AS uuid) AND number = :number AND state = 'waiting'
""")

_FAIL_PART = text("""
UPDATE job_parts SET state = 'failed', errors = CAST(:errors AS jsonb), lease_until = NULL
WHERE job_id = CAST(:job_id AS uuid) AND number = :number
""")

# The commit of this transaction returns when it is on disk.
_END_JOB = text("""
UPDATE jobs SET status = :status, refunded = refunded + :refunded, completed_at = now(),
                expires_at = now() + make_interval(secs => :ttl),
                result_file = :file, result_bytes = :size, result_etag = :etag
WHERE id = CAST(:job_id AS uuid)
RETURNING set_config('synchronous_commit', 'on', true)
""")


def claim_next(
    connection: Connection, *, worker: str, lease: float, bounds: Mapping[str, int], requests: Requests, ttl: float
) -> Claim | None:
    """Claims the part whose turn it is (`worker.turns`); None when there is none. Its job is running from then on.

    A job that this version cannot read fails, and all of it is given back.
    """
    turn = claim_turn(connection, worker=worker, lease=lease, bounds=bounds)
    if turn is None:
        return None
    part = turn.part
    job_id = str(part.job_id)
    try:
        request = requests.of(connection, job_id)
    except (KalpiError, LookupError, TypeError, ValueError) as error:
        log.exception("job_unreadable", job_id=job_id)
        _fail_job(connection, job_id, part.number, f"cannot be read by this version: {error}", ttl)
        return None
    return Claim(
        job_id=job_id,
        number=part.number,
        attempt=part.attempt,
        worker=worker,
        symbols=tuple(part.symbols),
        request=request,
        data_version=part.data_version,
        parts_total=part.parts_total,
        bounded_user=turn.user_id if turn.bounded else None,
    )


def renew(connection: Connection, claim: Claim, lease: float) -> bool:
    """Whether the claim still holds; if so, for `lease` seconds from now."""
    return connection.execute(_RENEW, {**_place(claim), "lease": lease}).rowcount == 1


def release(connection: Connection, claim: Claim) -> bool:
    """Queues the part for another attempt; the sweeper rings for it."""
    return connection.execute(_RELEASE, _place(claim)).rowcount == 1


def complete_part(
    connection: Connection,
    claim: Claim,
    file: StoredFile,
    errors: Sequence[SeriesError],
    ttl: float,
) -> Outcome:
    """Records the piece of a part and the series that failed in it, which are given back to the user.

    If it is the job's only part, the file is its result, and the job has ended.
    """
    return _end_part(connection, claim, "completed", file=file, errors=errors, ttl=ttl)


def fail_part(connection: Connection, claim: Claim, reason: str, ttl: float) -> Outcome:
    """Gives a part up for good, and all its series back to the user. A failed assembly fails the job."""
    if claim.is_assembly:
        return _fail_assembly(connection, claim, reason, ttl)
    errors = [SeriesError(symbol, label, reason) for symbol in claim.symbols for label in claim.request.labels]
    return _end_part(connection, claim, "failed", file=None, errors=errors, ttl=ttl)


def complete_assembly(connection: Connection, claim: Claim, result: StoredFile, ttl: float) -> Outcome:
    """Ends the job with its result."""
    if _lock_job(connection, claim.job_id) is None or not _mark(connection, claim, "completed", result, None):
        return Outcome.REFUSED
    _end_job(connection, claim.job_id, "completed", ttl, result=result)
    return Outcome.JOB_ENDED


def _end_part(
    connection: Connection,
    claim: Claim,
    state: str,
    *,
    file: StoredFile | None,
    errors: Sequence[SeriesError],
    ttl: float,
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
    if not counted.series_completed:
        cancel_parts(connection, claim.job_id)  # the assembly, if there is one
        _end_job(connection, claim.job_id, "failed", ttl)
        return Outcome.JOB_ENDED
    if claim.is_whole:
        _end_job(connection, claim.job_id, "completed", ttl, result=file)
        return Outcome.JOB_ENDED
    connection.execute(_QUEUE_ASSEMBLY, {"job_id": claim.job_id, "number": job.parts_total})
    return Outcome.ASSEMBLY_QUEUED


def _fail_assembly(connection: Connection, claim: Claim, reason: str, ttl: float) -> Outcome:
    job = _lock_job(connection, claim.job_id)
    if job is None or not _mark(connection, claim, "failed", None, _of_the_job(reason)):
        return Outcome.REFUSED
    _give_all_back(connection, job, ttl)
    return Outcome.JOB_ENDED


def _fail_job(connection: Connection, job_id: str, number: int, reason: str, ttl: float) -> None:
    """Ends a job that lives, whatever its parts are at; part `number` says why."""
    job = _lock_job(connection, job_id)
    if job is None:
        return
    errors = orjson.dumps(_of_the_job(reason)).decode()
    connection.execute(_FAIL_PART, {"job_id": job_id, "number": number, "errors": errors})
    cancel_parts(connection, job_id)
    _give_all_back(connection, job, ttl)


def _of_the_job(reason: str) -> list[dict[str, str | None]]:
    """The errors of a part, where the fault is the whole job's."""
    return [{"symbol": None, "indicator": None, "detail": reason}]


def _give_all_back(connection: Connection, job: Row[Any], ttl: float) -> None:
    """Fails a job that is locked, and gives back what has not been given back yet."""
    unpaid = job.cost - job.refunded
    refund(connection, job.user_id, unpaid, job.charged_on)
    _end_job(connection, str(job.id), "failed", ttl, refunded=unpaid)


def _place(claim: Claim) -> dict[str, Any]:
    return {"job_id": claim.job_id, "number": claim.number, "attempt": claim.attempt, "worker": claim.worker}


def _lock_job(connection: Connection, job_id: str) -> Row[Any] | None:
    return connection.execute(_LOCK_JOB, {"job_id": job_id}).one_or_none()


def _mark(
    connection: Connection,
    claim: Claim,
    state: str,
    file: StoredFile | None,
    errors: Sequence[Mapping[str, str | None]] | None,
) -> bool:
    encoded = None if errors is None else orjson.dumps(errors).decode()
    name, size = (file.name, file.size) if file is not None else (None, None)
    values = {**_place(claim), "state": state, "file": name, "size": size, "errors": encoded}
    return connection.execute(_END_PART, values).rowcount == 1


def _end_job(
    connection: Connection,
    job_id: str,
    status: str,
    ttl: float,
    *,
    refunded: int = 0,
    result: StoredFile | None = None,
) -> None:
    connection.execute(
        _END_JOB,
        {
            "job_id": job_id,
            "status": status,
            "ttl": ttl,
            "refunded": refunded,
            "file": result.name if result else None,
            "size": result.size if result else None,
            "etag": result.etag if result else None,
        },
    )
    announce_end(connection, job_id)
