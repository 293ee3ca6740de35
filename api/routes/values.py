"""GET /v1/indicators/{name}/values: one indicator of one symbol, at once."""

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api import metrics
from api.admission import Admission, insist
from api.caller import credentials as get_credentials
from api.document import problem_response
from api.health import WORKER_SECONDS
from api.jobs import submit_query
from api.negotiation import etag_matches, form_for, preferred_wait
from api.results import Fetched
from api.schemas.values import VALUES_OPENAPI
from api.security import Credentials
from api.state import Services
from api.state import services as get_services
from common.errors import KalpiError, Unavailable
from common.plan import Plan, plan_values
from common.query import IndicatorQuery, Interval

router = APIRouter(tags=["values"])


@router.get(
    "/v1/indicators/{name}/values",
    openapi_extra=VALUES_OPENAPI,
    responses={406: problem_response("None of the forms in `Accept` is served.")},
    response_class=Response,
)
async def values(name: str, request: Request) -> Response:
    """The values of an indicator over a window of dates, from the cache or computed now."""
    # Called directly and not as dependencies: solving those would be a quarter of a cached request.
    services = await get_services(request)
    credentials = await get_credentials(request, services)
    state = request.scope["state"]
    manifest = services.manifest.current()
    try:
        plan = plan_values(name, request.query_params.multi_items(), form_for(request.headers.get("accept")), manifest)
        wait = preferred_wait(request.headers.get("prefer"))
    except KalpiError:
        # 401 comes before whatever is wrong with the question, and costs a look at PostgreSQL, but no series.
        state["standing"] = await services.admissions.standing(credentials.session_id)
        raise
    held = request.headers.get("if-none-match")
    if held is not None:
        unchanged = await _unchanged(request, services, plan, credentials, held)
        if unchanged is not None:
            return unchanged
    admission = await services.admissions.claim(credentials.session_id, plan.rank)
    state["standing"] = admission.standing
    insist(admission, plan.rank, services.clock())
    try:
        return await _answer(request, services, plan, admission, wait)
    except BaseException:
        services.admissions.give_back(admission)
        raise


async def _unchanged(
    request: Request, services: Services, plan: Plan, credentials: Credentials, held: str
) -> Response | None:
    """304 when the caller holds the current answer: nothing is charged, so it needs nothing left of the day."""
    standing = await services.admissions.standing(credentials.session_id)
    if plan.rank > standing.tier.rank:
        return None
    query = plan.query_for(standing.tier)
    answer = await services.results.cached(query, plan.data_version)
    if answer is None or not etag_matches(held, answer.etag):
        return None
    request.scope["state"]["standing"] = standing
    return Response(status_code=304, headers=_headers(plan, query, Fetched(answer, hit=True)))


async def _answer(
    request: Request, services: Services, plan: Plan, admission: Admission, wait: float | None
) -> Response:
    query = plan.query_for(admission.standing.tier)
    if wait is None:
        fetched = await _fetch_from_a_worker_that_lives(services, query, plan.data_version)
    else:
        fetched = await services.results.fetch(query, plan.data_version, wait)
    if fetched is None:
        job_id = await submit_query(services, query, admission.standing)
        location = f"/v1/jobs/{job_id}"
        return Response(status_code=202, headers={"Location": location, "Retry-After": "1"})
    metrics.count_values(hit=fetched.hit)
    if etag_matches(request.headers.get("if-none-match"), fetched.answer.etag):
        services.admissions.give_back(admission)
        state = request.scope["state"]
        state["standing"] = admission.before
        return Response(status_code=304, headers=_headers(plan, query, fetched))
    return Response(fetched.answer.body, headers=_headers(plan, query, fetched), media_type=query.form.media_type)


async def _fetch_from_a_worker_that_lives(
    services: Services, query: IndicatorQuery, data_version: str
) -> Fetched | None:
    """The answer within the usual wait. Raises Unavailable when by then no worker gives a sign of life.

    None means that workers live and have not come to it yet. Whoever names a wait of their own is not told apart.
    """
    wait = services.settings.cold_wait_seconds
    fetched = await services.results.fetch(query, data_version, max(0.0, wait - WORKER_SECONDS))
    if fetched is not None:
        return fetched
    parts, fetched = await asyncio.gather(
        services.health.look(), services.results.fetch(query, data_version, min(wait, WORKER_SECONDS))
    )
    if fetched is None and parts["worker"] != "ok":
        raise Unavailable("worker")
    return fetched


def _headers(plan: Plan, query: IndicatorQuery, fetched: Fetched) -> dict[str, str]:
    headers = {
        "ETag": fetched.answer.etag,
        "X-Cache": "HIT" if fetched.hit else "MISS",
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, Authorization",
    }
    if query.interval is not Interval.DAY:
        headers["X-Last-Bar-Final"] = "true" if plan.last_bar_final(query) else "false"
    return headers
