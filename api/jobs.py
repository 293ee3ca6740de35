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
from api.accepted import Accepted
from api.admission import seconds_left
from api.idempotency import IdempotencyKey, find_key, keep_key, take_key
from api.job_body import JobPlan
from api.job_warnings import warnings_of
from api.publisher import Message
from api.state import Services
from common.broker import PART
from common.dataset import Manifest
from common.db.tables import job_parts, jobs
from common.errors import Conflict, NotFound, QuotaExceeded, TooManyRequests
from common.job_parts import cancel_parts
from common.jobs import LIVE, JobRequest, JobState, PartState, Series, TableFormat, cut
from common.part_costs import computing, writing
from common.query import BARS, IndicatorQuery
from common.quota import Charged, Standing, charge_whole, refund
from common.webhooks import announce_end

log = structlog.get_logger()

MAX_ERRORS = 1_000
"""Failed series a job shows; a page of jobs shows fewer of each."""
_MAX_ERRORS_LISTED = 100

_RETRY_SECONDS = 5
"""When it is worth asking again after too many jobs."""

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

_ACCEPTED = text("""
SELECT id, created_at, format, cost, request -> 'warnings' AS warnings FROM jobs WHERE id = :job_id
""")

_LOCK = text("""
SELECT status, cost, series_completed, series_failed, charged_on FROM jobs
WHERE id = :job_id AND user_id = :user_id FOR NO KEY UPDATE
""")

_LIVE = text("SELECT count(*) FROM jobs WHERE user_id = :user_id AND status IN ('queued', 'running')")

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
class Entry:
    """A job that somebody asks for."""

    job_id: UUID
    draft: Draft
    user_id: int
    webhook_url: str | None = None
    key: IdempotencyKey | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Jobs from newest to oldest; `before` is the key of the next page's first, None on the last page."""

    rows: Sequence[Row[Any]]
    before: tuple[datetime, UUID] | None


async def submit_job(
    services: Services, plan: JobPlan, standing: Standing, key: IdempotencyKey | None = None
) -> tuple[Accepted, Standing]:
    """Records and charges a job in one transaction, then tells the workers. Returns it and the new standing.

    Raises QuotaExceeded when the user has less left than it costs, TooManyRequests when they have as many jobs
    under way as they may; nothing is counted or kept then. With a key that has been accepted in the meantime, what
    is returned is the job it stands for.
    """
    return await _submit(services, plan.request, standing, plan.webhook_url, key)


async def submit_query(services: Services, query: IndicatorQuery, standing: Standing) -> tuple[Accepted, Standing]:
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


async def _submit(
    services: Services,
    request: JobRequest,
    standing: Standing,
    webhook_url: str | None = None,
    key: IdempotencyKey | None = None,
) -> tuple[Accepted, Standing]:
    now = services.clock()
    draft = make_draft(request, services.manifest.current(), services.settings.part_milliseconds)
    entry = Entry(uuid4(), draft, standing.user_id, webhook_url, key)
    most = services.job_bounds.jobs[standing.tier.name]
    left = seconds_left(standing, now)
    accepted, charged = await services.database.run(lambda c: accept_job(c, entry, now.date(), most, left))
    if charged is None:
        return accepted, standing
    _tell(services, entry)
    return accepted, standing._replace(used=charged.used, day=charged.day)


def accept_job(
    connection: Connection, entry: Entry, today: date, most: int, seconds_left: int
) -> tuple[Accepted, Charged | None]:
    """Records and charges a job; or finds the one its key stands for, which costs nothing.

    Raises QuotaExceeded when the rest of the day, `seconds_left`, does not allow so much, and TooManyRequests when the
    user would have more than `most` jobs under way. Nothing is kept when the caller rolls back.
    """
    if entry.key is not None:
        take_key(connection, entry.user_id, entry.key)
        earlier = find_accepted(connection, entry.user_id, entry.key)
        if earlier is not None:
            return earlier, None
    accepted = record_job(connection, entry, today)
    # Last, since whoever else counts for this user waits until the end of the transaction.
    charged = charge_whole(connection, entry.user_id, accepted.cost, today)
    if charged is None:
        raise QuotaExceeded(seconds_left)
    if connection.execute(_LIVE, {"user_id": entry.user_id}).scalar_one() > most:
        raise TooManyRequests(_RETRY_SECONDS)
    if charged.day != today:  # this process's clock lags behind
        connection.execute(update(jobs).where(jobs.c.id == entry.job_id).values(charged_on=charged.day))
    return accepted, charged


def make_draft(request: JobRequest, manifest: Manifest, part_milliseconds: float) -> Draft:
    """The parts of a job: each about `part_milliseconds` of work."""
    days, compute, write = request.interval.days, computing(request), writing(request)
    infos = [manifest.find(symbol) for symbol in request.symbols]
    window = request.start_date, request.end_date
    weights = [(info.rows * compute + info.rows_between(*window) * write) / days for info in infos]
    parts = cut(request.symbols, weights, part_milliseconds * 1e6)
    return Draft(replace(request, warnings=warnings_of(request, manifest)), manifest.data_version, parts)


def record_job(connection: Connection, entry: Entry, charged_on: date) -> Accepted:
    """The job, its parts, their assembly unless there is but one, and its key."""
    job_id, draft, user_id = entry.job_id, entry.draft, entry.user_id
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
            webhook_url=entry.webhook_url,
        )
        .returning(jobs.c.created_at)
    ).scalar_one()
    rows = [(list(symbols), PartState.QUEUED) for symbols in draft.parts]
    if len(draft.parts) > 1:
        rows.append(([], PartState.WAITING))
    common = {"job_id": job_id, "user_id": user_id, "accepted_at": created_at}
    values = [{**common, "number": i, "symbols": s, "state": state.value} for i, (s, state) in enumerate(rows)]
    connection.execute(insert(job_parts), values)
    if entry.key is not None:
        keep_key(connection, user_id, entry.key, job_id)
    return Accepted(job_id, created_at, draft.request.format, draft.request.cost, draft.request.warnings)


def find_accepted(connection: Connection, user_id: int, key: IdempotencyKey) -> Accepted | None:
    """The job that an earlier request with the key has made, if there was one. Raises as `find_key`."""
    job_id = find_key(connection, user_id, key)
    if job_id is None:
        return None
    row = connection.execute(_ACCEPTED, {"job_id": job_id}).one()
    return Accepted(row.id, row.created_at, row.format, row.cost, row.warnings or (), is_new=False)


def _tell(services: Services, entry: Entry) -> None:
    """Rings for the parts of a job that is recorded; the sweeper rings for those whose ring is lost."""
    job_id, cost, parts = str(entry.job_id), entry.draft.request.cost, len(entry.draft.parts)
    metrics.count_job(cost)
    log.info("job_submitted", job_id=job_id, user_id=entry.user_id, cost=cost, parts=parts)
    services.publisher.send_soon(
        [Message(PART, {"job_id": job_id, "number": number}, f"{job_id}:{number}") for number in range(parts)]
    )


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
    cancel_parts(connection, str(job_id))
    connection.execute(_CANCEL, {"job_id": job_id, "unfinished": unfinished, "ttl": ttl})
    refund(connection, user_id, unfinished, job.charged_on)
    announce_end(connection, str(job_id))
    log.info("job_cancelled", job_id=str(job_id), user_id=user_id, refunded=unfinished)
