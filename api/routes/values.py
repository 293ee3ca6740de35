"""The fast path: one indicator of one symbol, or its bars, at once.

It answers without FastAPI, whose routing alone costs as much as all of this; `api.middleware` sends what it returns.
"""

import asyncio
from contextlib import suppress
from typing import NamedTuple

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from api import metrics
from api.admission import POSTGRESQL, not_allowed, seconds_left
from api.burst import address_of
from api.health import WORKER_SECONDS
from api.jobs import submit_query
from api.negotiation import codings_for, preferred_wait
from api.questions import Question, Target
from api.rate_limit import Header
from api.representations import Representations
from api.results import Flight
from api.security import Credentials
from api.state import Services
from common.errors import KalpiError, QuotaExceeded, Unavailable
from common.quota import Standing
from common.tiers import OUT_OF_REACH, Tier

_UNWATCHED_SECONDS = 0.05
"""Most answers come sooner: until then it costs more to see whether the caller is still there than to answer."""

_HIT: Header = (b"x-cache", b"HIT")
_MISS: Header = (b"x-cache", b"MISS")


class Reply(NamedTuple):
    status: int
    headers: tuple[Header, ...]
    body: bytes = b""


async def reply(scope: Scope, receive: Receive) -> Reply:
    """The answer to a GET at a path of `api.questions.route_of`. Raises KalpiError, and ClientDisconnect.

    Who asks, as far as it is known by then, is in the request's state, whatever is raised.
    """
    state = scope["state"]
    services: Services = state["services"]
    asked = _asked(scope)
    credentials = services.tokens.read(asked.authorization, services.clock())
    visit = _Visit(services, scope, receive, asked, credentials)
    try:
        question = services.questions.read(scope["path"], scope["query_string"], asked.accept)
        wait = preferred_wait(asked.prefer) if asked.prefer is not None else None
        return await visit.answer(question, wait)
    except KalpiError as error:
        # 401 comes before whatever else is wrong, and the limits are told with every error: that costs a look at
        # PostgreSQL, but no series. When that is what is away, another look would only be another wait.
        if "standing" not in state and not (isinstance(error, Unavailable) and error.part == POSTGRESQL):
            with suppress(Unavailable):
                await visit.look()
        raise


class _Asked(NamedTuple):
    """The headers that matter here."""

    authorization: str | None
    accept: bytes | None
    codings: tuple[str, ...]
    held: str | None  # If-None-Match
    prefer: str | None


def _asked(scope: Scope) -> _Asked:
    authorization = accept = encoding = held = prefer = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            authorization = value.decode("latin-1")
        elif name == b"accept":
            accept = value if accept is None else b"%b,%b" % (accept, value)
        elif name == b"accept-encoding":
            encoding = value if encoding is None else b"%b,%b" % (encoding, value)
        elif name == b"if-none-match":
            held = value.decode("latin-1") if held is None else f"{held},{value.decode('latin-1')}"
        elif name == b"prefer":
            prefer = value.decode("latin-1") if prefer is None else f"{prefer},{value.decode('latin-1')}"
    return _Asked(authorization, accept, codings_for(encoding), held, prefer)


class _OtherTier(Exception):  # noqa: N818 - what turned out
    """The caller's tier is another one than was thought, and so is the answer."""

    def __init__(self, tier: Tier) -> None:
        self.tier = tier
        super().__init__(tier.name)


class _Visit:
    """One request on its way."""

    __slots__ = ("_address", "_asked", "_receive", "_services", "_session", "_state", "_user_id")

    def __init__(
        self, services: Services, scope: Scope, receive: Receive, asked: _Asked, credentials: Credentials
    ) -> None:
        self._services = services
        self._state = scope["state"]
        self._receive = receive
        self._asked = asked
        self._address = address_of(scope)
        self._session = credentials.session_id
        self._user_id = credentials.user_id

    async def answer(self, question: Question, wait: float | None) -> Reply:
        """The tier is a guess until PostgreSQL has confirmed it: with the charge, or before work is begun."""
        tier = self._services.admissions.last_tier(self._session) or (await self.look()).tier
        if not self._services.bursts.spend_now(self._user_id, tier.rank, self._address):
            tier = (await self._look_before(question)).tier
            await self._services.bursts.spend(self._user_id, tier.rank, self._address)
        while True:
            try:
                return await self._answer_for(tier, question, wait)
            except _OtherTier as other:
                tier = other.tier

    async def _answer_for(self, tier: Tier, question: Question, wait: float | None) -> Reply:
        """Finds the answer first and charges it then, so that nothing needs to be given back."""
        services = self._services
        target = question.target(tier)
        mark = _HIT
        answer = services.results.at_hand(target.key)
        if answer is None and self._asked.held is not None:  # who holds it needs nothing left of the day
            await self._look_before(question, tier)
            answer = await services.results.cached(target)
        if answer is None:
            standing = await self._look_before(question, tier)
            with services.admissions.expecting(standing):
                found = await services.results.find(target)
                if isinstance(found, Flight):
                    mark = _MISS
                    answer = await self._landed(found, wait)
                else:
                    answer = found
            if answer is None:
                return await self._job(target, standing)
        unchanged = answer.held(self._asked.held) if self._asked.held is not None else None
        if unchanged is not None:
            await self._look_before(question, tier)
            services.asked.count(target.asked)
            return Reply(304, (*unchanged.marks, mark))
        shown = answer.chosen(self._asked.codings)
        await self._charge(question, tier)
        services.asked.count(target.asked)
        metrics.count_values(hit=mark is _HIT)
        return Reply(200, (*shown.headers, mark), shown.body)

    async def look(self) -> Standing:
        """Who asks, as PostgreSQL knows them now. Raises Unauthenticated."""
        standing: Standing = await self._services.admissions.standing(self._session)
        self._state["standing"] = standing
        return standing

    async def _look_before(self, question: Question, tier: Tier | None = None) -> Standing:
        """As `look`, once a request. Raises NotAllowed, and _OtherTier when the answer for `tier` is the wrong one."""
        standing: Standing = self._state.get("standing") or await self.look()
        _confirm(standing.tier, question, tier)
        return standing

    async def _charge(self, question: Question, tier: Tier) -> None:
        """One series; where the answer depends on the tier, only if that is still `tier`."""
        ceiling = tier.rank if question.by_tier else OUT_OF_REACH
        rank = max(tier.rank, question.rank) if question.by_tier else question.rank
        standing, charged = await self._services.admissions.claim(self._session, rank, ceiling)
        self._state["standing"] = standing
        if not charged:
            _confirm(standing.tier, question, tier)
            raise QuotaExceeded(seconds_left(standing, self._services.clock()))

    async def _landed(self, flight: Flight, wait: float | None) -> Representations | None:
        """What a worker sends within the wait. Raises ClientDisconnect when the caller leaves meanwhile."""
        results, whole = self._services.results, self._services.settings.cold_wait_seconds if wait is None else wait
        answer = await results.land(flight, min(whole, _UNWATCHED_SECONDS))
        if answer is not None or whole <= _UNWATCHED_SECONDS:
            return answer
        gone = asyncio.create_task(_until_gone(self._receive))
        try:
            if wait is None:
                answer = await self._from_a_worker_that_lives(flight, whole - _UNWATCHED_SECONDS, gone)
            else:
                answer = await results.land(flight, whole - _UNWATCHED_SECONDS, gone)
            if answer is None and gone.done():
                raise ClientDisconnect
            return answer
        finally:
            gone.cancel()

    async def _from_a_worker_that_lives(
        self, flight: Flight, wait: float, gone: "asyncio.Future[None]"
    ) -> Representations | None:
        """Raises Unavailable when by the end of the wait no worker gives a sign of life.

        None means that workers live and have not come to it yet. Whoever names a wait of their own is not told apart.
        """
        results = self._services.results
        answer = await results.land(flight, max(0.0, wait - WORKER_SECONDS), gone)
        if answer is not None or gone.done():
            return answer
        looking = asyncio.create_task(self._services.health.look())
        try:
            answer = await results.land(flight, min(wait, WORKER_SECONDS), gone)
            if answer is None and not gone.done() and (await looking)["worker"] != "ok":
                raise Unavailable("worker")
            return answer
        finally:
            looking.cancel()

    async def _job(self, target: Target, standing: Standing) -> Reply:
        """A durable job for what took too long; it is charged as it is recorded."""
        job, self._state["standing"] = await submit_query(self._services, target.query, standing)
        location = f"/v1/jobs/{job.id}".encode()
        return Reply(202, ((b"location", location), (b"retry-after", b"1"), (b"content-length", b"0")))


def _confirm(found: Tier, question: Question, tier: Tier | None) -> None:
    if question.rank > found.rank:
        raise not_allowed(question.rank)
    if tier is not None and question.by_tier and found is not tier:
        raise _OtherTier(found)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
