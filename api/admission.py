"""Who may have what now: every claim that waits at the same moment is settled by one statement."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import Connection

from api.database import Database
from api.microbatch import MicroBatcher
from common.errors import NotAllowed, QuotaExceeded, Unauthenticated, Unavailable
from common.quota import Claim, Standing, charge, peek, refund
from common.tiers import name_of_rank

log = structlog.get_logger()

_REFUND_RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to one claim: the standing after it, and whether its one series was charged."""

    standing: Standing
    charged: bool

    @property
    def before(self) -> Standing:
        """The standing as it is once the charge has been given back."""
        return replace(self.standing, used=self.standing.used - self.charged)


class Admissions:
    """Charges single series and gives them back. Times are the clock's, counts are PostgreSQL's."""

    def __init__(self, counting: Database, clock: Callable[[], datetime], timeout: float) -> None:
        self._counting = counting
        self._clock = clock
        self._timeout = timeout
        self._claims: MicroBatcher[Claim, Admission] = MicroBatcher(
            "admissions", self._settle, abandoned=lambda _, admission: self.give_back(admission)
        )
        self._refunds: set[asyncio.Task[None]] = set()

    async def standing(self, session_id: UUID) -> Standing:
        """The user behind a session; nothing is charged. Raises Unauthenticated when it has ended."""
        return (await self._claims.submit(Claim(session_id, 0, 0), self._timeout)).standing

    async def claim(self, session_id: UUID, rank: int) -> Admission:
        """Charges one series that needs a tier of at least `rank`, if tier and limit allow it."""
        return await self._claims.submit(Claim(session_id, rank, 1), self._timeout)

    async def _settle(self, claims: Sequence[Claim]) -> Sequence[Admission | Exception]:
        today = self._clock().date()
        paying = [c for c in claims if c.wanted]
        asking = {c.session_id for c in claims} - {c.session_id for c in paying}

        def statements(connection: Connection) -> tuple[Mapping[UUID, Standing], Mapping[UUID, Standing]]:
            return (
                charge(connection, _gathered(paying), today) if paying else {},
                peek(connection, list(asking), today) if asking else {},
            )

        charged_to, seen = await self._counting.run(statements)
        standings = {**charged_to, **seen}
        left = defaultdict(int, {s.user_id: s.granted for s in charged_to.values()})
        answers: list[Admission | Exception] = []
        for claim in claims:
            standing = standings.get(claim.session_id)
            if standing is None:
                answers.append(Unauthenticated("session ended"))
                continue
            charged = bool(claim.wanted and claim.rank <= standing.tier.rank and left[standing.user_id])
            if charged:
                left[standing.user_id] -= 1
            # Each answer counts the ones charged before it, as if they had come one after the other.
            used = standing.used - left[standing.user_id]
            answers.append(Admission(replace(standing, used=used), charged))
        return answers

    def give_back(self, admission: Admission) -> None:
        """Returns what was charged to the day that paid, in the background, however long PostgreSQL is away."""
        if admission.charged:
            task = asyncio.get_running_loop().create_task(self._refund(admission.standing))
            self._refunds.add(task)
            task.add_done_callback(self._refunds.discard)

    async def _refund(self, standing: Standing) -> None:
        while True:
            try:
                await self._counting.run(lambda c: refund(c, standing.user_id, 1, standing.day))
            except Unavailable:
                log.warning("refund_delayed", user_id=standing.user_id)
                await asyncio.sleep(_REFUND_RETRY_SECONDS)
            else:
                return

    async def settled(self) -> None:
        """Waits for the refunds under way."""
        await asyncio.gather(*self._refunds)


def insist(admission: Admission, rank: int, now: datetime) -> None:
    """Raises NotAllowed or QuotaExceeded when the claim of that `rank` was not charged."""
    if rank > admission.standing.tier.rank:
        raise not_allowed(rank)
    if not admission.charged:
        raise QuotaExceeded(seconds_left(admission.standing, now))


def not_allowed(rank: int) -> NotAllowed:
    required = name_of_rank(rank)
    return NotAllowed(required, f"needs {required or 'more than any tier has'}")


def seconds_left(standing: Standing, now: datetime) -> int:
    """Whole seconds until the count starts over, at least 1."""
    return max(1, int((standing.resets_at - now).total_seconds()) + 1)


def _gathered(claims: Sequence[Claim]) -> list[Claim]:
    """One claim per session and rank."""
    wanted: dict[tuple[UUID, int], int] = defaultdict(int)
    for claim in claims:
        wanted[claim.session_id, claim.rank] += claim.wanted
    return [Claim(session_id, rank, count) for (session_id, rank), count in wanted.items()]
