"""The daily count under everything at once: a model of it, and several API processes over a real PostgreSQL.

The model is a number per user and day: what was said to be charged, less what was given back. After each step
PostgreSQL has to hold exactly that, whatever was lost on the way.
"""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

import psycopg2
import pytest
import uvloop
from hypothesis import HealthCheck, Phase, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, func, insert, select, text

from api.admission import Admission, Admissions
from api.counting import CountingConnection, connector
from common.accounts import create_user, set_tier
from common.db.session import counting_arguments, make_engine
from common.db.tables import sessions, users
from common.errors import Unauthenticated, Unavailable
from common.quota import PREPARE, charge_whole, refund
from common.tiers import OUT_OF_REACH, TIERS, Tier, TierName
from tests.wire import Loss, Wire, wire_to

T = TypeVar("T")

EXAMPLES = 40 * int(os.environ.get("TEST_ROUNDS", "1"))
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


class QuotaMachine(RuleBasedStateMachine):
    """Three processes: one with a plain connection, one on a wire, one on a wire whose clock is behind."""

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

    # --- what happens

    @rule(place=st.integers(0, 2), order=orders)
    def admit(self, place: int, order: Order) -> None:
        """One process, nothing goes wrong: what is granted is known to the series."""
        process, asks = self._processes[place], self._asks(order)
        fitting = Counter(a.person.name for a in asks if a.fits)
        before = {p.name: (p.standing(process.today), p.left(process.today)) for p in self._people}
        answers = self.run(process.claim(asks))
        shaken = place in self._shaken
        self._shaken.discard(place)
        if shaken and any(isinstance(a, Unavailable) for a in answers):
            self._note(asks, answers)
            return
        assert not any(isinstance(a, Exception) for a in answers)
        for person in self._people:
            (day, used), left = before[person.name]
            theirs = [a for ask, a in zip(asks, answers, strict=True) if ask.person is person]
            granted = [a.standing for a in theirs if isinstance(a, Admission) and a.charged]
            assert len(granted) == min(fitting[person.name], left)
            assert [s.used for s in granted] == list(range(used + 1, used + 1 + len(granted)))
            assert {(s.day, s.tier) for s in granted} <= {(day, person.tier)}
        self._note(asks, answers)

    @rule(orders=st.lists(orders, min_size=3, max_size=3))
    def admit_in_all_processes(self, orders: Sequence[Order]) -> None:
        """At the same time. Only what all of them agree about is known before."""
        for place in tuple(self._shaken):
            self._calm(place)
        asks = [self._asks(order) for order in orders]
        fitting = Counter(a.person.name for each in asks for a in each if a.fits)
        agreed = len({p.today for p in self._processes}) == 1
        left = {p.name: p.left(self._processes[0].today) for p in self._people}
        answers = self.run(self._all_claim(asks))
        flat = [a for each in answers for a in each]
        assert not any(isinstance(a, Exception) for a in flat)
        everyone = [a for each in asks for a in each]
        granted = Counter(
            ask.person.name for ask, a in zip(everyone, flat, strict=True) if isinstance(a, Admission) and a.charged
        )
        for person in self._people:
            if agreed:
                assert granted[person.name] == min(fitting[person.name], left[person.name])
        self._note(everyone, flat)

    async def _all_claim(self, asks: Sequence[Sequence[Ask]]) -> list[list[Admission | Exception]]:
        return await asyncio.gather(*(p.claim(a) for p, a in zip(self._processes, asks, strict=True)))

    @rule(
        place=st.integers(1, 2),
        misfortune=st.sampled_from(sorted(MISFORTUNES)),
        orders=st.lists(orders, min_size=1, max_size=3),
        others=orders,
    )
    def admit_with_losses(
        self,
        place: int,
        misfortune: str,
        orders: Sequence[Order],
        others: Order,
    ) -> None:
        """On a wire that is cut, while another process goes on. Who is told of no charge has none."""
        self._calm(0)
        shaken = place in self._shaken
        unavailable = self.lose(misfortune, place, orders, others)
        self._shaken.discard(place)
        event(f"lost: {misfortune}{', unavailable' if unavailable else ''}")
        if len(MISFORTUNES[misfortune]) == 1 and not shaken:
            assert not unavailable, "one loss is made good"

    def lose(self, misfortune: str, place: int, orders: Sequence[Order], others: Order) -> bool:
        """Returns whether anybody was told that PostgreSQL is away."""
        process, wire = self._processes[place], self._processes[place].wire
        assert wire is not None
        for loss in MISFORTUNES[misfortune]:
            wire.lose(loss)
        asks = [a for order in orders for a in self._asks(order)]
        beside = self._asks(others)

        async def both() -> list[list[Admission | Exception]]:
            return await asyncio.gather(process.claim(asks), self._processes[0].claim(beside))

        answers, others_answers = self.run(both())
        self.run(self._settle())
        wire.lose_nothing()
        assert not any(isinstance(a, Exception) for a in others_answers)
        self._note([*asks, *beside], [*answers, *others_answers])
        return any(isinstance(a, Unavailable) for a in answers)

    @rule(place=st.integers(0, 2), order=orders, turns=st.integers(0, 12), leave=st.integers(1, 40))
    def callers_leave(
        self,
        place: int,
        order: Order,
        turns: int,
        leave: int,
    ) -> None:
        """Some of those who ask do not wait for the answer."""
        process, asks = self._processes[place], self._asks(order)
        admissions = process.admissions

        async def ask() -> list[Admission | None]:
            tasks = [asyncio.create_task(admissions.claim(a.session, a.rank, a.ceiling)) for a in asks]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks[:leave]:
                task.cancel()
            answers: list[Admission | None] = []
            for task in tasks:
                try:
                    answers.append(await task)
                except asyncio.CancelledError:
                    answers.append(None)
                except Unavailable:
                    assert place in self._shaken
                    answers.append(None)
            return answers

        answers = self.run(ask())
        self._calm(place)  # what was under way when the last of them left is through then
        event(f"left: {sum(a is None for a in answers) > 0}")
        stayed = [(ask, a) for ask, a in zip(asks, answers, strict=True) if a is not None]
        self._note([ask for ask, _ in stayed], [a for _, a in stayed])

    @rule(places=st.lists(st.integers(0, 2), min_size=1, max_size=8), given=st.lists(st.integers(0, 500), max_size=8))
    def give_back(self, places: Sequence[int], given: Sequence[int]) -> None:
        self._give_back(places, given)

    @rule(
        place=st.integers(1, 2),
        misfortune=st.sampled_from(sorted(m for m in MISFORTUNES if "refund" in m)),
        given=st.lists(st.integers(0, 500), min_size=1, max_size=8),
    )
    def give_back_with_losses(self, place: int, misfortune: str, given: Sequence[int]) -> None:
        wire = self._processes[place].wire
        assert wire is not None
        for loss in MISFORTUNES[misfortune]:
            wire.lose(loss)
        self._give_back([place], given)
        wire.lose_nothing()
        event(f"lost: {misfortune} alone")

    def _give_back(self, places: Sequence[int], given: Sequence[int]) -> None:
        returned = [self._charged.pop(n % len(self._charged)) for n in given if self._charged]

        async def back() -> None:
            for n, (_, admission) in enumerate(returned):
                self._processes[places[n % len(places)]].admissions.give_back(admission)
            await self._settle()

        self.run(back())
        for person, admission in returned:
            person.used[admission.standing.day] -= 1

    @rule(place=st.integers(0, 2), order=orders, turns=st.integers(0, 12), connected=st.booleans())
    def crash_with_a_statement_under_way(self, place: int, order: Order, turns: int, connected: bool) -> None:
        """All of it was counted, or nothing."""
        process, asks = self._processes[place], self._asks(order)
        self._shaken.discard(place)
        if connected:
            self._calm(place)
        fitting = Counter(a.person.name for a in asks if a.fits)
        before = self._expected()
        after = dict(before)
        for person in self._people:
            granted = min(fitting[person.name], person.left(process.today))
            if granted:
                day, used = person.standing(process.today)
                after[person.name] = day, used + int(granted)

        async def crash() -> None:
            tasks = [asyncio.create_task(process.claim([a])) for a in asks]
            for _ in range(turns):
                await asyncio.sleep(0)
            process.crash()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(crash())
        found = self._once_gone(process)
        assert found in (before, after)
        event(f"crash: {'counted' if found != before else 'not counted' if after != before else 'nothing asked'}")
        for person in self._people:
            person.day, person.used[person.day] = found[person.name][0], person.used[person.day]
            person.used[person.day] = found[person.name][1]
        self._processes[place] = self.run(self._start(place))

    @rule(place=st.integers(0, 2))
    def crash(self, place: int) -> None:
        """When nothing is owed."""
        self._shaken.discard(place)
        self._processes[place].crash()
        assert self._once_gone(self._processes[place]) == self._expected()
        self._processes[place] = self.run(self._start(place))

    @rule(place=st.integers(0, 2))
    def postgresql_ends_a_connection(self, place: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name"),
                {"name": self._processes[place].name},
            )
        self._shaken.add(place)

    @rule(who=st.integers(0, 2), tier=st.sampled_from(TierName))
    def change_tier(self, who: int, tier: TierName) -> None:
        person = self._people[who]
        with self._engine.begin() as connection:
            set_tier(connection, person.name, tier)
        person.tier = TIERS[tier]

    @rule(hours=st.integers(1, 13))
    def time_passes(self, hours: int) -> None:
        self._clock.now += timedelta(hours=hours)

    @rule(who=st.integers(0, 2), place=st.integers(0, 2))
    def a_session_ends(self, who: int, place: int) -> None:
        person = self._people[who]
        if not person.live:
            return
        self._calm(place)
        session = person.live.pop()
        with self._engine.begin() as connection:
            connection.execute(sessions.update().where(sessions.c.id == session).values(revoked_at=func.now()))
        asks = [Ask(person, session, 0, OUT_OF_REACH), *(Ask(person, s, OUT_OF_REACH, 0) for s in person.live)]
        first, *others = self.run(self._processes[place].claim(asks))
        assert isinstance(first, Unauthenticated)
        assert all(isinstance(a, Admission) and not a.charged for a in others)

    @rule(who=st.integers(0, 2))
    def somebody_signs_in(self, who: int) -> None:
        person, session = self._people[who], str(uuid4())
        with self._engine.begin() as connection:
            expires_at = func.now() + timedelta(days=1)
            connection.execute(insert(sessions).values(id=session, user_id=person.id, expires_at=expires_at))
        person.live.append(session)

    @rule(who=st.integers(0, 2), place=st.integers(0, 2), cost=st.sampled_from([1, 20, 49, 50, 300, 480]))
    def a_job(self, who: int, place: int, cost: int) -> None:
        """Paid in whole or not at all, in a transaction of its own."""
        person, today = self._people[who], self._processes[place].today
        day, used = person.standing(today)
        fits = cost <= person.left(today)
        with self._engine.begin() as connection:
            paid = charge_whole(connection, person.id, cost, today)
        assert paid == ((day, used + cost) if fits else None)
        if paid is not None:
            person.charge(paid.day, cost)

    @rule(who=st.integers(0, 2), series=st.integers(1, 5))
    def a_job_fails_in_part(self, who: int, series: int) -> None:
        person = self._people[who]
        if person.used[person.day] < series:
            return
        with self._engine.begin() as connection:
            refund(connection, person.id, series, person.day)
        person.used[person.day] -= series

    @precondition(lambda self: self._people)
    @rule(who=st.integers(0, 2), place=st.integers(0, 2))
    def look(self, who: int, place: int) -> None:
        person, process = self._people[who], self._processes[place]
        if not person.live:
            return
        self._calm(place)
        standing = self.run(process.admissions.standing(person.live[0]))
        assert (standing.day, standing.used) == person.standing(process.today)
        assert (standing.tier, standing.granted) == (person.tier, 0)

    def a_charge_outlives_its_connection(self) -> None:
        """Not one of the rules: it waits for PostgreSQL to show that it waits."""
        process, person = self._processes[1], self._people[0]
        assert process.wire is not None
        self._calm(1)
        cut = process.wire.lose(Loss(CHARGE, early=True))
        asks = self._asks([(0, 0, 0, OUT_OF_REACH, 3)])
        waiting = text("SELECT pid FROM pg_stat_activity WHERE application_name = :name AND wait_event_type = 'Lock'")

        async def claim() -> list[Admission | Exception]:
            each_look_anew = self._engine.execution_options(isolation_level="AUTOCOMMIT")
            with self._engine.begin() as blocker, each_look_anew.connect() as looker:
                blocker.execute(text("SELECT 1 FROM users WHERE id = :id FOR UPDATE"), {"id": person.id})
                claims = asyncio.create_task(process.claim(asks))
                await cut.wait()
                # The charge itself, and whatever follows it on the next connection.
                seen: set[int] = set()
                while len(seen) < 2 and not claims.done():
                    seen |= set(looker.execute(waiting, {"name": process.name}).scalars())
                    await asyncio.sleep(0.01)
            return await claims

        self._note(asks, self.run(claim()))

    # --- what holds

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


@pytest.fixture(scope="module")
def engine(module_database: str) -> Iterator[Engine]:
    engine = make_engine(module_database, pool_size=2)
    yield engine
    engine.dispose()


def test_a_charge_that_outlives_its_connection_is_counted_once(module_database: str, engine: Engine) -> None:
    """It waits for a lock when the connection breaks, so taking it back finds nothing yet."""
    machine = QuotaMachine(module_database, engine)
    machine.begin()
    try:
        machine.a_charge_outlives_its_connection()
        machine.postgresql_counts_what_the_model_counts()
    finally:
        machine.teardown()


def test_a_connection_that_is_reset_is_noticed(module_database: str, engine: Engine) -> None:
    """A reader hears of that from uvloop once, and then only finds the last words of the server."""
    machine = QuotaMachine(module_database, engine)
    machine.begin()
    try:
        for misfortune in ("the charge, by a reset", "its reply, by a reset"):
            assert not machine.lose(misfortune, 1, [[(0, 0, 0, OUT_OF_REACH, 3)]], [])
            machine.postgresql_counts_what_the_model_counts()
    finally:
        machine.teardown()


def test_whatever_happens_the_count_is_what_was_said(module_database: str, engine: Engine) -> None:
    run_state_machine_as_test(
        lambda: QuotaMachine(module_database, engine),
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            phases=[Phase.generate],  # shrinking would take as long again as everything else
        ),
    )
