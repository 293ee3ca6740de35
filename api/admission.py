"""Who may have what now: every claim that waits at the same moment is settled by one statement.

A series is charged when its answer is there and before it is sent, so hardly anything is ever given back: only what was
charged to a caller who had stopped waiting for PostgreSQL by then.
"""

import asyncio
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import NamedTuple, cast
from uuid import UUID

import structlog

from api.counting import CountingConnection, StatementLost
from api.microbatch import MicroBatcher
from common import quota
from common.errors import NotAllowed, QuotaExceeded, Unauthenticated, Unavailable
from common.quota import Claim, Refund, Standing, Statement
from common.tiers import OUT_OF_REACH, Tier, name_of_rank

log = structlog.get_logger()

POSTGRESQL = "postgresql"
"""The part that is away when nothing can be counted."""

_REFUND_RETRY_SECONDS = 0.5
_MOST_TIERS = 10_000
_NOBODY = str(UUID(int=0))


class Admission(NamedTuple):
    """The answer to one claim: the standing after it, and whether its one series was charged."""

    standing: Standing
    charged: bool


class Admissions:
    """Charges single series. Times are the clock's, counts are PostgreSQL's."""

    def __init__(self, connection: CountingConnection, clock: Callable[[], datetime], timeout: float) -> None:
        self._connection = connection
        self._clock = clock
        self._timeout = timeout
        self._process = connection.process
        self._number = 0
        self._doubt: Statement | None = None
        """To be carried out before any other statement: nobody knows whether the last one was."""
        self._owed: dict[tuple[int, date], int] = {}
        self._paying_back: asyncio.Task[None] | None = None
        # None is no claim: it only sees to it that a trip is made.
        self._claims: MicroBatcher[Claim | None, Admission | None] = MicroBatcher(
            POSTGRESQL, self._settle, abandoned=self._abandoned
        )
        self._tiers: OrderedDict[str, Tier] = OrderedDict()
        self._expected: dict[int, int] = {}

    async def standing(self, session_id: str) -> Standing:
        """The user behind a session; nothing is charged. Raises Unauthenticated when it has ended."""
        return (await self._submit(Claim(session_id, 0, 0))).standing

    async def check(self) -> None:
        """Raises Unavailable when nobody could be counted."""
        with suppress(Unauthenticated):
            await self.standing(_NOBODY)

    async def claim(self, session_id: str, rank: int, ceiling: int = OUT_OF_REACH) -> Admission:
        """Charges one series that needs a tier of rank `rank` to `ceiling`, if tier and limit allow it."""
        return await self._submit(Claim(session_id, rank, 1, ceiling))

    async def _submit(self, claim: Claim) -> Admission:
        return cast(Admission, await self._claims.submit(claim, self._timeout))

    def last_tier(self, session_id: str) -> Tier | None:
        """The tier the session had when it was last looked at: a guess, to be confirmed by a claim."""
        return self._tiers.get(session_id)

    @contextmanager
    def expecting(self, standing: Standing) -> Iterator[None]:
        """A series of that user is being computed and will be charged.

        Raises QuotaExceeded when those under way in this process leave nothing of the day for it.
        """
        user_id, remaining = standing.user_id, standing.remaining
        expected = self._expected.get(user_id, 0)
        if remaining is not None and expected >= remaining:
            raise QuotaExceeded(seconds_left(standing, self._clock()))
        self._expected[user_id] = expected + 1
        try:
            yield
        finally:
            left = self._expected.pop(user_id) - 1
            if left:
                self._expected[user_id] = left

    async def _settle(self, claims: Sequence[Claim | None]) -> Sequence[Admission | Exception | None]:
        try:
            return await self._attempt(claims)
        except StatementLost:  # a connection that broke while it was idle is noticed by the next statement
            return await self._attempt(claims)

    async def _attempt(self, claims: Sequence[Claim | None]) -> Sequence[Admission | Exception | None]:
        await self._resolve_doubt()
        await self._pay_back_what_is_owed()
        today = self._clock().date()
        paying, asking = _gathered(claims)
        standings: dict[str, Standing] = {}
        if asking:  # before anything is charged: if this is lost, all of it is asked again
            standings |= quota.standings(await self._connection.execute(quota.peek(asking, today)))
        if paying:
            charged = await self._charge(paying, today)
            # Another session of somebody who has paid meanwhile sees that.
            paid = {standing.user_id: standing for standing in charged.values()}
            standings = {i: paid.get(s.user_id, s) for i, s in standings.items()} | charged
        self._remember(standings)
        return _answers(claims, standings)

    def _next_number(self) -> int:
        self._number += 1
        return self._number

    async def _charge(self, claims: Sequence[Claim], today: date) -> dict[str, Standing]:
        number = self._next_number()
        try:
            rows = await self._connection.execute(quota.charge(claims, today, self._process, number))
        except StatementLost:
            self._doubt = quota.undo(self._process, number)
            self._start_paying_back()
            raise
        return quota.standings(rows)

    async def _resolve_doubt(self) -> None:
        if self._doubt is not None:
            await self._connection.execute(self._doubt)
            self._doubt = None

    async def _pay_back_what_is_owed(self) -> None:
        if not self._owed:
            return
        owed, self._owed = self._owed, {}
        refunds = [Refund(user_id, series, day) for (user_id, day), series in owed.items()]
        statement = quota.refund_all(refunds, self._process, self._next_number())
        try:
            await self._connection.execute(statement)
        except StatementLost:
            self._doubt = statement  # carried out once, however often it is sent
            self._start_paying_back()
            raise
        except BaseException:
            for key, series in owed.items():
                self._owed[key] = self._owed.get(key, 0) + series
            raise

    def _remember(self, standings: dict[str, Standing]) -> None:
        for session_id, standing in standings.items():
            self._tiers.pop(session_id, None)
            self._tiers[session_id] = standing.tier  # the latest stand last
        while len(self._tiers) > _MOST_TIERS:
            self._tiers.popitem(last=False)

    def _abandoned(self, _claim: Claim | None, admission: Admission | None) -> None:
        if admission is not None:
            self.give_back(admission)

    def give_back(self, admission: Admission) -> None:
        """Returns what was charged to the day that paid, in the background, however long PostgreSQL is away."""
        if not admission.charged:
            return
        key = admission.standing.user_id, admission.standing.day
        self._owed[key] = self._owed.get(key, 0) + 1
        self._start_paying_back()

    def _start_paying_back(self) -> None:
        """Sees to it that a trip is made soon, whether or not somebody asks for one."""
        if self._paying_back is None or self._paying_back.done():
            self._paying_back = asyncio.create_task(self._pay_back())

    async def _pay_back(self) -> None:
        while self._owed or self._doubt is not None:
            try:
                await self._claims.submit(None, self._timeout)
            except Unavailable:
                log.warning("refunds_delayed", users=len(self._owed))
                await asyncio.sleep(_REFUND_RETRY_SECONDS)

    async def settled(self) -> None:
        """Waits for the refunds under way, but no longer than for a statement."""
        if self._paying_back is None or self._paying_back.done():
            return
        await asyncio.wait([self._paying_back], timeout=self._timeout)
        if self._owed or self._doubt is not None:
            log.error("refunds_lost", owed={f"{user} on {day}": n for (user, day), n in self._owed.items()})
        self._paying_back.cancel()


def not_allowed(rank: int) -> NotAllowed:
    required = name_of_rank(rank)
    return NotAllowed(required, f"needs {required or 'more than any tier has'}")


def seconds_left(standing: Standing, now: datetime) -> int:
    """Whole seconds until the count starts over, at least 1."""
    return max(1, int((standing.resets_at - now).total_seconds()) + 1)


def _gathered(claims: Sequence[Claim | None]) -> tuple[list[Claim], list[str]]:
    """One claim that pays per session, rank and ceiling; and the sessions that only ask."""
    paying: dict[tuple[str, int, int], Claim] = {}
    asking: set[str] = set()
    for claim in claims:
        if claim is None:
            continue
        if not claim.wanted:
            asking.add(claim.session_id)
            continue
        key = claim.session_id, claim.rank, claim.ceiling
        found = paying.get(key)
        paying[key] = claim if found is None else found._replace(wanted=found.wanted + 1)
    asking.difference_update(claim.session_id for claim in paying.values())
    return list(paying.values()), list(asking)


def _answers(claims: Sequence[Claim | None], standings: dict[str, Standing]) -> list[Admission | Exception | None]:
    """Each counts the ones charged before it, as if they had come one after the other."""
    left: dict[int, int] = defaultdict(int)
    for each in standings.values():
        left[each.user_id] = max(left[each.user_id], each.granted)
    answers: list[Admission | Exception | None] = []
    for claim in claims:
        if claim is None:
            answers.append(None)
            continue
        standing = standings.get(claim.session_id)
        if standing is None:
            answers.append(Unauthenticated("session ended"))
            continue
        user_id = standing.user_id
        remaining = left[user_id]
        charged = bool(remaining and claim.wanted and claim.rank <= standing.tier.rank <= claim.ceiling)
        if charged:
            remaining = left[user_id] = remaining - 1
        if remaining:
            standing = standing._replace(used=standing.used - remaining)
        answers.append(Admission(standing, charged))
    return answers
