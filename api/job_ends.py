"""Waiting for jobs to end: one statement at a time asks PostgreSQL for all who wait in this process."""

import asyncio
from functools import partial
from uuid import UUID

import structlog
from sqlalchemy import Connection, text

from api.database import Database
from common.errors import Unavailable

log = structlog.get_logger()

_FIRST_PAUSE = 0.02
_LAST_PAUSE = 0.25
_GROWTH = 1.1

_ENDED = text("""
SELECT id FROM jobs WHERE id = ANY(CAST(:ids AS uuid[])) AND status NOT IN ('queued', 'running')
""")


class JobEnds:
    """Asks often while somebody has just begun to wait, then less and less; not at all while nobody waits."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[UUID, set[asyncio.Future[None]]] = {}
        self._pause = _FIRST_PAUSE
        self._watch: asyncio.Task[None] | None = None

    async def wait(self, job_id: UUID, seconds: float) -> None:
        """Returns when the job has ended, at the latest after `seconds`."""
        if seconds <= 0:
            return
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, set()).add(ended)
        self._pause = _FIRST_PAUSE
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look())
        try:
            await asyncio.wait([ended], timeout=seconds)
        finally:
            ended.cancel()
            others = self._waiting.get(job_id, set())
            others.discard(ended)
            if not others:
                self._waiting.pop(job_id, None)

    async def _look(self) -> None:
        while self._waiting:
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * _GROWTH, _LAST_PAUSE)
            ids = list(self._waiting)
            try:
                ended = await self._database.run(partial(_ended, ids))
            except Unavailable as error:
                log.warning("jobs_unwatched", part=error.part, waiting=len(ids))
                continue
            for job_id in ended:
                for waiter in self._waiting.pop(job_id, ()):
                    if not waiter.done():
                        waiter.set_result(None)


def _ended(ids: list[UUID], connection: Connection) -> list[UUID]:
    return list(connection.execute(_ENDED, {"ids": [str(i) for i in ids]}).scalars())
