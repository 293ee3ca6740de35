"""GET /v1/indicators/{name}/values: one indicator of one symbol, at once."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from api import metrics
from api.admission import Admission, insist
from api.caller import credentials as get_credentials
from api.jobs import submit_query
from api.negotiation import etag_matches, form_for, preferred_wait
from api.results import Fetched
from api.schemas.values import VALUES_OPENAPI
from api.state import Services
from api.state import services as get_services
from api.values import Plan, plan_values
from common.errors import KalpiError

router = APIRouter(tags=["values"])


@router.get("/v1/indicators/{name}/values", openapi_extra=VALUES_OPENAPI, response_class=Response)
async def values(name: str, request: Request) -> Response:
    """The values of an indicator over a window of dates, from the cache or computed now."""
    # Called directly and not as dependencies: solving those would be a quarter of a cached request.
    services = await get_services(request)
    credentials = await get_credentials(request, services)
    state = request.scope["state"]
    manifest = services.manifest.current()
    try:
        plan = plan_values(name, request.query_params, form_for(request.headers.get("accept")), manifest)
        wait = preferred_wait(request.headers.get("prefer"))
    except KalpiError:
        # 401 comes before whatever is wrong with the question, and costs a look at PostgreSQL, but no series.
        state["standing"] = await services.admissions.standing(credentials.session_id)
        raise
    admission = await services.admissions.claim(credentials.session_id, plan.rank)
    state["standing"] = admission.standing
    insist(admission, plan.rank, services.clock())
    try:
        return await _answer(request, services, plan, admission, wait)
    except BaseException:
        services.admissions.give_back(admission)
        raise


async def _answer(
    request: Request, services: Services, plan: Plan, admission: Admission, wait: float | None
) -> Response:
    query = plan.query_for(admission.standing.tier)
    patience = services.settings.cold_wait_seconds if wait is None else wait
    fetched = await services.results.fetch(query, plan.data_version, patience)
    if fetched is None:
        job_id = await submit_query(services, query, admission.standing)
        location = f"/v1/jobs/{job_id}"
        return Response(status_code=202, headers={"Location": location, "Retry-After": "1"})
    metrics.count_values(hit=fetched.hit)
    if etag_matches(request.headers.get("if-none-match"), fetched.answer.etag):
        services.admissions.give_back(admission)
        state = request.scope["state"]
        state["standing"] = admission.before
        return Response(status_code=304, headers=_headers(fetched))
    return Response(fetched.answer.body, headers=_headers(fetched), media_type=query.form.media_type)


def _headers(fetched: Fetched) -> dict[str, str]:
    return {
        "ETag": fetched.answer.etag,
        "X-Cache": "HIT" if fetched.hit else "MISS",
        "Cache-Control": "private, no-cache",
        "Vary": "Accept, Authorization",
    }
