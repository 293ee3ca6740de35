"""What makes the watch look, over a real Redis and a real PostgreSQL. By itself it looks once an hour here."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
import redis
from sqlalchemy import Engine

from api import job_watch
from api.database import Database
from api.job_watch import JobWatch, Moment, look_at
from common.redis import JOB_NEWS, make_async_client
from common.settings import Settings
from tests.integration.job_kit import Desk, wait_until
from worker.resources import Resources


@pytest.fixture(autouse=True)
def never_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_FIRST_PAUSE", "_LAST_PAUSE"):
        monkeypatch.setattr(job_watch, name, 3600.0)


class Scene:
    """A watch that listens, and what can be seen of it."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._settings = settings
        self.database = Database(engine, threads=2, patience=None)
        self.client = make_async_client(settings.cache, 5)
        self.watch = JobWatch(self._look, self.client)
        self._looks = 0

    async def _look(self, ids: Sequence[UUID]) -> Mapping[UUID, Moment]:
        found = await look_at(self.database, ids)
        self._looks += 1
        return found

    def is_listening(self) -> bool:
        with redis.Redis.from_url(self._settings.cache) as client:
            [(_, listeners)] = client.pubsub_numsub(JOB_NEWS)
        return bool(listeners == 1)

    async def sees(self, job_id: str, move: Callable[[], Awaitable[object]], beyond: Moment | None = None) -> bool:
        """Whether it sees what `move` does, having looked before in vain."""
        looks = self._looks
        waiting = asyncio.create_task(self.watch.wait(UUID(job_id), 30, beyond=beyond))
        await asyncio.to_thread(wait_until, lambda: self._looks > looks)
        assert not waiting.done()
        await move()
        return await waiting


@asynccontextmanager
async def listening(engine: Engine, settings: Settings) -> AsyncIterator[Scene]:
    scene = Scene(engine, settings)
    scene.watch.start()
    try:
        await asyncio.to_thread(wait_until, scene.is_listening)
        yield scene
    finally:
        await scene.watch.close()
        await scene.client.aclose()
        await scene.database.close()


def test_workers_ring_for_every_part_and_for_the_end(
    engine: Engine, settings: Settings, desk: Desk, resources: Resources
) -> None:
    async def scenario() -> None:
        job_id = desk.submit(symbols=2)
        async with listening(engine, settings) as scene:
            for number, step in ((0, 0), (1, 2), (2, 3)):
                run = asyncio.to_thread(desk.run, resources, job_id, number)
                assert await scene.sees(job_id, lambda run=run: run, Moment(step, has_ended=False))  # type: ignore[misc]
        assert desk.job(job_id).status == "completed"

    asyncio.run(scenario())


def test_a_connection_that_was_lost_is_made_again(engine: Engine, settings: Settings, desk: Desk) -> None:
    async def scenario() -> None:
        job_id = desk.submit()
        async with listening(engine, settings) as scene:
            with redis.Redis.from_url(settings.cache) as client:
                assert client.client_kill_filter(_type="pubsub") == 1
            await asyncio.to_thread(wait_until, scene.is_listening)

            async def end() -> None:
                desk.change("UPDATE jobs SET status = 'failed' WHERE id = :id", id=UUID(job_id))
                await scene.watch.announce(UUID(job_id))

            assert await scene.sees(job_id, end)

    asyncio.run(scenario())
