"""For operators and their machines: liveness, readiness, metrics."""

import asyncio

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api import metrics
from api.caller import refuse_unknown_query
from api.state import ServicesDep

router = APIRouter(tags=["operations"], dependencies=[Depends(refuse_unknown_query)])


@router.get("/health/live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/health/ready", responses={503: {"description": "At least one part does not answer."}})
async def ready(services: ServicesDep) -> JSONResponse:
    """Whether PostgreSQL, Redis, a worker and the data are there, each named with its state."""
    parts = await services.health.look()
    is_ready = all(state == "ok" for state in parts.values())
    body = {
        "status": "ready" if is_ready else "unavailable",
        "checks": {name: {"status": "ok" if s == "ok" else "failed", "detail": s} for name, s in parts.items()},
    }
    return JSONResponse(body, 200 if is_ready else 503, headers={} if is_ready else {"Retry-After": "2"})


@router.get("/metrics", response_class=Response)
async def exposition(services: ServicesDep) -> Response:
    """Metrics in Prometheus' text format: of this API, and of the queues of the whole service."""
    own = await asyncio.to_thread(metrics.exposition)
    return Response(own + await services.queue_metrics.exposition(), media_type=CONTENT_TYPE_LATEST)
