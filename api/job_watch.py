"""Waiting for jobs to move on: one statement at a time asks PostgreSQL for all who wait in this process.

A doorbell in Redis, rung when a part or a job has ended, makes it look at once. Where a ring is lost, it looks by
itself, often while somebody has just begun to wait, then less and less.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any
from uuid import UUID

import redis.asyncio
import structlog
from sqlalchemy import Connection, Row, text

from api.database import Database
from api.listener import listen
from common.errors import Unavailable
from common.jobs import ENDED, JobState
from common.redis import JOB_NEWS, REDIS_AWAY

log = structlog.get_logger()

_SHORTEST_PAUSE = 0.01
"""Seconds from one look to the next at least, however often it rings."""

_FIRST_PAUSE, _LAST_PAUSE, _GROWTH = 0.02, 0.25, 1.1
"""Seconds from one look to the next that nobody has rung for."""

_SILENCE_SECONDS = 10.0
"""Between two lines of the log about looks that fail."""

_MOMENTS = text("SELECT id, status, parts_ended, parts_total FROM jobs WHERE id = ANY(CAST(:ids AS uuid[]))")


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a job has come: `step` grows with all that is shown of it, and is the same for every kind of end."""

    step: int
    has_ended: bool

    @classmethod
    def of(cls, row: Row[Any]) -> "Moment":
        """Of a row with `status`, `parts_ended` and `parts_total`."""
        if row.status in ENDED:
            return cls(row.parts_total + 2, has_ended=True)
        return cls(0 if row.status == JobState.QUEUED else 1 + row.parts_ended, has_ended=False)


Look = Callable[[Sequence[UUID]], Awaitable[Mapping[UUID, Moment]]]
"""Finds out how far jobs have come; those that are no more are left out. May raise Unavailable."""


class JobWatch:
    """Looks while somebody waits, and not at all while nobody does. `start` before use, `close` after."""

    def __init__(self, look: Look, cache: redis.asyncio.Redis) -> None:
        self._look = look
        self._cache = cache
        self._waiting: dict[UUID, set[_Waiter]] = {}
        self._rung = asyncio.Event()
        self._pause = _FIRST_PAUSE
        self._complained_at = -inf
        self._watching: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self.is_closing = False

    def start(self) -> None:
        self._listening = asyncio.create_task(listen(self._cache, {JOB_NEWS: self.hear}))

    def let_go(self) -> None:
        """Nobody waits any longer, now or later: the process is about to end."""
        self.is_closing = True
        for waiter in self._all_who_wait():
            waiter.leave(moved=False)

    async def close(self) -> None:
        self.let_go()
        tasks = [task for task in (self._listening, self._watching) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def announce(self, job_id: UUID) -> None:
        """Rings in all API processes for a job that has moved on, if Redis is there."""
        try:
            await self._cache.publish(JOB_NEWS, str(job_id))
        except REDIS_AWAY as error:
            log.warning("news_lost", job_id=str(job_id), error=type(error).__name__)

    async def hear(self, job_id: bytes) -> None:
        """The doorbell rings for a job."""
        with suppress(ValueError):  # whatever that was
            if UUID(job_id.decode()) in self._waiting:
                self._rung.set()

    async def wait(self, job_id: UUID, seconds: float, *, beyond: Moment | None = None) -> bool:
        """Whether the job has ended, or come beyond that moment, or ceased to be, in `seconds`; returns once it has."""
        if self.is_closing:
            return False
        waiter = _Waiter(beyond)
        self._waiting.setdefault(job_id, set()).add(waiter)
        self._pause = _FIRST_PAUSE
        self._rung.set()  # it may have moved on before it was waited for
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            await asyncio.wait([waiter.moved], timeout=seconds)
            return waiter.moved.done() and waiter.moved.result()
        finally:
            waiters = self._waiting[job_id]
            waiters.remove(waiter)
            if not waiters:
                del self._waiting[job_id]

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while self._waiting:
            self._rung.clear()
            began = clock()
            await self._look_once()
            await asyncio.sleep(began + _SHORTEST_PAUSE - clock())
            with suppress(TimeoutError):
                await asyncio.wait_for(self._rung.wait(), self._pause)
            self._pause = min(self._pause * _GROWTH, _LAST_PAUSE)

    async def _look_once(self) -> None:
        """At all jobs that somebody waits for. While that fails, they go on waiting."""
        ids = list(self._waiting)
        try:
            moments = await self._look(ids)
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait must not be forgotten
            self._complain(error, len(ids))
            return
        for job_id in ids:
            for waiter in self._waiting.get(job_id, ()):
                waiter.see(moments.get(job_id))

    def _complain(self, error: Exception, jobs: int) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._complained_at >= _SILENCE_SECONDS:
            self._complained_at = now
            trace = None if isinstance(error, Unavailable) else error
            log.warning("jobs_unwatched", jobs=jobs, error=str(error), exc_info=trace)

    def _all_who_wait(self) -> "list[_Waiter]":
        return [waiter for waiters in self._waiting.values() for waiter in waiters]


class _Waiter:
    """Somebody who waits for a job to come beyond a moment, or without one for its end."""

    def __init__(self, beyond: Moment | None) -> None:
        self._step = inf if beyond is None else beyond.step
        self.moved: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def see(self, moment: Moment | None) -> None:
        """None: the job is no more."""
        if moment is None or moment.has_ended or moment.step > self._step:
            self.leave(moved=True)

    def leave(self, *, moved: bool) -> None:
        if not self.moved.done():
            self.moved.set_result(moved)


async def look_at(database: Database, ids: Sequence[UUID]) -> Mapping[UUID, Moment]:
    """A `Look` by one statement."""
    return await database.run(partial(_moments, ids))


def _moments(ids: Sequence[UUID], connection: Connection) -> dict[UUID, Moment]:
    return {row.id: Moment.of(row) for row in connection.execute(_MOMENTS, {"ids": [str(i) for i in ids]})}
