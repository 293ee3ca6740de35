"""A job as a stream of events: Server-Sent Events, as browsers and many clients read them."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from api.caller import Caller
from api.document import problem_response
from api.job_ids import read_job_id
from api.job_watch import Moment
from api.jobs import find_job
from api.negotiation import takes
from api.schemas.jobs import Job
from api.state import Services, ServicesDep
from common.errors import NotAcceptable, NotFound, TooManyRequests, Unavailable

router = APIRouter(tags=["jobs"])

MEDIA_TYPE = "text/event-stream"

MAX_STREAMS = 20
"""Of one user, in one process."""

_KEEP_ALIVE_SECONDS = 15.0
_LONGEST_SECONDS = 3600.0
"""Then the stream ends, and the client takes it up again with `Last-Event-ID`."""

_RETRY = b"retry: 2000\n\n"
_ALIVE = b": alive\n\n"
_RETRY_AFTER = 5

_streams: Counter[int] = Counter()

_EXAMPLE = """retry: 2000

event: progress
id: running.3
data: {"id": "…", "status": "running", "progress": 0.75, …}

event: completed
id: completed.4
data: {"id": "…", "status": "completed", "progress": 1.0, …}

"""

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`progress` as often as the job moves on, then `completed`, `failed`, `cancelled` or `expired`.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    204: {"description": "`Last-Event-ID` is that of the last event: there will be no other."},
    406: problem_response("`Accept` does not take text/event-stream."),
}

_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "example": "running.3"},
    "description": "The event seen last; the stream goes on after it.",
}


@router.get(
    "/v1/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses=_RESPONSES,
    openapi_extra={"parameters": [_LAST_EVENT_ID]},
)
async def events(job_id: str, request: Request, caller: Caller, services: ServicesDep) -> Response:
    """The job as it moves on, by Server-Sent Events. The data of each is the job as it is then."""
    key = read_job_id(job_id)
    if not takes(request.headers.get("accept"), MEDIA_TYPE):
        raise NotAcceptable(request.headers["accept"][:200], [MEDIA_TYPE])
    scene = await _look(services, caller.user_id, key)
    seen = request.headers.get("last-event-id")
    if scene.has_ended and seen == scene.event_id:
        return Response(status_code=204)
    if _streams[caller.user_id] >= MAX_STREAMS:
        raise TooManyRequests(_RETRY_AFTER)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = _counted(caller.user_id, _follow(services, caller.user_id, key, scene, seen))
    return StreamingResponse(stream, headers=headers, media_type=MEDIA_TYPE)


@dataclass(frozen=True, slots=True)
class Scene:
    """A job as it is at some moment."""

    job: Job
    moment: Moment

    @property
    def has_ended(self) -> bool:
        return self.moment.has_ended

    @property
    def event_id(self) -> str:
        """The same wherever it is asked for."""
        return f"{self.moment.status}.{self.moment.parts_ended}"

    @property
    def event(self) -> bytes:
        name = self.moment.status if self.has_ended else "progress"
        data = self.job.model_dump_json(exclude_unset=True)
        return f"event: {name}\nid: {self.event_id}\ndata: {data}\n\n".encode()


async def _counted(user_id: int, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    _streams[user_id] += 1
    try:
        async for chunk in stream:
            yield chunk
    finally:
        _streams[user_id] -= 1
        if not _streams[user_id]:
            del _streams[user_id]


async def _follow(services: Services, user_id: int, key: UUID, scene: Scene, seen: str | None) -> AsyncIterator[bytes]:
    """Each event is of the job as it is when there is room for it, so whoever reads slowly gets fewer."""
    deadline = monotonic() + _LONGEST_SECONDS
    yield _RETRY
    if scene.event_id != seen:
        yield scene.event
    while not scene.has_ended and monotonic() < deadline:
        try:
            moved = await services.job_watch.next(key, scene.moment, _KEEP_ALIVE_SECONDS)
            if moved is not None:
                scene = await _look(services, user_id, key)
        except Unavailable:
            moved = None
        except NotFound:  # it was forgotten
            return
        yield scene.event if moved is not None else _ALIVE


async def _look(services: Services, user_id: int, key: UUID) -> Scene:
    """Raises NotFound and Unavailable."""
    row = await services.database.run(lambda c: find_job(c, user_id, key))
    return Scene(Job.of(row), Moment(row.status, row.parts_ended))
