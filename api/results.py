"""Answers to single queries: this process's memory, then Redis, then a worker.

A worker sends what it has computed to the process that ordered it, and announces it on a channel to which every API
process listens. Queries that are cold at the same moment leave in one message. A key is computed once however many ask
for it, in this process (one `Flight`) and across processes (a lease in Redis); when a lease runs out unanswered, the
query is sent again.
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

from api.listener import listen
from api.local_cache import LocalCache
from api.microbatch import MicroBatcher
from api.publisher import Publisher
from api.questions import Target
from api.representations import Representations, represent
from common.answer import Answer, Failure, read_letter, unpack
from common.broker import VALUES
from common.errors import FieldError, InvalidParameters, KalpiError, Unavailable
from common.redis import REDIS_AWAY, VALUES_DONE, flight_key, reply_channel

log = structlog.get_logger()

_LEASE_SECONDS = 5
"""A query unanswered for this long is sent again: its worker has died or its message was lost."""

_ROUND_SECONDS = 0.5
"""Period in which queries in flight are looked after, whatever the channel said."""

_FORGET_SECONDS = 60.0
"""A message that no worker has met for so long is thrown away: nobody waits longer."""

_MESSAGE = 50
"""Queries of one message at most: one worker process computes them, the others take the next."""

_MOST_FLIGHTS = 5_000
"""Distinct queries under way at once; more are refused."""

# For each pair of keys, an answer's and its lease's: the answer, or 1 when it is for the caller to order it now, or 0
# when somebody else has ordered it.
_LOOK_UP = """
local found = {}
for i = 1, #KEYS, 2 do
    found[#found + 1] = redis.call('GET', KEYS[i])
        or (redis.call('SET', KEYS[i + 1], '', 'NX', 'EX', ARGV[1]) and 1 or 0)
end
return found
"""


@dataclass(slots=True)
class Flight:
    """A cold query on its way to a worker and back; each of those who wait for it has a seat."""

    target: Target
    seats: "set[asyncio.Future[Representations | None]]" = field(default_factory=set)
    outcome: Representations | Exception | None = None
    started: float = field(default_factory=monotonic)


class Results:
    """Finds and orders answers. `start` before use, `close` after."""

    def __init__(
        self, cache: redis.asyncio.Redis, publisher: Publisher, local: LocalCache, redis_timeout: float
    ) -> None:
        self._cache = cache
        self._publisher = publisher
        self._local = local
        self._timeout = redis_timeout
        self._script = cache.register_script(_LOOK_UP)
        self._replies = reply_channel(uuid4().hex)
        self._lookups: MicroBatcher[Target, Answer | Flight] = MicroBatcher("redis", self._look_up)
        self._flights: dict[str, Flight] = {}
        self._outbox: list[Target] = []
        self._shipping: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        hearing = listen(self._cache, {VALUES_DONE: self._hear, self._replies: self._open_letter})
        self._tasks = [asyncio.create_task(hearing), asyncio.create_task(self._look_after())]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def at_hand(self, key: str) -> Representations | None:
        """The answer if this process has it."""
        return self._local.get(key)

    async def find(self, target: Target) -> Representations | Flight:
        """The answer from Redis, or the flight that will bring it, ordered by now if nobody else has.

        Raises Unavailable when Redis is away or too much is under way.
        """
        flight = self._flights.get(target.key)
        if flight is not None:
            return flight
        found = await self._lookups.submit(target, self._timeout)
        return self._keep(target, found) if isinstance(found, Answer) else found

    async def cached(self, target: Target) -> Representations | None:
        """The answer from Redis if it is there; nothing is ordered. Raises Unavailable."""
        packed = (await self._get([target.key]))[0]
        answer = None if packed is None else _readable(packed)
        return None if answer is None else self._keep(target, answer)

    async def land(
        self, flight: Flight, wait: float, gone: "asyncio.Future[None] | None" = None
    ) -> Representations | None:
        """What the flight brings, awaited for `wait` seconds or until `gone` is done; None when it has not come then.

        Raises what the worker found wrong with the query, and Unavailable when Redis goes away meanwhile.
        """
        if flight.outcome is not None:  # it was faster
            if isinstance(flight.outcome, Exception):
                raise flight.outcome
            return flight.outcome
        loop = asyncio.get_running_loop()
        seat: asyncio.Future[Representations | None] = loop.create_future()
        flight.seats.add(seat)
        alarm = loop.call_later(wait, _leave, seat)
        if gone is not None:
            gone.add_done_callback(lambda _: _leave(seat))
        try:
            return await seat
        finally:
            alarm.cancel()
            flight.seats.discard(seat)

    def _keep(self, target: Target, answer: Answer) -> Representations:
        shown = represent(answer, target.query.form.media_type, last_bar_final=target.last_bar_final)
        self._local.put(target.key, shown)
        return shown

    async def _look_up(self, targets: Sequence[Target]) -> Sequence[Answer | Flight | Exception]:
        distinct = {target.key: target for target in targets}
        found = await self._look_up_distinct(list(distinct.values()))
        by_key = dict(zip(distinct, found, strict=True))
        return [by_key[target.key] for target in targets]

    async def _look_up_distinct(self, targets: Sequence[Target]) -> Sequence[Answer | Flight | Exception]:
        room = _MOST_FLIGHTS - len(self._flights)
        if room < len(targets):  # what is there is found all the same
            return [answer or Unavailable("workers", retry_after=1) for answer in await self._there(targets)]
        keys = [key for target in targets for key in (target.key, flight_key(target.key))]
        try:
            replies = await self._script(keys, [_LEASE_SECONDS])
        except REDIS_AWAY as error:
            raise Unavailable("redis") from error
        found: list[Answer | Flight] = []
        for target, reply in zip(targets, replies, strict=True):
            answer = _readable(reply) if isinstance(reply, bytes) else None
            if answer is None and reply != 0:  # ours to order; so is what nobody can read
                self._outbox.append(target)
            found.append(answer or self._flights.setdefault(target.key, Flight(target)))
        if self._outbox and (self._shipping is None or self._shipping.done()):
            self._shipping = asyncio.create_task(self._ship())
        return found

    async def _there(self, targets: Sequence[Target]) -> Sequence[Answer | None]:
        found = await self._get([target.key for target in targets])
        return [None if packed is None else _readable(packed) for packed in found]

    async def _get(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        try:
            return cast(Sequence[bytes | None], await self._cache.mget(keys))
        except REDIS_AWAY as error:
            raise Unavailable("redis") from error

    async def _ship(self) -> None:
        """Sends what is to be ordered to the workers: what has gathered meanwhile in one message, up to a bound."""
        while self._outbox:
            targets = self._outbox[:_MESSAGE]
            del self._outbox[:_MESSAGE]
            by_version: dict[str, list[Target]] = {}
            for target in targets:
                by_version.setdefault(target.data_version, []).append(target)
            for data_version, alike in by_version.items():
                order = {
                    # As one string: kombu's JSON takes ten times as long, here and in two processes of the worker.
                    "queries": orjson.dumps([target.query.to_message() for target in alike]).decode(),
                    "data_version": data_version,
                    "reply_to": self._replies,
                }
                try:
                    await self._publisher.send(VALUES, order, uuid4().hex, expires=_FORGET_SECONDS)
                except Unavailable as error:
                    for target in alike:
                        self._end(target.key, error)

    async def _open_letter(self, letter: bytes) -> None:
        """Answers to what this process has ordered."""
        done, failed = read_letter(letter)
        for key, packed in done.items():
            self._receive(key, packed)
        self._fail(failed)

    async def _hear(self, message: bytes) -> None:
        """Answers to what any process has ordered; those of this one have landed by their letter."""
        news: Mapping[str, object] = orjson.loads(message)
        self._fail(cast(Mapping[str, Failure], news["failed"]))
        done = cast(Sequence[str], news["done"])
        await self._collect([key for key in done if key in self._flights])

    def _fail(self, failed: Mapping[str, Failure]) -> None:
        for key, reason in failed.items():
            self._end(key, _as_error(reason))

    async def _collect(self, keys: Sequence[str]) -> None:
        if not keys:
            return
        for key, packed in zip(keys, await self._get(keys), strict=True):
            if packed is not None:
                self._receive(key, packed)

    def _receive(self, key: str, packed: bytes) -> None:
        flight = self._flights.get(key)
        answer = _readable(packed) if flight is not None else None
        if flight is not None and answer is not None:
            self._end(key, self._keep(flight.target, answer))

    def _end(self, key: str, outcome: Representations | Exception) -> None:
        flight = self._flights.pop(key, None)
        if flight is None:
            return
        flight.outcome = outcome
        for seat in flight.seats:
            if seat.done():
                continue
            if isinstance(outcome, Exception):
                seat.set_exception(outcome)
            else:
                seat.set_result(outcome)

    async def _look_after(self) -> None:
        """Looks for answers whose announcement was missed, and sends again what nobody is computing any more."""
        while True:
            await asyncio.sleep(_ROUND_SECONDS)
            try:
                await self._look_after_once()
            except Exception:  # this loop must not end
                log.exception("flights_unattended")

    async def _look_after_once(self) -> None:
        now = monotonic()
        overdue = [f for f in self._flights.values() if now - f.started > _ROUND_SECONDS]
        for flight in [f for f in overdue if not f.seats and now - f.started > _LEASE_SECONDS]:
            self._end(flight.target.key, Unavailable("worker"))  # nobody waits for it any more
        try:
            await self._collect([f.target.key for f in overdue if f.target.key in self._flights])
            again = [f for f in overdue if f.target.key in self._flights and now - f.started > _LEASE_SECONDS]
            if again:
                await self._look_up([f.target for f in again])
        except Unavailable as error:
            log.warning("flights_lost", part=error.part, flights=len(overdue))
            for flight in overdue:
                self._end(flight.target.key, error)


def _readable(packed: bytes) -> Answer | None:
    """None for what is torn: it is computed again and written over."""
    try:
        return unpack(packed)
    except ValueError as error:
        log.error("answer_unreadable", reason=str(error))  # noqa: TRY400 - the reason says it all
        return None


def _leave(seat: "asyncio.Future[Representations | None]") -> None:
    if not seat.done():
        seat.set_result(None)


def _as_error(reason: Failure) -> KalpiError | RuntimeError:
    match reason["kind"]:
        case "invalid":
            return InvalidParameters([FieldError(("query",), reason["detail"])])
        case "stale":
            return Unavailable("market data", retry_after=1)
        case "not_found":  # it is in the manifest this process read; the worker has another
            return Unavailable("market data", retry_after=1)
        case _:
            return RuntimeError("a worker could not compute the query; its log says why")
