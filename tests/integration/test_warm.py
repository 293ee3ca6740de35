"""Popular queries: counted by the API, ordered by the sweeper for new data, ordered by hand with `kalpi cache`."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog

from api.asked import Asked
from common.broker import BATCH, INTERACTIVE, make_celery
from common.db.session import make_engine
from common.redis import asked_key, make_async_client, make_client, warmed_key
from common.settings import Settings
from common.warming import missing, most_asked, read_line
from tests.integration.job_kit import make_settings, running_worker, wait_until
from tests.integration.warm_kit import NOWHERE, ask, compute, manifest_of, ordered, today
from worker import warm
from worker.expiry import Expiry
from worker.market.publish import publish
from worker.market.sample import generate
from worker.resources import Resources
from worker.store import open_store
from worker.sweeper import Sweeper
from worker.warm import Warming

MakeWarming = Callable[[Settings], Warming]


@pytest.fixture
def make_warming() -> Iterator[MakeWarming]:
    made: list[Callable[[], None]] = []

    def make(settings: Settings) -> Warming:
        broker = make_client(settings.broker, 2)
        celery = make_celery(lambda: settings)
        warming = Warming(settings, broker, celery)
        made.extend((warming.close, broker.close, celery.close))
        return warming

    yield make
    for close in made:
        close()


@contextmanager
def make_sweeper(settings: Settings, warming: Warming) -> Iterator[Sweeper]:
    engine = make_engine(settings.database, pool_size=1, timeout=2)
    broker = make_client(settings.broker, 2)
    celery = make_celery(lambda: settings)
    yield Sweeper(settings, engine, broker, celery, expiry=Expiry(settings, open_store(settings)), warming=warming)
    engine.dispose()
    broker.close()
    celery.close()


# --- counting


def counted(settings: Settings, body: Callable[[Asked], Any]) -> None:
    """Runs `body` on a counter over the real cache, and closes it."""

    async def run() -> None:
        client = make_async_client(settings.cache, 2)
        asked = Asked(client)
        asked.start()
        await body(asked)
        await asked.close()
        await client.aclose()

    asyncio.run(run())


def test_counts_are_added_to_those_of_the_day(settings: Settings, cache: redis.Redis) -> None:
    async def body(asked: Asked) -> None:
        for n in range(1_200):
            asked.count(f"pro json sma?symbol=S{n}")
        for _ in range(4):
            asked.count("free json sma?symbol=A")
        await asked.flush()
        asked.count("free json sma?symbol=A")

    counted(settings, body)
    counted(settings, body)
    assert most_asked(cache, 2, today()) == [("free json sma?symbol=A", 10), ("pro json sma?symbol=S0", 2)]
    assert len(most_asked(cache, 5_000, today())) == 1_201
    for key in cache.keys("asked:*"):
        assert 47 * 3600 < cache.ttl(key) <= 48 * 3600


def test_while_redis_is_away_counts_are_kept(settings: Settings, cache: redis.Redis) -> None:
    async def body(asked: Asked) -> None:
        there, away = asked._cache, make_async_client(NOWHERE, 1)
        asked._cache = away
        asked.count("pro json sma?symbol=A")
        await asked.flush()
        for n in range(6_000):
            asked.count(f"pro json sma?symbol=S{n}")
        asked.count("pro json sma?symbol=A")
        await asked.flush()
        assert len(asked._counts) == 5_000
        asked._cache = there
        await away.aclose()

    counted(settings, body)
    assert most_asked(cache, 1, today()) == [("pro json sma?symbol=A", 2)]


def test_a_day_keeps_what_was_asked_most(settings: Settings, cache: redis.Redis) -> None:
    yesterday = today() - timedelta(days=1)
    for day in (yesterday, today()):
        cache.zadd(asked_key(day), {f"pro json sma?symbol=S{n}": n + 1 for n in range(10_500)})

    async def body(asked: Asked) -> None:
        for _ in range(12):
            asked.count("pro json sma?symbol=S10499")
            await asked.flush()

    counted(settings, body)
    for key in (asked_key(yesterday), asked_key(today())):
        assert cache.zcard(key) == 10_000
        assert cache.zscore(key, "pro json sma?symbol=S0") is None
    assert most_asked(cache, 1, today()) == [("pro json sma?symbol=S10499", 2 * 10_500 + 12)]


def test_two_days_are_taken_together(cache: redis.Redis) -> None:
    cache.zadd(asked_key(today()), {"a": 2, "b": 3})
    cache.zadd(asked_key(today() - timedelta(days=1)), {"a": 2, "c": 1})
    cache.zadd(asked_key(today() - timedelta(days=2)), {"d": 9})
    assert most_asked(cache, 3, today()) == [("a", 4), ("b", 3), ("c", 1)]
    assert most_asked(cache, 1, today()) == [("a", 4)]
    assert most_asked(cache, 0, today()) == []


# --- the sweeper's step


def test_what_was_asked_most_is_ordered_once_for_each_version(
    settings: Settings, cache: redis.Redis, make_warming: MakeWarming
) -> None:
    manifest = manifest_of(settings)
    lines = [f"pro json sma?symbol={symbol}" for symbol in list(manifest.symbols)[:3]]
    ask(cache, *lines)
    own = settings.model_copy(update={"warm_queries": 2})
    make_warming(own).step()
    assert ordered(cache) == [
        ([query for line in lines[:2] for query in read_line(line, manifest)], manifest.data_version)
    ]
    assert cache.llen(INTERACTIVE) == 0
    assert settings.cache_ttl_seconds < cache.ttl(warmed_key(manifest.data_version)) <= settings.cache_ttl_seconds + 60
    warming = make_warming(own)
    for _ in range(2):
        warming.step()
    assert ordered(cache) == []  # a restarted sweeper knows
    cache.delete(warmed_key(manifest.data_version))
    warming.step()
    assert len(ordered(cache)) == 1  # Redis has lost it: again


def test_what_is_in_the_cache_is_left_out(
    settings: Settings, cache: redis.Redis, resources: Resources, make_warming: MakeWarming
) -> None:
    ask(cache, "sma?symbol=*", "pro csv ema?symbol=*")
    make_warming(settings).step()
    assert compute(resources, cache) == 4 * 20
    ask(cache, "pro csv ema?symbol=*&period=7", "pro csv ema?symbol=*", "sma?symbol=*")
    cache.delete(warmed_key(manifest_of(settings).data_version))
    with structlog.testing.capture_logs() as logs:
        make_warming(settings).step()
    assert compute(resources, cache) == 20
    assert logs == [
        {
            "event": "cache_warming",
            "log_level": "info",
            "data_version": manifest_of(settings).data_version,
            "queries": 100,
            "present": 80,
            "ordered": 20,
            "skipped": 0,
        }
    ]


def test_a_new_version_is_planned_anew(
    settings: Settings, cache: redis.Redis, make_warming: MakeWarming, tmp_path: Path
) -> None:
    own = settings.model_copy(update={"state_dir": tmp_path / "own"})
    own.market_dir.mkdir(parents=True)
    warming = make_warming(own)
    warming.step()  # no data yet: nothing to do
    ask(cache, "free json sma?symbol=SYN001")
    for end in (date(2024, 6, 27), date(2024, 6, 28)):
        published = publish(generate(3, 1, end, 1), own.market_dir, {})
        warming.step()
        [([query], version)] = ordered(cache)
        assert (version, query.end_date) == (published.data_version, end)


def test_what_cannot_be_planned_is_skipped_and_said_once(
    settings: Settings, cache: redis.Redis, make_warming: MakeWarming, tmp_path: Path
) -> None:
    file = tmp_path / "popular.txt"
    file.write_bytes(b"# popular\npro rsi?symbol=SYN002\nrsi?symbol=\xff\nfree rsi?symbol=SYN001\n")
    ask(cache, "pro json sma?symbol=GONE", "rubbish", "pro json sma?symbol=SYN001")
    cache.zadd(asked_key(today()), {b"\xff\xfe": 50})
    warming = make_warming(settings.model_copy(update={"warm_file": file}))
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            warming.step()
    assert [(q.indicator, q.symbol) for q in ordered(cache)[0][0]] == [("sma", "SYN001"), ("rsi", "SYN002")]
    skipped, done = logs
    assert (skipped["event"], skipped["lines"], len(skipped["first"])) == ("cache_warming_skipped", 5, 3)
    assert (done["event"], done["queries"], done["skipped"]) == ("cache_warming", 2, 5)


def test_a_file_that_is_missing_is_said_and_the_rest_is_done(
    settings: Settings, cache: redis.Redis, make_warming: MakeWarming, tmp_path: Path
) -> None:
    ask(cache, "pro json sma?symbol=SYN001")
    with structlog.testing.capture_logs() as logs:
        make_warming(settings.model_copy(update={"warm_file": tmp_path / "none"})).step()
    assert [log["event"] for log in logs] == ["warm_file_unreadable", "cache_warming"]
    assert len(ordered(cache)) == 1


def test_much_is_ordered_in_several_rounds(
    settings: Settings, cache: redis.Redis, make_warming: MakeWarming, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "_ROUND", 25)
    claim = warmed_key(manifest_of(settings).data_version)
    ask(cache, "sma?symbol=*")
    one, other = make_warming(settings), make_warming(settings)
    sizes = []
    while cache.get(claim) != b"done":
        one.step()
        other.step()
        sizes.append(sum(len(queries) for queries, _ in ordered(cache)))
    assert sizes == [25, 25, 10]


def test_a_sweeper_that_dies_meanwhile_is_relieved(
    settings: Settings,
    cache: redis.Redis,
    resources: Resources,
    make_warming: MakeWarming,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warm, "_ROUND", 25)
    claim = warmed_key(manifest_of(settings).data_version)
    ask(cache, "sma?symbol=*")
    make_warming(settings).step()
    assert compute(resources, cache) == 25
    assert 0 < cache.ttl(claim) <= 30
    heir = make_warming(settings)
    heir.step()
    assert cache.llen(BATCH) == 0
    cache.delete(claim)  # it runs out
    for _ in range(3):
        heir.step()
    assert compute(resources, cache) == 35


def test_a_long_queue_is_not_made_longer(
    settings: Settings, cache: redis.Redis, make_warming: MakeWarming, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warm, "_QUEUE", 2)
    ask(cache, "pro json sma?symbol=SYN001")
    cache.lpush(BATCH, "a", "b")
    warming = make_warming(settings)
    warming.step()
    assert cache.llen(BATCH) == 2
    cache.delete(BATCH)
    warming.step()
    assert len(ordered(cache)) == 1


@pytest.mark.parametrize("gone", ["broker", "cache"])
def test_without_redis_only_this_step_fails(
    settings: Settings, cache: redis.Redis, make_warming: MakeWarming, gone: str
) -> None:
    ask(cache, "pro json sma?symbol=SYN001")
    urls = {"broker": (NOWHERE, settings.cache), "cache": (settings.broker, NOWHERE)}[gone]
    away = make_settings(settings.database, urls[0], settings.state_dir, cache_url=urls[1])
    with make_sweeper(settings, make_warming(away)) as sweeper, structlog.testing.capture_logs() as logs:
        assert not sweeper.sweep(threading.Event())
    assert [(log["event"], log["error"]) for log in logs] == [("sweep_step_failed", "ConnectionError")]
    assert ordered(cache) == []
    cache.delete(warmed_key(manifest_of(settings).data_version))  # a claim runs out
    with make_sweeper(settings, make_warming(settings)) as sweeper:
        assert sweeper.sweep(threading.Event())
    assert len(ordered(cache)) == 1


# --- from the count to the cache, with a worker


def test_what_clients_asked_is_computed_for_new_data(
    settings: Settings, cache: redis.Redis, make_warming: MakeWarming, tmp_path: Path
) -> None:
    symbols = list(manifest_of(settings).symbols)

    async def body(asked: Asked) -> None:
        for symbol in symbols:
            for tier in ("free", "pro", "premium"):
                asked.count(f"{tier} json /v1/indicators/sma/values?symbol={symbol}&period=9")

    counted(settings, body)
    queries = read_line("sma?symbol=*&period=9", manifest_of(settings))
    with (
        running_worker(settings, tmp_path / "worker.log"),
        make_sweeper(settings, make_warming(settings)) as sweeper,
    ):
        assert sweeper.sweep(threading.Event())
        wait_until(lambda: not missing(cache, queries, manifest_of(settings).data_version))
