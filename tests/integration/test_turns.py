"""Whose part runs next: users take turns, bounds hold, and claiming stands in nobody's way."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from api.jobs import cancel_job
from common.settings import Settings
from common.tiers import TierName
from tests.integration.job_kit import Desk, wait_until
from worker.requests import Requests
from worker.transitions import Claim, Outcome, StoredFile, claim_next, complete_part
from worker.turns import bounds

TTL = 3600.0
A_FILE = StoredFile("a-file", 0)
NO_BOUNDS = {tier.value: 0 for tier in TierName}

Serve = Callable[..., Claim | None]


@pytest.fixture
def serve(engine: Engine) -> Serve:
    """A worker claims what it is offered."""

    def claim(limits: Mapping[str, int] = NO_BOUNDS, worker: str = "test") -> Claim | None:
        with engine.begin() as connection:
            return claim_next(connection, worker=worker, lease=30, bounds=limits, requests=Requests(), ttl=TTL)

    return claim


def served(serve: Serve, limits: Mapping[str, int] = NO_BOUNDS) -> Claim:
    claim = serve(limits)
    assert claim is not None
    return claim


def end(engine: Engine, claim: Claim) -> Outcome:
    with engine.begin() as connection:
        return complete_part(connection, claim, A_FILE, (), TTL)


def test_the_oldest_job_of_a_user_comes_first_part_by_part(desk: Desk, serve: Serve) -> None:
    jobs = [desk.submit(symbols=2) for _ in range(3)]
    claims = [served(serve) for _ in range(6)]
    assert [(c.job_id, c.number) for c in claims] == [(job_id, number) for job_id in jobs for number in range(2)]
    assert serve() is None


def test_a_user_with_a_hundred_jobs_delays_another_by_the_parts_that_run(
    desk: Desk, engine: Engine, settings: Settings, serve: Serve
) -> None:
    for _ in range(100):
        desk.submit(symbols=2)
    running = [served(serve) for _ in range(2)]  # one for each of two workers
    other = Desk.open(engine, settings)
    late = other.submit(symbols=2)
    end(engine, running[0])
    assert served(serve).job_id == late


def test_users_take_turns(desk: Desk, engine: Engine, settings: Settings, serve: Serve) -> None:
    desks = {str(d.submit(symbols=8)): d for d in (desk, Desk.open(engine, settings), Desk.open(engine, settings))}
    turns = []
    for _ in range(12):  # one worker
        claim = served(serve)
        turns.append(claim.job_id)
        end(engine, claim)
    assert Counter(turns) == dict.fromkeys(desks, 4)
    assert all(len(set(turns[i : i + 3])) == 3 for i in range(0, 12, 3))


def test_whoever_has_fewest_parts_running_is_next(desk: Desk, engine: Engine, settings: Settings, serve: Serve) -> None:
    mine = desk.submit(symbols=8)
    for _ in range(3):
        served(serve)
    theirs = Desk.open(engine, settings).submit(symbols=8)
    assert [served(serve).job_id for _ in range(5)] == [theirs, theirs, theirs, mine, theirs]


def test_no_more_parts_of_a_user_run_than_their_tier_may(desk: Desk, serve: Serve, settings: Settings) -> None:
    """Whatever the number of workers that ask at the same moment."""
    desk.submit(symbols=20)
    limits = bounds(settings) | {TierName.PRO.value: 3}
    with ThreadPoolExecutor(8) as threads:
        claims = [c for c in threads.map(lambda _: serve(limits), range(24)) if c is not None]
    assert len(claims) == 3
    end(desk.engine, claims[0])
    assert serve(limits) is not None
    assert serve(limits) is None


def test_a_user_at_their_bound_holds_up_nobody(desk: Desk, engine: Engine, settings: Settings, serve: Serve) -> None:
    limits = bounds(settings) | {TierName.PRO.value: 1}
    desk.submit(symbols=5)
    served(serve, limits)
    other = Desk.open(engine, settings, TierName.PREMIUM)
    theirs = other.submit(symbols=3)
    assert [served(serve, limits).job_id for _ in range(3)] == [theirs] * 3
    assert serve(limits) is None


def test_every_part_is_claimed_once_by_whoever_asks(desk: Desk, engine: Engine, settings: Settings) -> None:
    others = [desk, Desk.open(engine, settings), Desk.open(engine, settings)]
    jobs = [d.submit(symbols=20) for d in others for _ in range(2)]
    limits = NO_BOUNDS | {TierName.PRO.value: 7}  # so that locks of users are taken too

    def work(number: int) -> list[tuple[str, int]]:
        done = []
        while True:
            with engine.begin() as connection:
                claim = claim_next(
                    connection, worker=f"worker-{number}", lease=30, bounds=limits, requests=Requests(), ttl=TTL
                )
            if claim is None:
                with engine.connect() as connection:
                    if not connection.execute(text("SELECT 1 FROM job_parts WHERE state = 'queued' LIMIT 1")).all():
                        return done
                continue
            assert end(engine, claim) is not Outcome.REFUSED
            done.append((claim.job_id, claim.number))

    with ThreadPoolExecutor(6) as threads:
        claimed = [place for places in threads.map(work, range(6)) for place in places]
    parts = {(job_id, number) for job_id in jobs for number in range(20)}
    # The assemblies too: they were queued when the last part had ended.
    assert sorted(claimed) == sorted(parts | {(job_id, 20) for job_id in jobs})


def test_claiming_waits_for_no_cancelling(desk: Desk, serve: Serve) -> None:
    """And a part that was claimed while its job was being cancelled does not count."""
    job_id = desk.submit(symbols=2)
    with desk.engine.connect() as connection, connection.begin():
        connection.execute(text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE"), {"id": UUID(job_id)})
        claim = served(serve)
        assert desk.job(job_id).status == "queued"  # it was not waited for
        done = threading.Event()

        def cancel() -> None:
            with desk.engine.begin() as other:
                cancel_job(other, desk.user_id, UUID(job_id), TTL)
            done.set()

        threading.Thread(target=cancel).start()
        assert not done.is_set()
    wait_until(done.is_set)
    assert end(desk.engine, claim) is Outcome.REFUSED
    assert (desk.job(job_id).status, desk.states(job_id)) == ("cancelled", ["cancelled"] * 3)
    assert desk.used() == 0


def test_a_job_whose_start_was_not_recorded_is_running_when_a_part_has_ended(desk: Desk, serve: Serve) -> None:
    job_id = desk.submit(symbols=2)
    with desk.engine.connect() as connection, connection.begin():
        connection.execute(text("SELECT 1 FROM jobs WHERE id = :id FOR UPDATE"), {"id": UUID(job_id)})
        claim = served(serve)
    assert desk.job(job_id).status == "queued"
    assert end(desk.engine, claim) is Outcome.ENDED
    job = desk.job(job_id)
    assert (job.status, job.parts_ended) == ("running", 1)
    assert job.started_at is not None


def test_a_job_that_this_version_cannot_read_fails_and_holds_up_nobody(desk: Desk, serve: Serve) -> None:
    lost, sound = desk.submit(symbols=2), desk.submit(symbols=1)
    desk.change(
        "UPDATE jobs SET request = CAST(replace(CAST(request AS text), '\"sma\"', '\"gone\"') AS json) WHERE id = :id",
        id=UUID(lost),
    )
    assert serve() is None
    job = desk.job(lost)
    assert (job.status, job.refunded, job.cost) == ("failed", 4, 4)
    assert desk.states(lost) == ["failed", "cancelled", "cancelled"]
    assert "cannot be read by this version" in desk.part(lost, 0).errors[0]["detail"]
    assert served(serve).job_id == sound
    assert desk.used() == 2
