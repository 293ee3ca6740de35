"""With real workers: nobody waits behind another's hundred jobs, and nobody on the line behind a batch."""

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text

from common.broker import PROBE
from common.jobs import Series
from common.redis import probe_key
from common.settings import Settings
from common.tiers import TierName
from tests.integration.job_kit import Desk, running_worker, sma, wait_until
from worker.doorbell import ring
from worker.resources import Resources

JOBS = 100
WORKERS = 2
SERIES: tuple[Series, ...] = sma(*range(2, 102))


@pytest.fixture
def crowd(engine: Engine, settings: Settings, resources: Resources) -> Desk:
    """A user with a hundred queued jobs."""
    desk = Desk.open(engine, settings, TierName.PREMIUM)
    for _ in range(JOBS):
        submit(desk, resources)
    return desk


def submit(desk: Desk, resources: Resources) -> str:
    """A job of one part, which takes far longer than to count what has been claimed."""
    job_id = desk.submit(symbols=20, series=SERIES, parts_of=20)
    ring(resources.celery, [(job_id, 0)])
    return job_id


def claimed(desk: Desk) -> int:
    """Parts of the user that have been claimed."""
    with desk.engine.connect() as connection:
        statement = text("SELECT count(claimed_at) FROM job_parts WHERE user_id = :id")
        count: int = connection.execute(statement, {"id": desk.user_id}).scalar_one()
        return count


def test_nobody_waits_longer_than_for_the_parts_that_run(
    crowd: Desk, engine: Engine, settings: Settings, resources: Resources, tmp_path: Path
) -> None:
    """Neither another user's first part, nor whoever waits on the line."""
    first = text("""
        SELECT count(*) FROM job_parts WHERE user_id = :crowd
        AND claimed_at < (SELECT min(claimed_at) FROM job_parts WHERE user_id = :other)
    """)
    with running_worker(settings, tmp_path / "worker.log", processes=WORKERS):
        wait_until(lambda: claimed(crowd) > WORKERS)
        for _ in range(4):
            other = Desk.open(engine, settings, TierName.PREMIUM)
            submit(other, resources)
            before = claimed(crowd)
            wait_until(lambda other=other: claimed(other))
            with engine.connect() as connection:
                until = connection.execute(first, {"crowd": crowd.user_id, "other": other.user_id}).scalar_one()
            assert until - before <= WORKERS

            nonce = uuid4().hex
            before = claimed(crowd)
            resources.celery.send_task(PROBE, kwargs={"nonce": nonce}, task_id=f"probe-{nonce}")
            assert resources.cache.blpop([probe_key(nonce)], timeout=10) is not None
            assert claimed(crowd) - before <= WORKERS
        assert claimed(crowd) < JOBS  # there was a crowd to the end
