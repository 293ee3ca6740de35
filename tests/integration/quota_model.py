"""What the count has to be: the model of the quota machine, and the processes it drives over a real PostgreSQL.

The model is a number per user and day: what was said to be charged, less what was given back. After each step
PostgreSQL has to hold exactly that, whatever was lost on the way.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

import psycopg2
import uvloop
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
)
from sqlalchemy import Engine, func, insert, select, text

from api.admission import Admission, Admissions
from api.counting import CountingConnection, connector
from common.accounts import create_user
from common.db.session import counting_arguments
from common.db.tables import sessions, users
from common.errors import Unauthenticated, Unavailable
from common.quota import PREPARE, charge_whole
from common.tiers import OUT_OF_REACH, TIERS, Tier, TierName
from tests.wire import Loss, Wire, wire_to

T = TypeVar("T")

EXAMPLES = 20 * int(os.environ.get("TEST_ROUNDS", "1"))
STEPS = 40
START = datetime(2031, 5, 6, 12, tzinfo=UTC)
PATIENCE = 5.0
LAG = timedelta(hours=3)
"""By which the clock of one process is behind."""

CHARGE, UNDO, REFUND = b"EXECUTE charge", b"WITH lost AS", b"WITH trip AS"
"""What the statements are known by."""
MISFORTUNES: Mapping[str, Sequence[Loss]] = {
    "the charge": [Loss(CHARGE, request=True)],
    "the charge, by a reset": [Loss(CHARGE, request=True, reset=True)],
    "its reply": [Loss(CHARGE)],
    "its reply, by a reset": [Loss(CHARGE, reset=True)],
    "its reply, cut early": [Loss(CHARGE, early=True)],
    "both replies": [Loss(CHARGE), Loss(CHARGE)],
    "the charge, then its reply": [Loss(CHARGE, request=True), Loss(CHARGE)],
    "its reply, then the charge": [Loss(CHARGE), Loss(CHARGE, request=True)],
    "its reply, then the undoing": [Loss(CHARGE), Loss(UNDO, request=True)],
    "its reply, then that of the undoing": [Loss(CHARGE), Loss(UNDO)],
    "a refund": [Loss(REFUND, request=True)],
    "the reply to a refund": [Loss(REFUND)],
    "both replies to a refund": [Loss(REFUND), Loss(REFUND)],
}

names = count(1)


@dataclass
class Person:
    """A user, and what the model says of them."""

    name: str
    id: int
    tier: Tier
    live: list[str]
    day: date
    used: Counter[date] = field(default_factory=Counter)

    def standing(self, today: date) -> tuple[date, int]:
        """The day that pays for what is asked on `today`, and what it has paid."""
        day = max(self.day, today)
        return day, self.used[day] if day == self.day else 0

    def left(self, today: date) -> float:
        limit = self.tier.series_a_day
        return float("inf") if limit is None else max(0, limit - self.standing(today)[1])

    def charge(self, day: date, series: int) -> None:
        assert day >= self.day, "a day that was over has started again"
        self.day = day
        self.used[day] += series
        limit = self.tier.series_a_day
        assert limit is None or self.used[day] <= limit, f"{self.name} has more than {limit} a day"


@dataclass(frozen=True)
class Ask:
    person: Person
    session: str
    rank: int
    ceiling: int

    @property
    def fits(self) -> bool:
        return self.session in self.person.live and self.rank <= self.person.tier.rank <= self.ceiling


Order = Sequence[tuple[int, int, int, int, int]]
"""Who asks, by place; with which session; what: rank and ceiling; how often."""


class Clock:
    def __init__(self) -> None:
        self.now = START


class Process:
    """What of an API process counts. Its requests may go over a wire that loses some."""

    def __init__(self, url: str, clock: Clock, lag: timedelta, wire: Wire | None) -> None:
        self.name = f"machine-{next(names)}"
        self.wire = wire
        self._clock, self._lag = clock, lag
        self._dead = False
        self._made: list[psycopg2.extensions.connection] = []
        arguments = counting_arguments(url if wire is None else wire.url(url), timeout=PATIENCE, name=self.name)
        self._really_connect = connector(arguments, PATIENCE, PREPARE)
        self._connection = CountingConnection(self._connect)
        self.admissions = Admissions(self._connection, self.now, PATIENCE)

    def now(self) -> datetime:
        return self._clock.now - self._lag

    @property
    def today(self) -> date:
        return self.now().date()

    def _connect(self, process: str) -> psycopg2.extensions.connection:
        if self._dead:
            raise psycopg2.OperationalError("this process has crashed")
        connection = self._really_connect(process)
        self._made.append(connection)
        if self._dead:
            connection.close()
        return connection

    def crash(self) -> None:
        """Nothing leaves it any more."""
        self._dead = True
        self._connection.close()
        for connection in self._made:  # one may not have reached it yet
            connection.close()

    async def claim(self, asks: Sequence[Ask]) -> list[Admission | Exception]:
        answers = await asyncio.gather(
            *(self.admissions.claim(a.session, a.rank, a.ceiling) for a in asks), return_exceptions=True
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, Unauthenticated | Unavailable):
                raise answer
        return [a for a in answers if not isinstance(a, BaseException) or isinstance(a, Exception)]


ranks = st.sampled_from([0, 0, 0, 1, 2, OUT_OF_REACH])
ceilings = st.sampled_from([OUT_OF_REACH, OUT_OF_REACH, OUT_OF_REACH, 0, 1])
orders = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 9), ranks, ceilings, st.integers(1, 40)), min_size=1, max_size=4
)


class QuotaModel(RuleBasedStateMachine):
    """People and three processes, and what holds whatever happens to them.

    One process has a plain connection, one is on a wire, one is on a wire and its clock is behind.
    """

    def __init__(self, url: str, engine: Engine) -> None:
        super().__init__()
        self._url, self._engine = url, engine
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)  # as the API's
        self._stack = AsyncExitStack()
        self._clock = Clock()
        self._people: list[Person] = []
        self._processes: list[Process] = []
        self._charged: list[tuple[Person, Admission]] = []
        """What may be given back. Not a bundle: its length depends on what was faster, which must not decide a draw."""

        self._shaken: set[int] = set()
        """Places of processes whose connection PostgreSQL has ended. What asks next may hear that it is away."""

    def run(self, steps: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(steps)

    @initialize()
    def begin(self) -> None:
        self._people = [self._sign_up(tier, 3) for tier in (TierName.FREE, TierName.PRO, TierName.PREMIUM)]
        bystander = self._sign_up(TierName.FREE, 1)
        with self._engine.begin() as connection:
            assert charge_whole(connection, bystander.id, 7, START.date()) == (START.date(), 7)
        bystander.charge(START.date(), 7)
        self._people.append(bystander)
        self._processes = [self.run(self._start(place)) for place in range(3)]

    def _sign_up(self, tier: TierName, signed_in: int) -> Person:
        ids = [str(uuid4()) for _ in range(signed_in)]
        with self._engine.begin() as connection:
            user = create_user(connection, f"user-{next(names)}", "-", tier)
            expires_at = func.now() + timedelta(days=1)
            rows = [{"id": i, "user_id": user.id} for i in ids]
            connection.execute(insert(sessions).values(expires_at=expires_at), rows)
        return Person(user.username, user.id, TIERS[tier], ids, user.last_request_reset)

    async def _start(self, place: int) -> Process:
        wire = await self._stack.enter_async_context(wire_to(self._url)) if place else None
        return Process(self._url, self._clock, LAG if place == 2 else timedelta(0), wire)

    def _asks(self, order: Order) -> list[Ask]:
        asks = []
        for who, which, rank, ceiling, times in order:
            person = self._people[who]
            if person.live:
                session = person.live[which % len(person.live)]
                asks += [Ask(person, session, rank, ceiling)] * times
        return asks

    @invariant()
    def postgresql_counts_what_the_model_counts(self) -> None:
        self.run(self._settle())
        found = self._found()
        self._follow(found)
        assert found == self._expected()

    def _follow(self, found: Mapping[str, tuple[date, int]]) -> None:
        """A day may have begun with a charge that was taken back."""
        for person in self._people:
            day, used = found[person.name]
            if day > person.day and used == 0:
                person.day = day

    def _note(self, asks: Sequence[Ask], answers: Sequence[Admission | Exception]) -> None:
        """Into the model."""
        made: Counter[tuple[str, date]] = Counter()
        for ask, answer in zip(asks, answers, strict=True):
            assert not isinstance(answer, Unauthenticated)
            if isinstance(answer, Admission) and answer.charged:
                assert ask.fits
                made[ask.person.name, answer.standing.day] += 1
                self._charged.append((ask.person, answer))
        by_name = {p.name: p for p in self._people}
        for (name, day), series in sorted(made.items(), key=lambda entry: entry[0][1]):
            by_name[name].charge(day, series)

    async def _settle(self) -> None:
        for process in self._processes:
            await process.admissions.settled()

    def _calm(self, place: int) -> None:
        """So that the process is connected, and knows it when it was not."""

        async def look() -> None:
            for _ in range(2):
                with suppress(Unauthenticated, Unavailable):
                    await self._processes[place].admissions.standing(str(uuid4()))

        self.run(look())
        self._shaken.discard(place)

    def _expected(self) -> dict[str, tuple[date, int]]:
        return {p.name: (p.day, p.used[p.day]) for p in self._people}

    def _found(self) -> dict[str, tuple[date, int]]:
        """In PostgreSQL."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                select(users.c.username, users.c.last_request_reset, users.c.requests_today).where(
                    users.c.id.in_([p.id for p in self._people])
                )
            )
            return {row.username: (row.last_request_reset, row.requests_today) for row in rows}

    def _once_gone(self, process: Process) -> dict[str, tuple[date, int]]:
        """What is counted when the last statement of a crashed process has ended."""
        deadline = time.monotonic() + 30
        statement = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
        while True:
            with self._engine.begin() as connection:
                if connection.execute(statement, {"name": process.name}).scalar_one() == 0:
                    return self._found()
            assert time.monotonic() < deadline
            self.run(asyncio.sleep(0.001))  # its wire runs here as well

    def teardown(self) -> None:
        async def end() -> None:
            await self._settle()
            for process in self._processes:
                process.crash()
            await self._stack.aclose()

        with closing(self._runner):
            if self._processes:
                self.run(end())
