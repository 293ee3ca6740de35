"""The daily count under everything at once: what may happen to several API processes over a real PostgreSQL."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from uuid import uuid4

import pytest
from hypothesis import event
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, func, insert, text

from api.admission import Admission
from common.accounts import set_tier
from common.db.session import make_engine
from common.db.tables import sessions
from common.errors import Unauthenticated, Unavailable
from common.quota import charge_whole, refund
from common.tiers import OUT_OF_REACH, TIERS, TierName
from tests.integration.machines import machine_settings
from tests.integration.quota_model import CHARGE, EXAMPLES, MISFORTUNES, STEPS, Ask, Order, QuotaModel, orders
from tests.wire import Loss


class QuotaMachine(QuotaModel):
    """What happens; `QuotaModel` says what holds."""

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
        settings=machine_settings(EXAMPLES, STEPS),
    )
