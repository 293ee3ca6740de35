"""Whether each part answers. One look at all parts serves everybody who asks within a second."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from uuid import uuid4

import orjson
import redis.asyncio
from sqlalchemy import text

from api.admission import Admissions
from api.database import Database
from api.publisher import Publisher
from api.queue_state import STALL_SECONDS, look_at_batch
from common.broker import PROBE
from common.dataset import ManifestFile
from common.errors import DataError, KalpiError
from common.redis import REDIS_AWAY, probe_key

WORKER_SECONDS = 5
_FRESH_SECONDS = 1.0
_SECOND_LOOK_SECONDS = 1.0


class Health:
    """The state of every part, by name: `ok`, or what is wrong in a few words."""

    def __init__(
        self,
        *,
        database: Database,
        admissions: Admissions,
        broker: redis.asyncio.Redis,
        cache: redis.asyncio.Redis,
        publisher: Publisher,
        manifest: ManifestFile,
    ) -> None:
        self._database = database
        self._admissions = admissions
        self._broker = broker
        self._cache = cache
        self._publisher = publisher
        self._manifest = manifest
        self._lock = asyncio.Lock()
        self._seen: dict[str, str] = {}
        self._seen_at = float("-inf")

    async def look(self) -> dict[str, str]:
        async with self._lock:
            if time.monotonic() - self._seen_at > _FRESH_SECONDS:
                names = ("postgresql", "redis", "worker", "batch", "data")
                looks = (self._postgresql, self._redis, self._worker, self._batch, self._data)
                states = await asyncio.gather(*(_state(look) for look in looks))
                self._seen = dict(zip(names, states, strict=True))
                self._seen_at = time.monotonic()
            return self._seen

    async def _postgresql(self) -> None:
        await self._database.run(lambda c: c.execute(text("SELECT 1")))
        await self._admissions.check()

    async def _redis(self) -> None:
        for client in (self._broker, self._cache):
            await client.ping()

    async def _worker(self) -> None:
        """Sends a message through the interactive queue and waits for the worker that meets it."""
        nonce = uuid4().hex
        await self._publisher.send(PROBE, {"nonce": nonce}, f"probe-{nonce}")
        deadline = time.monotonic() + WORKER_SECONDS
        while time.monotonic() < deadline:
            met = await self._cache.blpop([probe_key(nonce)], timeout=1)
            if met is not None:
                loaded = orjson.loads(met[1])["data_version"]
                if not loaded:
                    raise DataError("the worker has no data")
                return
        raise TimeoutError(f"no worker answered within {WORKER_SECONDS} s")

    async def _batch(self) -> None:
        """Looks twice at parts that nobody takes: the end of a long one may have let them go this very moment."""
        if not (await self._database.run(look_at_batch)).is_stalled:
            return
        await asyncio.sleep(_SECOND_LOOK_SECONDS)
        batch = await self._database.run(look_at_batch)
        if batch.is_stalled:
            raise TimeoutError(f"{batch.queued} parts wait, and no worker has taken one for {STALL_SECONDS} s")

    async def _data(self) -> None:
        self._manifest.current()


async def _state(look: Callable[[], Awaitable[None]]) -> str:
    try:
        await asyncio.wait_for(look(), WORKER_SECONDS + 1)
    except (KalpiError, *REDIS_AWAY, TimeoutError) as error:
        return str(error) or type(error).__name__
    return "ok"
