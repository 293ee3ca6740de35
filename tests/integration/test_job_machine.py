"""Jobs under everything at once: what API, workers and sweeper do, in any order, with losses, on a real PostgreSQL."""

import copy
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Connection, create_engine, text
from structlog.testing import capture_logs

from api.jobs import cancel_job
from common.broker import make_celery
from common.errors import Conflict
from common.jobs import SeriesError
from common.redis import make_client
from common.tiers import TierName
from tests.books import assert_books
from tests.conftest import Embedded
from tests.integration.job_kit import Desk, make_settings, sma
from tests.integration.job_model import ATTEMPTS, LIVE, SERIES, Ends, Job, Model, Person, assert_same
from tests.integration.machines import machine_settings
from tests.soak import Record, often, tell
from worker.expiry import Expiry
from worker.requests import Requests
from worker.store import open_store
from worker.sweeper import Sweeper
from worker.transitions import (
    Claim,
    Outcome,
    StoredFile,
    claim_next,
    complete_assembly,
    complete_part,
    fail_part,
    release,
    renew,
)
from worker.turns import bounds

EXAMPLES = often(15, 350)
STEPS = 40
TTL = 3600.0
WORKERS = 4
MOST_USED = 400
"""Series of a user, so that no job is refused."""

_END_LEASE = "UPDATE job_parts SET lease_until = '-infinity' WHERE job_id = :id AND number = :number"

A_FILE = StoredFile("a-file", 0, '""')

Deed = tuple[int, str, int]
deeds = st.tuples(
    st.integers(0, WORKERS - 1),
    st.sampled_from(
        ["complete"] * 4 + ["complete with failures", "fail", "release", "renew", "stand still", "die", "die", "haunt"]
    ),
    st.integers(1, 4),
)
"""Which worker does what with its part, and how many series fail in it. One without a part claims one instead."""


class JobMachine(RuleBasedStateMachine):
    """Two users, one of whom may have two parts running at once; four workers, each with one part at a time."""

    def __init__(self, sweeper: Sweeper, seen: Counter[str]) -> None:
        super().__init__()
        self._sweeper, self._engine, self._settings = sweeper, sweeper._engine, sweeper._settings
        self._bounds = bounds(self._settings)
        self._requests = Requests()
        self._ends = Ends()
        self._seen = seen
        self._desks: dict[int, Desk] = {}
        self._model = Model([])
        self._workers = [f"host:{place}" for place in range(WORKERS)]
        self._claims: dict[str, Claim] = {}
        """What each worker believes to hold."""
        self._ghosts: list[Claim] = []
        """What dead workers believed to hold: the last they have said may still be on its way."""
        self._open: Connection | None = None
        """Of what PostgreSQL is going to forget."""

    @initialize()
    def begin(self) -> None:
        for tier in (TierName.PRO, TierName.PREMIUM):
            desk = Desk.open(self._engine, self._settings, tier)
            self._desks[desk.user_id] = desk
            self._model.people.append(Person(desk.user_id, self._bounds[tier] or None))

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        if self._open is not None:
            with self._open.begin_nested():
                yield self._open
        else:
            with self._engine.begin() as connection:
                yield connection

    # --- what holds

    @invariant()
    def the_database_is_as_it_has_to_be(self) -> None:
        self._seen["steps"] += 1
        self._look()

    def _look(self) -> None:
        with self._engine.connect() as connection:
            assert_same(connection, self._model)
            assert_books(connection)
            self._ends.note(connection)
        for person in self._model.people:
            assert person.bound is None or self._model.running(person) <= person.bound

    # --- what the API does

    @rule(who=st.integers(0, 1), symbols=st.integers(1, 6), size=st.integers(1, 3))
    def submit(self, who: int, symbols: int, size: int) -> None:
        """Parts of one size, but for the last."""
        person = self._model.people[who]
        if person.used + symbols * SERIES > MOST_USED:
            return
        job_id = self._desks[person.id].submit(symbols=symbols, series=sma(5, 10), parts_of=size)
        self._model.submit(job_id, person, [min(size, symbols - first) for first in range(0, symbols, size)])

    @precondition(lambda self: self._model.jobs)
    @rule(which=st.integers(0, 50))
    def cancel(self, which: int) -> None:
        job = self._job(which)
        before = job.status

        def ask() -> None:
            with self._engine.begin() as connection:
                cancel_job(connection, job.person.id, UUID(job.id), TTL)

        if before in LIVE:
            ask()
            job.cancel()
        elif before == "cancelled":
            ask()
        else:
            with pytest.raises(Conflict):
                ask()
        self._seen[f"cancel: {before}"] += 1

    def _job(self, which: int) -> Job:
        return list(self._model.jobs.values())[which % len(self._model.jobs)]

    # --- what workers do

    @precondition(lambda self: self._model.is_busy)
    @rule(deeds=st.lists(deeds, min_size=4, max_size=12))
    def work(self, deeds: Sequence[Deed]) -> None:
        for deed in deeds:
            self._do(deed)

    def _do(self, deed: Deed) -> Outcome | None:
        """What has been ended, if anything was. The dead are given their process ids again."""
        place, what, failed = deed
        if what == "haunt":
            if not self._ghosts:
                return None
            return self._end(self._ghosts.pop(place % len(self._ghosts)), "complete", 0)
        worker = self._workers[place]
        claim = self._claims.get(worker)
        if claim is None:
            self._claim(worker)
        elif what == "renew":
            self._renew(claim)
        elif what == "stand still":
            self._stand_still(claim)
        else:
            del self._claims[worker]
            if what != "die":
                return self._end(claim, what, failed)
            self._ghosts.append(claim)
            self._stand_still(claim)
        return None

    def _stand_still(self, claim: Claim) -> None:
        if self._model.holds(claim):
            self._lapse(self._model.jobs[claim.job_id], claim.number)

    def _claim(self, worker: str) -> None:
        turns = self._model.turns()
        with self._transaction() as connection:
            claim = claim_next(
                connection, worker=worker, lease=TTL, bounds=self._bounds, requests=self._requests, ttl=TTL
            )
        if claim is None:
            assert turns == []
            return
        assert (claim.job_id, claim.number) in turns
        self._model.claim(claim)
        assert self._model.holds(claim)
        self._claims[worker] = claim

    def _renew(self, claim: Claim) -> None:
        holds = self._model.holds(claim)
        with self._transaction() as connection:
            assert renew(connection, claim, TTL) == holds
        if holds:
            self._model.jobs[claim.job_id].parts[claim.number].lapsed = False

    def _end(self, claim: Claim, what: str, failed: int) -> Outcome:
        """Whoever does not hold the part any more is refused."""
        holds, job = self._model.holds(claim), self._model.jobs[claim.job_id]
        failed = min(failed, len(claim.symbols) * SERIES) if what == "complete with failures" else 0
        with self._transaction() as connection:
            if what == "release":
                outcome = Outcome.RELEASED if release(connection, claim) else Outcome.REFUSED
            elif what == "fail":
                outcome = fail_part(connection, claim, "because", TTL)
            elif claim.is_assembly:
                outcome = complete_assembly(connection, claim, A_FILE, TTL)
            else:
                outcome = complete_part(connection, claim, A_FILE, self._errors(claim, failed), TTL)
        self._seen[f"{what}: {outcome.name}"] += 1
        if not holds:
            expected = Outcome.REFUSED
        elif what == "release":
            job.parts[claim.number].state = "queued"
            expected = Outcome.RELEASED
        elif what == "fail":
            expected = job.fail(claim.number)
        elif claim.is_assembly:
            expected = job.end_assembly("completed")
        else:
            expected = job.end_part(claim.number, "completed", failed)
        assert outcome is expected
        return outcome

    def _errors(self, claim: Claim, failed: int) -> list[SeriesError]:
        pairs = [(symbol, label) for symbol in claim.symbols for label in claim.request.labels]
        return [SeriesError(symbol, label, "because") for symbol, label in pairs[:failed]]

    def _lapse(self, job: Job, number: int) -> None:
        """So much time passes that the lease of a running part ends."""
        job.parts[number].lapsed = True
        self._change(_END_LEASE, id=UUID(job.id), number=number)

    def _change(self, statement: str, **values: object) -> None:
        with self._transaction() as connection:
            connection.execute(text(statement), values)

    # --- what goes wrong

    @precondition(lambda self: self._model.is_busy)
    @rule(deeds=st.lists(deeds, min_size=2, max_size=6))
    def postgresql_crashes(self, deeds: Sequence[Deed]) -> None:
        """What workers did last is forgotten, but not by them. The end of a job is on disk, and all before it."""
        with self._engine.connect() as connection:
            self._open = connection
            try:
                kept = copy.deepcopy(self._model)
                for deed in deeds:
                    if self._do(deed) is Outcome.JOB_ENDED:
                        connection.commit()
                        kept = copy.deepcopy(self._model)
                connection.rollback()
            finally:
                self._open = None
        self._seen[f"forgotten: {kept != self._model}"] += 1
        self._model = kept

    # --- what time does

    @precondition(lambda self: self._model.ended)
    @rule(which=st.integers(0, 50))
    def a_result_is_over(self, which: int) -> None:
        ended = self._model.ended
        job = ended[which % len(ended)]
        job.over = True
        self._change("UPDATE jobs SET expires_at = now() - interval '1 second' WHERE id = :id", id=UUID(job.id))

    @rule(lapsed=st.booleans())
    def some_time_later(self, lapsed: bool) -> None:
        """Long enough for a sweep, or for every lease to end as well."""
        if lapsed:
            self._lapse_all()
        self._sweep()

    def _lapse_all(self) -> None:
        for job, number in self._model.parts("running"):
            self._lapse(job, number)

    def _sweep(self) -> None:
        assert self._sweeper.sweep(threading.Event())
        self._model.sweep()

    # --- the end

    def teardown(self) -> None:
        """If everybody behaves from now on, every job ends; what old workers still believe changes nothing."""
        try:
            believed = [*self._ghosts, *self._claims.values()]
            self._claims.clear()
            self._workers = [f"new:{place}" for place in range(WORKERS)]
            self._lapse_all()
            rounds = ATTEMPTS * sum(len(job.parts) for job in self._model.jobs.values())
            while self._model.is_busy:
                assert rounds, "a job does not end"
                rounds -= 1
                self._sweep()
                for place in (*range(WORKERS), *range(WORKERS)):
                    self._do((place, "complete", 0))
                self._look()
            for claim in believed:
                assert self._end(claim, "complete", 0) is Outcome.REFUSED
            self._look()
        finally:
            self._change("TRUNCATE users CASCADE")


@pytest.fixture
def sweeper(module_database: str, embedded: Embedded, published: Path, tmp_path: Path) -> Iterator[Sweeper]:
    (tmp_path / "market").symlink_to(published)
    settings = make_settings(module_database, f"{embedded.redis_url}/4", tmp_path, pro_running_parts=2)
    engine = create_engine(module_database, pool_size=3)
    broker, celery = make_client(settings.broker, 2), make_celery(lambda: settings)
    yield Sweeper(settings, engine, broker, celery, expiry=Expiry(settings, open_store(settings)))
    engine.dispose()
    broker.close()
    celery.close()


def test_whatever_happens_a_job_ends_once_and_is_paid_for_once(sweeper: Sweeper, record_property: Record) -> None:
    seen = Counter[str]()
    with capture_logs():  # of the sweeper
        run_state_machine_as_test(
            lambda: JobMachine(sweeper, seen),
            settings=machine_settings(EXAMPLES, STEPS),
        )
    steps = seen.pop("steps")
    tell(record_property, f"{steps} steps of the job machine, no violation; {dict(sorted(seen.items()))}")
