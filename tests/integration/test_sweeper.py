"""The sweeper: what was lost goes on, what is over goes away."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

import orjson
import pytest
import redis
from sqlalchemy import Engine, text

from api.jobs import cancel_job
from common.broker import BATCH, make_celery
from common.db.session import make_engine
from common.redis import make_client
from common.settings import Settings
from tests.integration.job_kit import Desk, make_resources, make_settings, wait_until
from tests.stack import ROOT
from worker.doorbell import ring
from worker.expiry import Expiry
from worker.market.publish import publish
from worker.market.sample import generate
from worker.resources import Resources
from worker.store import open_store
from worker.sweeper import Sweeper

MakeSweeper = Callable[[Settings], Sweeper]


@pytest.fixture
def make_sweeper() -> Iterator[MakeSweeper]:
    """Sweepers of this process, with broker connections of their own."""
    made: list[Callable[[], None]] = []

    def make(settings: Settings) -> Sweeper:
        engine = make_engine(settings.database, pool_size=1, timeout=2)
        broker = make_client(settings.broker, 2)
        celery = make_celery(lambda: settings)
        made.extend((engine.dispose, broker.close, celery.close))
        return Sweeper(settings, engine, broker, celery, expiry=Expiry(settings, open_store(settings)))

    yield make
    for close in made:
        close()


@pytest.fixture
def sweep(settings: Settings, make_sweeper: MakeSweeper) -> Callable[[], None]:
    """One round."""
    sweeper = make_sweeper(settings)

    def run() -> None:
        assert sweeper.sweep(threading.Event())

    return run


@pytest.fixture
def broker(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.broker) as client:
        yield client


def queued(broker: redis.Redis) -> list[str]:
    """Task ids in the batch queue, oldest first."""
    return [orjson.loads(message)["headers"]["id"] for message in reversed(broker.lrange(BATCH, 0, -1))]


def age(desk: Desk, seconds: float) -> None:
    """As if every job had been submitted so long ago."""
    ago = "- make_interval(secs => :seconds)"
    desk.change(f"UPDATE jobs SET created_at = created_at {ago}", seconds=seconds)
    desk.change(f"UPDATE job_parts SET accepted_at = accepted_at {ago}", seconds=seconds)


def test_a_part_whose_worker_is_lost_is_queued_and_published_again(
    desk: Desk, sweep: Callable[[], None], broker: redis.Redis
) -> None:
    job_id = desk.submit(symbols=2)
    desk.lose(job_id, 1)
    sweep()
    assert (desk.part(job_id, 1).state, desk.part(job_id, 1).attempt) == ("queued", 1)
    assert queued(broker) == [f"{job_id}:1"]


def test_a_part_that_runs_is_left_alone(desk: Desk, sweep: Callable[[], None], broker: redis.Redis) -> None:
    job_id = desk.submit(symbols=1)
    assert desk.claim(job_id, 0, worker="alive")
    age(desk, 100)
    sweep()
    assert desk.part(job_id, 0).state == "running"
    assert queued(broker) == []


def test_a_part_lost_three_times_fails_and_the_job_goes_on(
    desk: Desk, resources: Resources, sweep: Callable[[], None]
) -> None:
    job_id = desk.submit(symbols=2)
    desk.run(resources, job_id, 1)
    for _ in range(3):
        assert desk.part(job_id, 0).state == "queued"
        desk.lose(job_id, 0)
        sweep()
    part = desk.part(job_id, 0)
    assert (part.state, part.attempt) == ("failed", 3)
    assert part.errors[0]["detail"] == "its worker was lost 3 times"
    assert (desk.used(), desk.job(job_id).refunded) == (2, 2)
    desk.run(resources, job_id, 2)
    assert desk.job(job_id).status == "completed"


def test_a_job_whose_every_part_is_lost_fails(desk: Desk, sweep: Callable[[], None]) -> None:
    job_id = desk.submit(symbols=2)
    for _ in range(3):
        desk.lose(job_id, 0)
        desk.lose(job_id, 1)
        sweep()
    assert (desk.job(job_id).status, desk.used()) == ("failed", 0)
    assert desk.states(job_id) == ["failed", "failed", "cancelled"]


def test_an_assembly_lost_three_times_fails_the_job(
    desk: Desk, resources: Resources, sweep: Callable[[], None]
) -> None:
    job_id = desk.submit(symbols=2)
    desk.run(resources, job_id, 0)
    desk.run(resources, job_id, 1)
    for _ in range(3):
        desk.lose(job_id, 2)
        sweep()
    assert (desk.job(job_id).status, desk.used()) == ("failed", 0)


def test_messages_lost_with_redis_are_sent_again(desk: Desk, sweep: Callable[[], None], broker: redis.Redis) -> None:
    job_id = desk.submit(symbols=3)
    broker.flushall()
    sweep()
    assert queued(broker) == []  # it may still be on its way
    age(desk, desk.settings.republish_seconds + 1)
    sweep()
    assert sorted(queued(broker)) == [f"{job_id}:{number}" for number in range(3)]


def test_rings_are_as_many_as_parts_wait_however_long_they_do(
    desk: Desk, sweep: Callable[[], None], broker: redis.Redis, resources: Resources
) -> None:
    job_id = desk.submit(symbols=3)
    ring(resources.celery, [(job_id, 0)])
    age(desk, 100)
    for _ in range(5):
        sweep()
        assert queued(broker) == [f"{job_id}:{number}" for number in range(3)]


def test_nobody_rings_for_parts_that_may_not_run_yet(
    desk: Desk, settings: Settings, make_sweeper: MakeSweeper, broker: redis.Redis
) -> None:
    """Two of the user's parts may run at once: one runs, so one more is rung for."""
    bounded = settings.model_copy(update={"pro_running_parts": 2})
    job_id = desk.submit(symbols=5)
    assert desk.claim(job_id, 0)
    age(desk, 100)
    sweeper = make_sweeper(bounded)
    for _ in range(2):
        assert sweeper.sweep(threading.Event())
        assert queued(broker) == [f"{job_id}:1"]


def test_an_ended_job_is_not_published(desk: Desk, sweep: Callable[[], None], broker: redis.Redis) -> None:
    job_id = desk.submit(symbols=1)
    age(desk, 100)
    with desk.engine.begin() as connection:
        cancel_job(connection, desk.user_id, UUID(job_id), 3600)
    sweep()
    assert queued(broker) == []


def test_a_job_expires_and_its_files_go(desk: Desk, resources: Resources, sweep: Callable[[], None]) -> None:
    job_id = desk.submit(symbols=2)
    desk.run_all(resources, job_id)
    sweep()
    assert desk.job(job_id).status == "completed"
    assert desk.result(job_id)
    desk.change("UPDATE jobs SET expires_at = now()")
    sweep()
    job = desk.job(job_id)
    assert (job.status, job.result_file, job.result_bytes, job.result_etag) == ("expired", None, None, None)
    assert desk.states(job_id) == []
    sweep()
    assert not (desk.results / job_id).exists()


def test_a_job_is_forgotten_long_after_it_has_expired(
    desk: Desk, resources: Resources, settings: Settings, make_sweeper: MakeSweeper
) -> None:
    remembered, forgotten = desk.submit(symbols=1), desk.submit(symbols=1)
    for job_id, days in ((remembered, 29), (forgotten, 31)):
        desk.run_all(resources, job_id)
        change = "UPDATE jobs SET expires_at = now() - make_interval(days => :days) WHERE id = :id"
        desk.change(change, days=days, id=UUID(job_id))
    make_sweeper(settings).sweep(threading.Event())
    with desk.engine.connect() as connection:
        assert list(connection.execute(text("SELECT id FROM jobs")).scalars()) == [UUID(remembered)]


def test_folders_no_job_needs_go(desk: Desk, resources: Resources, sweep: Callable[[], None]) -> None:
    kept = desk.submit(symbols=2)
    desk.run(resources, kept, 0)
    cancelled = desk.submit(symbols=2)
    desk.run(resources, cancelled, 0)
    desk.change("UPDATE jobs SET status = 'cancelled' WHERE id = :id", id=UUID(cancelled))
    done = desk.submit(symbols=2)
    desk.run_all(resources, done)
    results = desk.results
    (results / done / "0-1.piece").write_bytes(b"")
    orphan = results / str(uuid4())
    orphan.mkdir()
    (orphan / "0-1.piece").write_bytes(b"")
    foreign = results / "lost+found"
    foreign.mkdir()
    sweep()
    assert sorted(results.iterdir()) == sorted([results / kept, results / done, foreign])
    assert list((results / done).iterdir()) == [results / desk.job(done).result_file]


def test_market_data_stays_until_the_last_job_on_it_has_ended(
    engine: Engine, settings: Settings, tmp_path: Path, make_sweeper: MakeSweeper
) -> None:
    own = make_settings(settings.database, settings.broker, tmp_path / "own", part_lease_seconds=2)
    market_dir = own.market_dir

    def publish_another(seed: int) -> str:
        """An hour after all before it."""
        for folder in market_dir.glob("*/"):
            os.utime(folder, (folder.stat().st_mtime - 3600,) * 2)
        return publish(generate(3, 1, date(2024, 6, 28), seed), market_dir, {}).data_version

    def versions_after_a_sweep() -> set[str]:
        assert make_sweeper(own).sweep(threading.Event())
        return {folder.name for folder in market_dir.glob("*/")}

    desk = Desk.open(engine, own)
    first = publish_another(1)
    job_id = desk.submit(symbols=1)
    second = publish_another(2)
    running = desk.submit(symbols=2)
    assert desk.claim(running, 0, worker="alive")
    third, fourth, fifth = (publish_another(seed) for seed in (3, 4, 5))
    assert versions_after_a_sweep() == {first, second, fourth, fifth}
    assert third not in versions_after_a_sweep()

    resources = make_resources(own)
    try:
        desk.run_all(resources, job_id)
    finally:
        resources.engine.dispose()
        resources.cache.close()
        resources.celery.close()
    job = desk.job(job_id)
    assert (job.status, job.data_version, job.series_failed) == ("completed", first, 0)
    assert versions_after_a_sweep() == {second, fourth, fifth}
    desk.change("UPDATE jobs SET status = 'cancelled' WHERE id = :id", id=UUID(running))
    assert versions_after_a_sweep() == {fourth, fifth}


def test_the_sweeper_needs_no_numerics() -> None:
    look = "import sys, worker.sweeper; sys.exit(str({'numpy', 'pandas', 'pyarrow', 'numba'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", look], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "set()"


def test_sessions_long_over_go(desk: Desk, sweep: Callable[[], None]) -> None:
    def session(expires: str, revoked: str) -> UUID:
        session_id = uuid4()
        desk.change(
            f"""INSERT INTO sessions (id, user_id, expires_at, revoked_at)
                VALUES (:id, :user_id, now() + interval '{expires}', now() + CAST({revoked} AS interval))""",
            id=session_id,
            user_id=desk.user_id,
        )
        desk.change(
            f"""INSERT INTO refresh_tokens (digest, session_id, expires_at)
                VALUES (:digest, :id, now() + interval '{expires}')""",
            digest=session_id.bytes,
            id=session_id,
        )
        return session_id

    live = session("1 hour", "NULL")
    just_over = session("-1 hour", "NULL")
    just_revoked = session("1 day", "'-1 hour'")
    session("-25 hours", "NULL")
    session("1 day", "'-25 hours'")
    sweep()
    with desk.engine.connect() as connection:
        for statement in ("SELECT id FROM sessions", "SELECT session_id FROM refresh_tokens"):
            assert set(connection.execute(text(statement)).scalars()) == {live, just_over, just_revoked}


def test_sweepers_at_the_same_moment_do_the_work_once(
    desk: Desk, settings: Settings, make_sweeper: MakeSweeper, broker: redis.Redis
) -> None:
    job_id = desk.submit(symbols=8)
    age(desk, 100)
    sweepers = [make_sweeper(settings) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(lambda s: s.sweep(threading.Event()), sweepers))
    assert sorted(queued(broker)) == [f"{job_id}:{number}" for number in range(8)]


def test_servers_away_end_a_round_and_no_more(
    desk: Desk, settings: Settings, make_sweeper: MakeSweeper, broker: redis.Redis
) -> None:
    stop = threading.Event()
    nowhere = "redis://127.0.0.1:1/0"
    away = make_settings(settings.database, nowhere, settings.state_dir, republish_seconds=0.5)
    job_id = desk.submit(symbols=1)
    desk.lose(job_id, 0)
    assert not make_sweeper(away).sweep(stop)
    assert desk.part(job_id, 0).state == "queued"  # what needs no Redis is done
    no_database = make_settings("postgresql://127.0.0.1:1/none", settings.broker, settings.state_dir)
    assert not make_sweeper(no_database).sweep(stop)
    assert make_sweeper(settings).sweep(stop)
    assert queued(broker) == [f"{job_id}:0"]


def test_the_process_sweeps_and_ends_at_once_when_told(desk: Desk, settings: Settings, broker: redis.Redis) -> None:
    job_id = desk.submit(symbols=1)
    desk.lose(job_id, 0)
    env = os.environ | {
        "KALPI_DATABASE_URL": str(settings.database_url).replace("+psycopg2", ""),
        "KALPI_REDIS_URL": settings.broker,
        "KALPI_STATE_DIR": str(settings.state_dir),
        "KALPI_SWEEP_SECONDS": "0.2",
    }
    command = [sys.executable, "-m", "worker.sweeper"]
    with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE) as sweeper:
        try:
            wait_until(lambda: queued(broker) == [f"{job_id}:0"])
            before = time.monotonic()
            sweeper.send_signal(signal.SIGTERM)
            assert sweeper.wait(10) == 0
            assert time.monotonic() - before < 3
        finally:
            sweeper.kill()


def test_without_a_database_the_process_says_so_and_ends() -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("KALPI_DATABASE")}
    done = subprocess.run(
        [sys.executable, "-m", "worker.sweeper"], cwd=ROOT, env=env, capture_output=True, timeout=30, check=False
    )
    assert done.returncode == 2
    assert b"KALPI_DATABASE_URL is not set" in done.stdout
