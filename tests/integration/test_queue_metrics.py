"""What /metrics says of the queues, over a real PostgreSQL, Redis and broker."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
import redis
from celery.exceptions import Retry
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, text

from api.database import Database
from api.jobs import cancel_job
from api.publisher import Publisher
from api.queue_metrics import QueueMetrics
from api.queue_state import Batch, look_at_batch
from common import totals
from common.broker import BATCH, INTERACTIVE, PROBE, make_celery
from common.catalogue import find
from common.db.session import make_engine
from common.presence import give_sign
from common.query import IndicatorQuery
from common.redis import TOTALS, WORKERS, make_async_client, make_client
from common.settings import Settings
from common.totals import Done, Totals, read_totals
from tests.integration.job_kit import Desk
from worker import values
from worker.expiry import Expiry
from worker.jobs import run_next_part
from worker.resources import Resources
from worker.store import open_store
from worker.sweeper import Sweeper
from worker.tasks import PartFailed, tell

NOWHERE = "127.0.0.1:1"


def scrape(settings: Settings, engine: Engine | None = None, broker: str | None = None) -> dict[str, float]:
    """The samples of one scrape, by name and values of labels, as in `kalpi_queue_depth batch`."""

    async def scenario() -> bytes:
        database = Database(engine or make_engine(settings.database), threads=1, patience=None)
        client = make_async_client(broker or settings.broker, 5)
        try:
            return await QueueMetrics(database, client).exposition()
        finally:
            await client.aclose()
            await database.close()

    families = text_string_to_metric_families(asyncio.run(scenario()).decode())
    return {" ".join([s.name, *s.labels.values()]): s.value for family in families for s in family.samples}


def done(cache: redis.Redis, queue: str) -> Done:
    return read_totals(cache.hgetall(TOTALS), queue)


# --- batch: PostgreSQL


def look(engine: Engine) -> Batch:
    with engine.connect() as connection:
        return look_at_batch(connection)


def assert_counted(engine: Engine) -> Batch:
    """The look says what counting row by row says."""
    seen = look(engine)
    with engine.connect() as connection:
        parts = dict(connection.execute(text("SELECT state, count(*) FROM job_parts GROUP BY state")).all())
        jobs = dict(connection.execute(text("SELECT status, count(*) FROM jobs GROUP BY status")).all())
    assert (seen.queued, seen.running) == (parts.get("queued", 0), parts.get("running", 0))
    assert (seen.jobs_queued, seen.jobs_running) == (jobs.get("queued", 0), jobs.get("running", 0))
    assert (seen.oldest is None) == (seen.queued == 0)
    return seen


def test_parts_are_counted_without_looking_at_them(desk: Desk, engine: Engine, resources: Resources) -> None:
    assert assert_counted(engine).queued == 0
    whole, cut = desk.submit(parts_of=3), desk.submit()
    assert assert_counted(engine).queued == 4
    desk.run(resources, whole, 0)
    assert desk.claim(cut, 0) is not None
    desk.lose(cut, 1)
    assert assert_counted(engine).running == 2
    for number in range(2):
        desk.requeue(cut, number)
    assert assert_counted(engine).queued == 3
    for number in range(3):
        desk.run(resources, cut, number)
    assert assert_counted(engine).queued == 1  # the assembly
    other = Desk.open(engine, desk.settings)
    cancelled = other.submit(symbols=4)
    assert assert_counted(engine).queued == 5
    with engine.begin() as connection:
        cancel_job(connection, other.user_id, UUID(cancelled), 60)
    assert assert_counted(engine).jobs_running == 1
    desk.run(resources, cut, 3)
    ended = assert_counted(engine)
    assert (ended.queued, ended.jobs_running) == (0, 0)


def test_the_oldest_part_is_the_one_accepted_first_whoever_it_belongs_to(desk: Desk, engine: Engine) -> None:
    other = Desk.open(engine, desk.settings)
    desk.submit()
    job_id = other.submit()
    other.change("UPDATE job_parts SET accepted_at = now() - interval '1 hour' WHERE job_id = :id", id=UUID(job_id))
    assert 3600 <= (look(engine).oldest or 0) < 3700
    with engine.begin() as connection:
        cancel_job(connection, other.user_id, UUID(job_id), 60)
    assert (look(engine).oldest or 0) < 100


# --- interactive: the broker


def test_the_age_of_a_message_is_since_it_was_sent(settings: Settings) -> None:
    assert scrape(settings)["kalpi_queue_oldest_seconds interactive"] == 0
    with closing(make_celery(lambda: settings)) as celery:
        for age in (100, 10):
            celery.send_task(PROBE, kwargs={"nonce": "n"}, headers={"sent_at": time.time() - age})
    seen = scrape(settings)
    assert seen["kalpi_queue_depth interactive"] == 2
    assert 100 <= seen["kalpi_queue_oldest_seconds interactive"] < 160


def test_the_api_writes_into_each_message_when_it_was_sent(settings: Settings) -> None:
    async def scenario() -> None:
        publisher = Publisher(make_celery(lambda: settings), 5)
        await publisher.send(PROBE, {"nonce": "n"}, "probe-n")
        await publisher.close()

    before = time.time()
    asyncio.run(scenario())
    age = scrape(settings)["kalpi_queue_oldest_seconds interactive"]
    assert 0 < age <= time.time() - before


def test_a_message_that_does_not_say_when_it_was_sent_has_no_age(settings: Settings, cache: redis.Redis) -> None:
    cache.lpush(INTERACTIVE, b'{"headers": {}}')
    seen = scrape(settings)
    assert seen["kalpi_queue_depth interactive"] == 1
    assert seen["kalpi_queue_oldest_seconds interactive"] == 0


def test_only_workers_with_a_recent_sign_of_life_count(settings: Settings, cache: redis.Redis) -> None:
    for worker, processes in (("a", 2), ("b", 3), ("b", 3)):
        give_sign(cache, worker, processes)
    seconds, _ = cache.time()
    cache.zadd(WORKERS, {"4 gone": seconds - 30, "5 long gone": seconds - 300})
    seen = scrape(settings)
    assert (seen["kalpi_workers"], seen["kalpi_worker_processes"]) == (2, 5)
    give_sign(cache, "a", 2)
    assert cache.zscore(WORKERS, "4 gone") is not None
    assert cache.zscore(WORKERS, "5 long gone") is None


# --- totals


def test_what_processes_have_done_adds_up(settings: Settings, cache: redis.Redis) -> None:
    for failures in range(2):
        with closing(Totals(make_client(settings.broker, 5))) as mine:
            mine.add(BATCH, completed=1, seconds=0.25)
            mine.add(BATCH, failed=failures, retried=2, seconds=0.5)
    assert done(cache, BATCH) == Done(completed=2, failed=1, retried=4, seconds=1.5)
    assert done(cache, INTERACTIVE) == Done(0, 0, 0, 0.0)
    seen = scrape(settings)
    assert seen["kalpi_queue_done_total completed batch"] == 2
    assert seen["kalpi_queue_done_total failed batch"] == 1
    assert seen["kalpi_queue_retries_total batch"] == 4
    assert seen["kalpi_queue_work_seconds_total batch"] == 1.5
    assert seen["kalpi_queue_done_total completed interactive"] == 0


@contextmanager
def refusing(cache: redis.Redis) -> Iterator[None]:
    """Redis does not take what is added to the totals."""
    cache.set(TOTALS, b"no hash")
    yield
    cache.delete(TOTALS)


def test_what_redis_does_not_take_is_added_later(
    settings: Settings, cache: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "_PAUSE", 0)
    with closing(Totals(make_client(settings.broker, 5))) as mine:
        with refusing(cache):
            mine.add(BATCH, completed=1, seconds=0.5)
        mine.add(BATCH, completed=1, failed=1, seconds=0.5)
        mine.add(BATCH, retried=1)
    assert done(cache, BATCH) == Done(completed=2, failed=1, retried=1, seconds=1.0)


def test_redis_is_left_alone_for_a_while_after_it_has_refused(settings: Settings, cache: redis.Redis) -> None:
    with closing(Totals(make_client(settings.broker, 5))) as mine:
        with refusing(cache):
            mine.add(BATCH, completed=1)
        mine.add(BATCH, completed=1)
    assert not cache.exists(TOTALS)


def test_queries_are_counted_by_how_they_ended(
    resources: Resources, cache: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = resources.markets.current_market().manifest
    params = tuple(find("sma").read_params({"period": 5}).items())
    good = IndicatorQuery(next(iter(manifest.symbols)), "sma", params, date(2020, 1, 1), date(2030, 1, 1))

    def answer(*queries: IndicatorQuery, redelivered: bool = False) -> tuple[int, int, int]:
        messages = [query.to_message() for query in queries]
        values.answer(resources, messages, manifest.data_version, task_id="t", redelivered=redelivered)
        total = done(cache, INTERACTIVE)
        return total.completed, total.failed, total.retried

    assert answer(good, replace(good, symbol="NOPE")) == (2, 0, 0)
    assert done(cache, INTERACTIVE).seconds > 0
    assert answer(good, redelivered=True) == (3, 0, 1)
    assert answer(good, redelivered=True) == (3, 1, 2)  # it was the third time
    monkeypatch.setattr(values, "pack_values", lambda _: 1 / 0)
    assert answer(good) == (3, 2, 2)


def test_parts_are_counted_by_how_they_ended_and_flower_is_told(
    desk: Desk, resources: Resources, cache: redis.Redis
) -> None:
    def run() -> str:
        return tell(run_next_part(resources))

    good = desk.submit(symbols=2)
    for what in ("part 0", "part 1", "assembly"):
        assert re.fullmatch(rf"completed in [\d.]+ s: {what} of {good}", run())
    first = done(cache, BATCH)
    assert (first.completed, first.failed, first.retried) == (3, 0, 0)
    bad = desk.submit(parts_of=3)
    (desk.results / bad).touch()  # where its folder would be
    for _ in range(desk.settings.part_max_attempts - 1):
        with pytest.raises(Retry, match=rf"retried in [\d.]+ s: part 0 of {bad} \(.+\)"):
            run()
    with pytest.raises(PartFailed, match=rf"failed in [\d.]+ s: part 0 of {bad} \(.+\)"):
        run()
    second = done(cache, BATCH)
    assert (second.completed, second.failed, second.retried) == (3, 1, 2)
    assert second.seconds > first.seconds > 0
    assert run() == "no part waits"
    assert done(cache, BATCH) == second


def test_parts_whose_workers_are_lost_are_counted(desk: Desk, settings: Settings, cache: redis.Redis) -> None:
    job_id = desk.submit(symbols=1)
    engine = make_engine(settings.database, pool_size=1)
    with closing(make_celery(lambda: settings)) as celery, closing(make_client(settings.broker, 5)) as broker:
        sweeper = Sweeper(settings, engine, broker, celery, expiry=Expiry(settings, open_store(settings)))
        for _ in range(settings.part_max_attempts):
            desk.lose(job_id, 0)
            assert sweeper.sweep(threading.Event())
    engine.dispose()
    assert desk.job(job_id).status == "failed"
    assert done(cache, BATCH) == Done(completed=0, failed=1, retried=2, seconds=0)


# --- when a part is away


def test_without_postgresql_the_rest_is_shown(settings: Settings) -> None:
    engine = make_engine(f"postgresql+psycopg2://nobody@{NOWHERE}/none")
    seen = scrape(settings, engine)
    assert (seen["kalpi_part_up postgresql"], seen["kalpi_part_up redis"]) == (0, 1)
    assert {"kalpi_queue_depth interactive", "kalpi_workers", "kalpi_queue_retries_total batch"} <= set(seen)
    assert not {"kalpi_queue_depth batch", "kalpi_queue_running batch", "kalpi_jobs running"} & set(seen)


def test_without_redis_the_rest_is_shown(settings: Settings) -> None:
    seen = scrape(settings, broker=f"redis://{NOWHERE}/0")
    assert (seen["kalpi_part_up postgresql"], seen["kalpi_part_up redis"]) == (1, 0)
    assert {"kalpi_queue_depth batch", "kalpi_queue_oldest_seconds batch", "kalpi_jobs queued"} <= set(seen)
    assert not {"kalpi_queue_depth interactive", "kalpi_workers", "kalpi_queue_retries_total batch"} & set(seen)


def test_a_table_that_is_locked_delays_nobody_for_long(settings: Settings, engine: Engine) -> None:
    async def scenario() -> bytes:
        database = Database(make_engine(settings.database, timeout=60), threads=1, patience=None)
        client = make_async_client(settings.broker, 5)
        with engine.begin() as connection:
            connection.execute(text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
            shown = await asyncio.wait_for(QueueMetrics(database, client).exposition(), 30)  # the lock takes 60
        await client.aclose()
        await database.close()
        return shown

    assert b'kalpi_part_up{part="postgresql"} 0.0' in asyncio.run(scenario())
