"""Jobs in PostgreSQL, as the API changes and shows them: submitted, found, listed, cancelled.

Rows are locked in the order of `worker.transitions`: the job, its parts, the user.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from uuid import UUID, uuid4

import structlog
from sqlalchemy import Connection, Row, insert, text, update

from api import metrics
from api.admission import seconds_left
from api.job_body import JobPlan
from api.job_warnings import warnings_of
from api.publisher import Message
from api.state import Services
from common.broker import PART
from common.dataset import Manifest
from common.db.tables import job_parts, jobs
from common.errors import Conflict, NotFound, QuotaExceeded, Unavailable
from common.jobs import LIVE, JobRequest, JobState, PartState, Series, TableFormat, cut
from common.query import BARS, IndicatorQuery
from common.quota import Charged, Standing, charge_whole, refund

log = structlog.get_logger()

MAX_ERRORS = 1_000
"""Failed series a job shows; a page of jobs shows fewer of each."""
_MAX_ERRORS_LISTED = 100

# A job whose time is over has expired, whether or not the sweeper has come by.
_STATUS = "CASE WHEN j.expires_at <= now() THEN 'expired' ELSE j.status END"

_SHOWN = f"""
SELECT j.id, {_STATUS} AS status, j.created_at, j.started_at, j.completed_at, j.expires_at, j.format,
       j.cost, j.refunded, j.series_completed, j.series_failed, j.parts_total, j.parts_ended,
       j.result_file, j.result_bytes, j.result_etag, j.request -> 'warnings' AS warnings, failed.errors
FROM jobs j
LEFT JOIN LATERAL (
    SELECT jsonb_agg(error) AS errors FROM (
        SELECT error FROM job_parts p, jsonb_array_elements(p.errors) WITH ORDINALITY AS e(error, place)
        WHERE p.job_id = j.id AND p.errors IS NOT NULL
        ORDER BY p.number, e.place LIMIT :most_errors
    ) first_ones
) failed ON true
WHERE j.user_id = :user_id
"""  # noqa: S608 - made of constants of ours

_FIND = text(f"{_SHOWN} AND j.id = :job_id")

_LIST = text(f"""{_SHOWN}
AND (CAST(:status AS text) IS NULL OR {_STATUS} = :status)
AND (CAST(:before_at AS timestamptz) IS NULL OR (j.created_at, j.id) < (:before_at, CAST(:before_id AS uuid)))
ORDER BY j.created_at DESC, j.id DESC LIMIT :size
""")

_LOCK = text("""
SELECT status, cost, series_completed, series_failed, charged_on FROM jobs
WHERE id = :job_id AND user_id = :user_id FOR NO KEY UPDATE
""")

_CANCEL_PARTS = text("""
UPDATE job_parts SET state = 'cancelled', lease_until = NULL
WHERE job_id = :job_id AND state IN ('waiting', 'queued', 'running')
""")

_CANCEL = text("""
UPDATE jobs SET status = 'cancelled', refunded = refunded + :unfinished, completed_at = now(),
                expires_at = now() + make_interval(secs => :ttl)
WHERE id = :job_id
""")


@dataclass(frozen=True, slots=True)
class Draft:
    """What a job is made of, before it is anybody's."""

    request: JobRequest
    data_version: str
    parts: Sequence[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs from newest to oldest; `before` is the key of the next page's first, None on the last page."""

    rows: Sequence[Row[Any]]
    before: tuple[datetime, UUID] | None


async def submit_job(services: Services, plan: JobPlan, standing: Standing) -> tuple[UUID, Standing]:
    """Records and charges a job in one transaction, then tells the workers. Returns its id and the new standing.

    Raises QuotaExceeded when the user has less left than it costs; nothing is counted then.
    """
    return await _submit(services, plan.request, standing)


async def submit_query(services: Services, query: IndicatorQuery, standing: Standing) -> tuple[UUID, Standing]:
    """As `submit_job`, for a single query that nobody has been charged for."""
    bars = query.indicator == BARS
    series = Series(query.spec.label(dict(query.params)), query.indicator, query.params) if not bars else None
    request = JobRequest(
        symbols=(query.symbol,),
        series=(series,) if series is not None else (),
        start_date=query.start_date,
        end_date=query.end_date,
        format=TableFormat(query.form.value),
        interval=query.interval,
        warmup=query.warmup,
        include_ohlcv=bars or query.include_ohlcv,
    )
    return await _submit(services, request, standing)


async def _submit(services: Services, request: JobRequest, standing: Standing) -> tuple[UUID, Standing]:
    job_id = uuid4()
    draft = make_draft(request, services.manifest.current(), services.settings.part_cells)
    cost = draft.request.cost
    today = services.clock().date()

    def record(connection: Connection) -> Charged:
        record_job(connection, job_id, draft, standing.user_id, today)
        # Last, since whoever else counts for this user waits until the end of the transaction.
        charged = charge_whole(connection, standing.user_id, cost, today)
        if charged is None:
            raise QuotaExceeded(seconds_left(standing, services.clock()))
        if charged.day != today:  # this process's clock lags behind
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(charged_on=charged.day))
        return charged

    charged = await services.database.run(record)
    await _publish(services, job_id, draft, standing.user_id)
    return job_id, standing._replace(used=charged.used, day=charged.day)


def make_draft(request: JobRequest, manifest: Manifest, part_cells: int) -> Draft:
    """The parts of a job: each about `part_cells` rows × columns."""
    rows = {symbol: max(1, manifest.find(symbol).rows // request.interval.days) for symbol in request.symbols}
    parts = cut(request.symbols, rows, len(request.columns), part_cells)
    return Draft(replace(request, warnings=warnings_of(request, manifest)), manifest.data_version, parts)


def record_job(connection: Connection, job_id: UUID, draft: Draft, user_id: int, charged_on: date) -> None:
    """Parts count as published with the commit: if that does not come true, the sweeper publishes them."""
    created_at = connection.execute(
        insert(jobs)
        .values(
            id=job_id,
            user_id=user_id,
            request=draft.request.to_json(),
            format=draft.request.format.value,
            data_version=draft.data_version,
            cost=draft.request.cost,
            charged_on=charged_on,
            parts_total=len(draft.parts),
        )
        .returning(jobs.c.created_at)
    ).scalar_one()
    rows: list[dict[str, Any]] = [
        {"number": number, "symbols": list(symbols), "state": PartState.QUEUED.value, "published_at": created_at}
        for number, symbols in enumerate(draft.parts)
    ]
    rows.append({"number": len(draft.parts), "symbols": [], "state": PartState.WAITING.value, "published_at": None})
    connection.execute(insert(job_parts), [{"job_id": job_id, **row} for row in rows])


async def _publish(services: Services, job_id: UUID, draft: Draft, user_id: int) -> None:
    """Tells the workers of a job that is recorded; when that fails, the sweeper will."""
    metrics.count_job(draft.request.cost)
    log.info("job_submitted", job_id=str(job_id), user_id=user_id, cost=draft.request.cost, parts=len(draft.parts))
    messages = [
        Message(PART, {"job_id": str(job_id), "number": number}, f"{job_id}:{number}")
        for number in range(len(draft.parts))
    ]
    try:
        await services.publisher.send_many(messages)
    except Unavailable as error:
        log.warning("parts_unpublished", job_id=str(job_id), part=error.part)


def find_job(connection: Connection, user_id: int, job_id: UUID) -> Row[Any]:
    """Raises NotFound for the jobs of others too."""
    row = connection.execute(_FIND, {"user_id": user_id, "job_id": job_id, "most_errors": MAX_ERRORS}).one_or_none()
    if row is None:
        raise NotFound("job", str(job_id))
    return row


def list_jobs(
    connection: Connection,
    user_id: int,
    status: JobState | None,
    size: int,
    before: tuple[datetime, UUID] | None,
) -> Page:
    rows = connection.execute(
        _LIST,
        {
            "user_id": user_id,
            "status": status,
            "before_at": before[0] if before else None,
            "before_id": before[1] if before else None,
            "size": size + 1,
            "most_errors": _MAX_ERRORS_LISTED,
        },
    ).all()
    more = len(rows) > size
    page = rows[:size]
    return Page(page, (page[-1].created_at, page[-1].id) if more else None)


def cancel_job(connection: Connection, user_id: int, job_id: UUID, ttl: float) -> None:
    """Ends a job and gives back the series that have not ended. A cancelled job may be cancelled again.

    Raises NotFound, and Conflict when the job has ended otherwise.
    """
    job = connection.execute(_LOCK, {"job_id": job_id, "user_id": user_id}).one_or_none()
    if job is None:
        raise NotFound("job", str(job_id))
    if job.status == JobState.CANCELLED:
        return
    if job.status not in LIVE:
        raise Conflict(f"Job {job_id} is {job.status} and cannot be cancelled")
    unfinished = job.cost - job.series_completed - job.series_failed
    connection.execute(_CANCEL_PARTS, {"job_id": job_id})
    connection.execute(_CANCEL, {"job_id": job_id, "unfinished": unfinished, "ttl": ttl})
    refund(connection, user_id, unfinished, job.charged_on)
    log.info("job_cancelled", job_id=str(job_id), user_id=user_id, refunded=unfinished)
