"""A job followed by Server-Sent Events."""

from functools import partial
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response, status
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from api.caller import Caller
from api.document import problem_response
from api.job_ids import read_job_id
from api.job_stream import JobStream, Scene, job_events
from api.job_watch import Moment
from api.jobs import find_job
from api.negotiation import takes
from api.schemas.jobs import Job
from api.state import ServicesDep
from common.errors import NotAcceptable

router = APIRouter(tags=["jobs"])

_EXAMPLE = """\
retry: 2000

event: progress
id: 4
data: {"id":"0b0c3d39-8f0e-4f0f-9d3f-3b6e1c1f0a51","status":"running","progress":0.75,…}

event: completed
id: 5
data: {"id":"0b0c3d39-8f0e-4f0f-9d3f-3b6e1c1f0a51","status":"completed","progress":1.0,…}

"""

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "`progress` at once and as the job moves on, then one of `completed`, `failed`, `cancelled` and"
        " `expired`, with which the stream ends. The data of each is the job as GET of it has it.",
        "content": {JobStream.media_type: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    204: {"description": "`Last-Event-ID` is that of the last event: nothing comes any more."},
    406: problem_response("`Accept` excludes text/event-stream."),
}

_LAST_EVENT_ID = {
    "name": "Last-Event-ID",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "example": "4"},
    "description": "Id of the event seen last: if the job is where it was then, that is not sent again.",
}


@router.get(
    "/v1/jobs/{job_id}/events",
    status_code=status.HTTP_200_OK,
    response_class=StreamingResponse,
    responses=_RESPONSES,
    openapi_extra={"parameters": [_LAST_EVENT_ID]},
)
async def events(job_id: str, request: Request, caller: Caller, services: ServicesDep) -> Response:
    """Follow a job. Each event is the job as it is by then; what happened in between may be left out."""
    key = read_job_id(job_id)
    accept = request.headers.get("accept")
    if accept is not None and not takes(accept, JobStream.media_type):
        raise NotAcceptable(accept[:200], [JobStream.media_type])
    show = partial(services.database.run, partial(_scene, caller.user_id, key))
    scene = await show()
    seen = request.headers.get("last-event-id")
    if scene.moment.has_ended and scene.event_id == seen:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    return JobStream(job_events(services.job_watch, show, scene, seen), services.open_streams.one(caller.user_id))


def _scene(user_id: int, job_id: UUID, connection: Connection) -> Scene:
    """The job as it is. Raises NotFound."""
    row = find_job(connection, user_id, job_id)
    return Scene(row.id, Moment.of(row), Job.of(row))
