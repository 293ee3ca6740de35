"""Answers to single queries: this process's memory, then Redis, then a worker.

A worker announces on a channel what it has put into the cache; every API process listens. Queries that are cold
at the same moment leave in one message. A key is computed once however many ask for it, in this process (one
`Flight`) and across processes (a lease in Redis); when a lease runs out unanswered, the query is sent again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import cast
from uuid import uuid4

import orjson
import redis.asyncio
import structlog
from redis.exceptions import RedisError

from api.local_cache import LocalCache
from api.microbatch import MicroBatcher
from api.publisher import Publisher
from common.answer import Answer, unpack
from common.broker import VALUES
from common.errors import FieldError, InvalidParameters, KalpiError, Unavailable
from common.query import IndicatorQuery
from common.redis import VALUES_DONE, flight_key

log = structlog.get_logger()

_LEASE_SECONDS = 5
"""A query unanswered for this long is sent again: its worker has died or its message was lost."""

_ROUND_SECONDS = 1.0
"""Period in which queries in flight are looked after, whatever the channel said."""

_FORGET_SECONDS = 90.0
"""A flight nobody may wait for any more (waits end at 60 s) is dropped."""


@dataclass(frozen=True, slots=True)
class Fetched:
    answer: Answer
    hit: bool


@dataclass(slots=True)
class Flight:
    """A cold query on its way to a worker and back; all who ask for it share `landed`."""

    key: str
    query: IndicatorQuery
    data_version: str
    landed: asyncio.Future[Answer]
    started: float = field(default_factory=monotonic)


class Results:
    """Reads and orders answers. `start` before use, `close` after."""

    def __init__(
        self, cache: redis.asyncio.Redis, publisher: Publisher, local: LocalCache, redis_timeout: float
    ) -> None:
        self._cache = cache
        self._publisher = publisher
        self._local = local
        self._timeout = redis_timeout
        self._reads: MicroBatcher[str, bytes | None] = MicroBatcher("redis", self._read)
        self._orders: MicroBatcher[Flight, None] = MicroBatcher("broker", self._order)
        self._flights: dict[str, Flight] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._look_after())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def cached(self, query: IndicatorQuery, data_version: str) -> Answer | None:
        """The answer if it need not be computed. Raises Unavailable when Redis is away."""
        key = query.cache_key(data_version)
        answer = self._local.get(key)
        if answer is not None:
            return answer
        packed = await self._reads.submit(key, self._timeout)
        return None if packed is None else self._keep(key, packed)

    async def fetch(self, query: IndicatorQuery, data_version: str, wait: float) -> Fetched | None:
        """The answer, awaited for `wait` seconds if a worker must compute it; None when that was not enough.

        Raises Unavailable when Redis is away, and what the worker found wrong with the query.
        """
        answer = await self.cached(query, data_version)
        if answer is not None:
            return Fetched(answer, hit=True)
        key = query.cache_key(data_version)
        flight = self._flights.get(key)
        if flight is None:
            landed: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            landed.add_done_callback(lambda f: f.cancelled() or f.exception())  # may land after all have left
            flight = self._flights[key] = Flight(key, query, data_version, landed)
            try:
                await self._orders.submit(flight, 2 * self._timeout)
            except KalpiError as error:
                self._land(key, error)
                raise
        try:
            return Fetched(await asyncio.wait_for(asyncio.shield(flight.landed), wait), hit=False)
        except TimeoutError:
            return None

    def _keep(self, key: str, packed: bytes) -> Answer:
        answer = unpack(packed)
        self._local.put(key, answer)
        return answer

    async def _read(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        try:
            return cast(Sequence[bytes | None], await self._cache.mget(keys))
        except (RedisError, OSError) as error:
            raise Unavailable("redis") from error

    async def _order(self, flights: Sequence[Flight]) -> Sequence[None]:
        """Sends to the workers what no other process has sent."""
        try:
            async with self._cache.pipeline(transaction=False) as pipe:
                for flight in flights:
                    pipe.set(flight_key(flight.key), b"", nx=True, ex=_LEASE_SECONDS)
                taken = await pipe.execute()
        except (RedisError, OSError) as error:
            raise Unavailable("redis") from error
        by_version: dict[str, list[Flight]] = {}
        for flight, ours in zip(flights, taken, strict=True):
            if ours:
                by_version.setdefault(flight.data_version, []).append(flight)
        for data_version, ours in by_version.items():
            queries = [f.query.to_message() for f in ours]
            await self._publisher.send(VALUES, {"queries": queries, "data_version": data_version}, str(uuid4()))
        return [None] * len(flights)

    async def _listen(self) -> None:
        """Follows the workers' announcements; a lost connection is made again, and `_look_after` bridges it."""
        while True:
            try:
                async with self._cache.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(VALUES_DONE)
                    while True:
                        message = await channel.get_message(timeout=_ROUND_SECONDS)
                        if message is not None:
                            await self._hear(orjson.loads(message["data"]))
            except (RedisError, OSError, Unavailable) as error:
                log.warning("values_channel_lost", error=type(error).__name__)
                await asyncio.sleep(_ROUND_SECONDS)

    async def _hear(self, news: Mapping[str, object]) -> None:
        failed = news["failed"]
        assert isinstance(failed, dict)  # noqa: S101 - our own worker's message
        for key, reason in failed.items():
            self._land(key, _as_error(reason))
        done = news["done"]
        assert isinstance(done, list)  # noqa: S101
        await self._collect([key for key in done if key in self._flights])

    async def _collect(self, keys: Sequence[str]) -> None:
        if not keys:
            return
        for key, packed in zip(keys, await self._read(keys), strict=True):
            if packed is not None:
                self._land(key, self._keep(key, packed))

    def _land(self, key: str, outcome: Answer | Exception) -> None:
        flight = self._flights.pop(key, None)
        if flight is None or flight.landed.done():
            return
        if isinstance(outcome, Answer):
            flight.landed.set_result(outcome)
        else:
            flight.landed.set_exception(outcome)

    async def _look_after(self) -> None:
        """Looks for answers whose announcement was missed, and sends again what nobody is computing any more."""
        while True:
            await asyncio.sleep(_ROUND_SECONDS)
            now = monotonic()
            overdue = [f for f in self._flights.values() if now - f.started > _ROUND_SECONDS]
            for flight in [f for f in overdue if now - f.started > _FORGET_SECONDS]:
                self._land(flight.key, Unavailable("worker"))
            try:
                await self._collect([f.key for f in overdue])
                again = [f for f in overdue if f.key in self._flights and now - f.started > _LEASE_SECONDS]
                if again:
                    await self._order(again)
            except Unavailable as error:
                log.warning("flights_unattended", part=error.part, flights=len(overdue))


def _as_error(reason: Mapping[str, str]) -> KalpiError | RuntimeError:
    match reason["kind"]:
        case "invalid":
            return InvalidParameters([FieldError(("query",), reason["detail"])])
        case "stale":
            return Unavailable("market data", retry_after=1)
        case _:
            return RuntimeError("a worker could not compute the query; its log says why")
