"""Jobs: batches over symbols × indicators × parameter grids."""

from datetime import UTC, datetime
from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response, status

from api.admission import not_allowed, seconds_left
from api.caller import Caller, CredentialsDep
from api.document import problem_response
from api.idempotency import read_key
from api.job_body import JobPlan, read_job
from api.job_ids import read_job_id
from api.jobs import cancel_job, find_accepted, find_job, list_jobs, submit_job
from api.negotiation import etag_matches, preferred_wait, read_wait
from api.paging import from_token, to_token
from api.result_store import open_stored
from api.schemas.jobs import RESULT_RESPONSES, SUBMIT_OPENAPI, Estimate, Job, Jobs
from api.state import Services, ServicesDep
from api.stored_file import Stored, StoredFile, serve, unchanged
from common.errors import Conflict, Gone, InvalidParameters, QuotaExceeded
from common.jobs import ENDED, JobState, TableFormat
from common.quota import Standing

router = APIRouter(tags=["jobs"])


@router.post(
    "/v1/jobs",
    status_code=status.HTTP_202_ACCEPTED,
    response_model=Job,
    response_model_exclude_unset=True,
    response_description="Accepted; `Location` is where to look.",
    openapi_extra=SUBMIT_OPENAPI,
    responses={
        200: {
            "model": Job | Estimate,
            "description": "It has ended in the time to wait; or, with `validate_only`, what it would cost.",
        },
        409: problem_response("A request with the same `Idempotency-Key` is still being accepted."),
    },
)
async def submit(
    request: Request,
    response: Response,
    caller: Caller,
    services: ServicesDep,
    *,
    validate_only: Annotated[
        bool, Query(description="Check and price the job; nothing is started or counted.")
    ] = False,
) -> Job | Response:
    """Start a job. It costs symbols × series; what fails or is cancelled is given back."""
    wait = preferred_wait(request.headers.get("prefer")) or 0
    body = await request.body()
    key = None if validate_only else read_key(request.headers.get("idempotency-key"), body)
    accepted = None
    if key is not None:
        accepted = await services.database.run(partial(find_accepted, user_id=caller.user_id, key=key))
    if accepted is None:
        plan = read_job(body, services.manifest.current(), caller.tier, services.job_bounds)
        if plan.rank > caller.tier.rank:
            raise not_allowed(plan.rank)
        if validate_only:
            return _estimate(plan, caller, services)
        accepted, request.scope["state"]["standing"] = await submit_job(services, plan, caller, key)
    job = Job.of(accepted)
    if wait:
        await services.job_watch.wait(accepted.id, wait)
        job = await services.database.run(lambda c: Job.of(find_job(c, caller.user_id, accepted.id)))
    response.headers["Location"] = job.urls.self
    if not accepted.is_new:
        response.headers["Idempotent-Replayed"] = "true"
    if job.status in ENDED:
        response.status_code = status.HTTP_200_OK
    else:
        response.headers["Retry-After"] = "1"
    return job


def _estimate(plan: JobPlan, caller: Standing, services: Services) -> Response:
    """What a job would cost. Raises what would keep it from being accepted now."""
    cost = plan.request.cost
    if caller.remaining is not None and cost > caller.remaining:
        raise QuotaExceeded(seconds_left(caller, services.clock()))
    remaining = None if caller.remaining is None else caller.remaining - cost
    estimate = Estimate(cost=cost, series=len(plan.request.series), rows=plan.rows, remaining_after=remaining)
    return Response(estimate.model_dump_json(), media_type="application/json")


@router.get("/v1/jobs", response_model_exclude_unset=True)
async def jobs(
    caller: Caller,
    services: ServicesDep,
    status: Annotated[JobState | None, Query(description="Only jobs in this state.")] = None,
    page_size: Annotated[int, Query(ge=1, le=100)] = 20,
    page_token: Annotated[str | None, Query(max_length=200)] = None,
) -> Jobs:
    """The caller's jobs, newest first."""
    before = None if page_token is None else _key(page_token)
    page = await services.database.run(lambda c: list_jobs(c, caller.user_id, status, page_size, before))
    token = None if page.before is None else to_token(f"{page.before[0].isoformat()} {page.before[1]}")
    return Jobs(jobs=[Job.of(row) for row in page.rows], next_page_token=token)


@router.get("/v1/jobs/{job_id}", response_model_exclude_unset=True)
async def job(
    job_id: str,
    caller: Caller,
    services: ServicesDep,
    wait: Annotated[str | None, Query(description="Seconds to wait for an end, 0 to 60.")] = None,
) -> Job:
    """How a job stands."""
    key = read_job_id(job_id)
    seconds = 0 if wait is None else read_wait(wait, ("query", "wait"))
    found = await services.database.run(lambda c: Job.of(find_job(c, caller.user_id, key)))
    if seconds and found.status not in ENDED:
        await services.job_watch.wait(key, seconds)
        found = await services.database.run(lambda c: Job.of(find_job(c, caller.user_id, key)))
    return found


@router.post(
    "/v1/jobs/{job_id}/cancel",
    response_model_exclude_unset=True,
    status_code=status.HTTP_202_ACCEPTED,
    responses={409: problem_response("It has ended otherwise.")},
)
async def cancel(
    job_id: str, request: Request, caller: Caller, credentials: CredentialsDep, services: ServicesDep
) -> Job:
    """Stop a job; the series that have not ended are given back."""
    key = read_job_id(job_id)
    ttl = services.settings.job_ttl_seconds
    await services.database.run(lambda c: cancel_job(c, caller.user_id, key, ttl))
    await services.job_watch.announce(key)
    request.scope["state"]["standing"] = await services.admissions.standing(credentials.session_id)
    return await services.database.run(lambda c: Job.of(find_job(c, caller.user_id, key)))


@router.get(
    "/v1/jobs/{job_id}/result",
    status_code=status.HTTP_200_OK,
    responses=RESULT_RESPONSES | {416: problem_response("`Range` names nothing of it.")},
    response_class=StoredFile,
)
async def result(job_id: str, request: Request, caller: Caller, services: ServicesDep) -> Response:
    """The table of a completed job."""
    key = read_job_id(job_id)
    row = await services.database.run(lambda c: find_job(c, caller.user_id, key))
    if row.status == JobState.EXPIRED:
        raise Gone(f"Job {job_id} has expired")
    if row.status != JobState.COMPLETED:
        raise Conflict(_no_result(job_id, row.status))
    form = TableFormat(row.format)
    stored = Stored(row.result_file, row.result_bytes, row.result_etag, form.media_type, f"kalpi-{row.id}.{form}")
    if etag_matches(request.headers.get("if-none-match"), stored.etag):
        return unchanged(stored)
    opened = await open_stored(services.result_store, stored)
    if opened is None:
        raise Gone(f"The result of job {job_id} is no longer stored")
    return serve(request, stored, opened)


def _no_result(job_id: str, state: str) -> str:
    match state:
        case JobState.FAILED:
            return f"Job {job_id} has failed and has no result; its errors say why"
        case JobState.CANCELLED:
            return f"Job {job_id} was cancelled and has no result"
    return f"Job {job_id} is {state}; its result is not there yet"


def _key(token: str) -> tuple[datetime, UUID]:
    moment, _, job_id = from_token(token).partition(" ")
    try:
        return datetime.fromisoformat(moment).astimezone(UTC), UUID(job_id)
    except (ValueError, OverflowError):
        raise InvalidParameters.one(("query", "page_token"), "is not a next_page_token of this list") from None
