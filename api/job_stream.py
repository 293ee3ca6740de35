"""A job as Server-Sent Events: each is of the job as it is then, and carries how far that is as its id.

So any process can go on after any event. What the client is too slow for is left out, not kept.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from uuid import UUID

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from api.job_watch import JobWatch, Moment
from api.schemas.jobs import Job
from common.errors import NotFound, Unavailable

_RETRY = b"retry: 2000\n\n"
"""Milliseconds after which a client whose stream broke off asks again."""

_ALIVE = b": alive\n\n"
_KEEP_ALIVE_SECONDS = 15.0

_PACE_SECONDS = 0.1
"""Between two events, if the second is not the end."""

_LONGEST_SECONDS = 3_600.0
"""Then the stream ends; the client asks for the rest, with a token that is still good."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A job at some moment."""

    id: UUID
    moment: Moment
    job: Job

    @property
    def event_id(self) -> str:
        return str(self.moment.step)

    @property
    def event(self) -> bytes:
        name = self.job.status.value if self.moment.has_ended else "progress"
        data = self.job.model_dump_json(exclude_unset=True)
        return f"event: {name}\nid: {self.event_id}\ndata: {data}\n\n".encode()


Show = Callable[[], Awaitable[Scene]]
"""The job now. Raises NotFound, and Unavailable."""


async def job_events(
    watch: JobWatch, show: Show, scene: Scene, seen: str | None, *, keep_alive: float = _KEEP_ALIVE_SECONDS
) -> AsyncGenerator[bytes]:
    """The stream from `scene` on, which is left out if its id is `seen`; a comment where nothing happens for so long.

    It ends with the job, and before that when the process does or the job is forgotten. While PostgreSQL is away it
    goes on.
    """
    clock = asyncio.get_running_loop().time
    deadline = clock() + _LONGEST_SECONDS
    yield _RETRY
    if scene.event_id != seen:
        yield scene.event
    while not scene.moment.has_ended:
        await watch.wait(scene.id, _PACE_SECONDS)  # the end is told at once
        moved = await watch.wait(scene.id, keep_alive, beyond=scene.moment)
        if watch.is_closing or clock() > deadline:
            return
        if not moved:
            yield _ALIVE
            continue
        try:
            scene = await show()
        except Unavailable:  # the watch goes on looking
            continue
        except NotFound:
            return
        yield scene.event


class JobStream(StreamingResponse):
    """Sends `events` until they end or the client leaves; meanwhile `place` is taken."""

    media_type = "text/event-stream"

    def __init__(self, events: AsyncGenerator[bytes], place: AbstractContextManager[None]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events
        self._place = place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with aclosing(self._events):
            with self._place:
                await super().__call__(scope, receive, send)
