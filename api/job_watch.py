"""Waiting for jobs to move on: one statement at a time asks PostgreSQL for all who wait in this process.

Workers ring in Redis when a part or a job has ended, which makes it look at once; where that is lost, it looks now and
then all the same.
"""

import asyncio
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import NamedTuple
from uuid import UUID

import redis.asyncio
import structlog
from sqlalchemy import Connection, text

from api.database import Database
from common.errors import Unavailable
from common.jobs import ENDED
from common.redis import JOB_NEWS, REDIS_AWAY

log = structlog.get_logger()

_GATHER = 0.005
"""Seconds in which news comes together before a look."""

_FIRST_PAUSE, _LAST_PAUSE, _GROWTH = 0.02, 0.5, 1.2
"""Seconds between looks that nobody has rung for, since somebody has begun to wait."""

_ROUND_SECONDS = 1.0

_MOMENTS = text("SELECT id, status, parts_ended FROM jobs WHERE id = ANY(CAST(:ids AS uuid[]))")


class Moment(NamedTuple):
    """How far a job is; it only ever moves on."""

    status: str
    parts_ended: int

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED


class JobWatch:
    """Looks while somebody waits, and not at all while nobody does."""

    def __init__(self, database: Database, cache: redis.asyncio.Redis) -> None:
        self._database = database
        self._cache = cache
        self._waiting: dict[UUID, set[_Waiter]] = {}
        self._news = asyncio.Event()
        self._pause = _FIRST_PAUSE
        self._watch: asyncio.Task[None] | None = None
        self._ear: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._ear = asyncio.create_task(self._listen())

    async def close(self) -> None:
        """Whoever waits is told nothing more."""
        tasks = [task for task in (self._ear, self._watch) if task is not None]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    async def announce(self, job_id: UUID) -> None:
        """Tells all API processes that a job has moved on; as far as Redis is there to tell them."""
        with suppress(*REDIS_AWAY):
            await self._cache.publish(JOB_NEWS, str(job_id))

    async def wait(self, job_id: UUID, seconds: float) -> None:
        """Returns when the job has ended, at the latest after `seconds`."""
        deadline = monotonic() + seconds
        seen: Moment | None = None
        while (seen is None or not seen.has_ended) and (left := deadline - monotonic()) > 0:
            seen = await self.next(job_id, seen, left) or seen

    async def next(self, job_id: UUID, seen: Moment | None, seconds: float) -> Moment | None:
        """How far the job is once that is not `seen`; None when it stays there for `seconds`, or is gone."""
        waiter = _Waiter(seen)
        self._waiting.setdefault(job_id, set()).add(waiter)
        self._pause = _FIRST_PAUSE
        self._news.set()  # it may have moved on before this
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look())
        try:
            await asyncio.wait([waiter.moment], timeout=seconds)
            return waiter.moment.result() if waiter.moment.done() else None
        finally:
            waiter.moment.cancel()
            others = self._waiting.get(job_id, set())
            others.discard(waiter)
            if not others:
                self._waiting.pop(job_id, None)

    async def _look(self) -> None:
        while self._waiting:
            try:
                await asyncio.wait_for(self._news.wait(), self._pause)
            except TimeoutError:
                self._pause = min(self._pause * _GROWTH, _LAST_PAUSE)
            await asyncio.sleep(_GATHER)
            self._news.clear()
            ids = list(self._waiting)
            try:
                moments = await self._database.run(partial(_moments, ids))
            except Unavailable as error:
                log.warning("jobs_unwatched", part=error.part, waiting=len(ids))
                continue
            for job_id in ids:
                for waiter in self._waiting.get(job_id, ()):
                    waiter.hear(moments.get(job_id))

    async def _listen(self) -> None:
        """News of jobs that somebody waits for; a lost connection is made again."""
        while True:
            try:
                async with self._cache.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(JOB_NEWS)
                    while True:
                        message = await channel.get_message(timeout=_ROUND_SECONDS)
                        if message is not None and UUID(message["data"].decode()) in self._waiting:
                            self._news.set()
            except REDIS_AWAY as error:
                log.warning("job_news_lost", error=type(error).__name__)
            except Exception:  # this loop must not end
                log.exception("job_news_lost")
            await asyncio.sleep(_ROUND_SECONDS)


class _Waiter:
    """Somebody who has seen a job at some moment, and waits for the next."""

    def __init__(self, seen: Moment | None) -> None:
        self._seen = seen
        self.moment: asyncio.Future[Moment | None] = asyncio.get_running_loop().create_future()

    def hear(self, moment: Moment | None) -> None:
        if moment != self._seen and not self.moment.done():
            self.moment.set_result(moment)


def _moments(ids: list[UUID], connection: Connection) -> dict[UUID, Moment]:
    rows = connection.execute(_MOMENTS, {"ids": [str(i) for i in ids]})
    return {row.id: Moment(row.status, row.parts_ended) for row in rows}
