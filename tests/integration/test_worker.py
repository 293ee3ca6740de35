"""The Celery worker: values, probes and parts through the real broker, and what it does when things go wrong."""

import gzip
import io
import os
import signal
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from common.answer import read_letter, unpack
from common.broker import INTERACTIVE, PART, PROBE, VALUES
from common.catalogue import find
from common.dataset import ManifestFile
from common.jobs import TableFormat
from common.query import BARS, Form, IndicatorQuery
from common.redis import VALUES_DONE, attempts_key, flight_key, probe_key, reply_channel
from common.settings import Settings
from tests.integration.job_kit import Desk, running_worker, sma, wait_until
from tests.stack import ROOT
from worker import values
from worker.resources import Resources
from worker.tasks import TaskFailed, contained


def make_query(settings: Settings, place: int = 0, **changes: Any) -> IndicatorQuery:  # noqa: ANN401
    symbols = list(ManifestFile(settings.market_dir).current().symbols)
    params = find("sma").read_params({"period": 5})
    query = IndicatorQuery(symbols[place], "sma", tuple(params.items()), date(2020, 1, 1), date(2030, 1, 1))
    return replace(query, **changes)


def version_of(settings: Settings) -> str:
    return ManifestFile(settings.market_dir).current().data_version


@pytest.fixture
def cache(settings: Settings) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(settings.cache) as client:
        yield client


class Heard:
    """What is published on a channel from now on."""

    def __init__(self, cache: redis.Redis, channel: str) -> None:
        self._channel = cache.pubsub()
        self._channel.subscribe(channel)
        assert self._channel.get_message(timeout=5)

    def next(self) -> bytes:
        message = wait_until(lambda: self._channel.get_message(ignore_subscribe_messages=True, timeout=1))
        data: bytes = message["data"]
        return data

    def close(self) -> None:
        self._channel.close()


class News(Heard):
    """What workers announce."""

    def __init__(self, cache: redis.Redis) -> None:
        super().__init__(cache, VALUES_DONE)

    def next_names(self) -> dict[str, Any]:
        announced: dict[str, Any] = orjson.loads(self.next())
        return announced


@pytest.fixture
def news(cache: redis.Redis) -> Iterator[News]:
    announced = News(cache)
    yield announced
    announced.close()


REPLIES = reply_channel("this-process")


@pytest.fixture
def letters(cache: redis.Redis) -> Iterator[Heard]:
    """What the worker writes to the process that has ordered."""
    heard = Heard(cache, REPLIES)
    yield heard
    heard.close()


def answer(
    resources: Resources,
    *queries: IndicatorQuery,
    version: str,
    redelivered: bool = False,
    reply_to: str | None = None,
) -> None:
    messages = [query.to_message() for query in queries]
    values.answer(resources, messages, version, reply_to=reply_to, task_id="the-task", redelivered=redelivered)


def test_values_reach_the_cache_and_are_announced(
    resources: Resources, settings: Settings, cache: redis.Redis, news: News
) -> None:
    version = version_of(settings)
    queries = [make_query(settings, 0), make_query(settings, 1, form=Form.CSV)]
    keys = [query.cache_key(version) for query in queries]
    for key in keys:
        cache.set(flight_key(key), b"")
    answer(resources, *queries, version=version)
    assert news.next_names() == {"done": keys, "failed": {}}
    as_json, as_csv = (unpack(cache.get(key)) for key in keys)
    assert orjson.loads(as_json.identity)["symbol"] == queries[0].symbol
    assert as_csv.identity.startswith(b"date,sma\n")
    assert as_json.gzip is not None
    assert gzip.decompress(as_json.gzip) == as_json.identity
    for key in keys:
        assert 0 < cache.ttl(key) <= settings.cache_ttl_seconds
        assert not cache.exists(flight_key(key))


def test_whoever_ordered_gets_a_letter_with_the_answers(
    resources: Resources, settings: Settings, cache: redis.Redis, news: News, letters: Heard
) -> None:
    version = version_of(settings)
    queries = [make_query(settings, 0), make_query(settings, symbol="NOPE"), make_query(settings, 1, form=Form.ARROW)]
    first, bad, second = (query.cache_key(version) for query in queries)
    answer(resources, *queries, version=version, reply_to=REPLIES)
    done, failed = read_letter(letters.next())
    assert done == {key: cache.get(key) for key in (first, second)}
    assert None not in done.values()
    assert {key: reason["kind"] for key, reason in failed.items()} == {bad: "not_found"}
    assert news.next_names() == {"done": [first, second], "failed": failed}


def test_many_answers_leave_by_the_handful(
    resources: Resources, settings: Settings, news: News, letters: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = version_of(settings)
    queries = [make_query(settings, place) for place in range(5)]
    keys = [query.cache_key(version) for query in queries]
    monkeypatch.setattr(values, "_HANDFUL", 2)
    answer(resources, *queries, version=version, reply_to=REPLIES)
    assert [list(read_letter(letters.next())[0]) for _ in range(3)] == [keys[:2], keys[2:4], keys[4:]]
    assert [news.next_names()["done"] for _ in range(3)] == [keys[:2], keys[2:4], keys[4:]]
    monkeypatch.setattr(values, "_HANDFUL_BYTES", 1)
    answer(resources, *queries[:2], version=version, reply_to=REPLIES)
    assert [list(read_letter(letters.next())[0]) for _ in range(2)] == [keys[:1], keys[1:2]]


def test_bars_and_values_in_every_form(resources: Resources, settings: Settings, cache: redis.Redis) -> None:
    version = version_of(settings)
    for changes in ({}, {"indicator": BARS, "params": ()}):
        queries = [make_query(settings, form=form, **changes) for form in Form]
        answer(resources, *queries, version=version)
        found = [cache.get(query.cache_key(version)) for query in queries]
        as_json, as_csv, as_arrow, as_parquet = (unpack(packed).identity for packed in found if packed is not None)
        told = orjson.loads(as_json)
        names = ["date", *told["values"]]
        assert names == (["date", "open", "high", "low", "close", "volume"] if changes else ["date", "sma"])
        assert as_csv.decode().splitlines()[0].split(",") == names
        for table in (pa.ipc.open_stream(as_arrow).read_all(), pq.read_table(io.BytesIO(as_parquet))):
            assert table.column_names == names
            assert [day.isoformat() for day in table.column("date").to_pylist()] == told["dates"]
            assert {name: table.column(name).to_pylist() for name in names[1:]} == told["values"]


def test_what_is_wrong_with_one_query_harms_no_other(resources: Resources, settings: Settings, news: News) -> None:
    version = version_of(settings)
    good, bad = make_query(settings), make_query(settings, symbol="NOPE")
    answer(resources, bad, good, version=version)
    announced = news.next_names()
    assert announced["done"] == [good.cache_key(version)]
    failure = announced["failed"][bad.cache_key(version)]
    assert failure["kind"] == "not_found"
    assert "NOPE" in failure["detail"]


def test_a_version_that_is_gone_is_stale(resources: Resources, settings: Settings, news: News) -> None:
    query = make_query(settings)
    answer(resources, query, version="gone")
    assert news.next_names()["failed"][query.cache_key("gone")]["kind"] == "stale"


@pytest.mark.parametrize("error", [RuntimeError("secret"), MemoryError(), RecursionError()])
def test_a_fault_of_ours_says_nothing_of_our_insides(
    resources: Resources, settings: Settings, news: News, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    version = version_of(settings)
    good, poison = make_query(settings, 0), make_query(settings, 1)
    compute = values.compute_values

    def fail(market: Any, queries: Any) -> Any:  # noqa: ANN401
        if poison in queries:
            raise error
        return compute(market, queries)

    monkeypatch.setattr(values, "compute_values", fail)
    answer(resources, poison, good, version=version)
    announced = news.next_names()
    assert announced["failed"] == {poison.cache_key(version): {"kind": "internal", "detail": ""}}
    assert announced["done"] == [good.cache_key(version)]


def test_a_batch_that_comes_back_is_split(resources: Resources, settings: Settings, cache: redis.Redis) -> None:
    version = version_of(settings)
    queries = [make_query(settings, 0), make_query(settings, 1)]
    answer(resources, *queries, version=version, redelivered=True, reply_to=REPLIES)
    sent = {m["headers"]["id"]: m for m in map(orjson.loads, cache.lrange(INTERACTIVE, 0, -1))}
    assert sorted(sent) == ["the-task.0", "the-task.1"]
    for place, query in enumerate(queries):
        _, kwargs, _ = orjson.loads(b64decode(sent[f"the-task.{place}"]["body"]))
        assert kwargs == {"queries": [query.to_message()], "data_version": version, "reply_to": REPLIES}


def test_a_query_delivered_three_times_is_given_up(
    resources: Resources, settings: Settings, cache: redis.Redis, news: News, letters: Heard
) -> None:
    version = version_of(settings)
    query = make_query(settings)
    key = query.cache_key(version)
    answer(resources, query, version=version, redelivered=True)
    assert news.next_names()["done"] == [key]
    answer(resources, query, version=version, redelivered=True, reply_to=REPLIES)
    assert news.next_names()["failed"] == {key: {"kind": "internal", "detail": ""}}
    assert read_letter(letters.next()) == ({}, {key: {"kind": "internal", "detail": ""}})
    assert 0 < cache.ttl(attempts_key("the-task")) <= 60


@pytest.mark.parametrize("error", [MemoryError, RecursionError])
def test_no_task_lets_out_what_stops_a_worker(error: type[Exception]) -> None:
    def body() -> None:
        raise error

    with pytest.raises(TaskFailed, match=error.__name__):
        contained(body)()


def test_an_answer_that_cannot_be_encoded_harms_no_other(
    resources: Resources, settings: Settings, news: News, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = version_of(settings)
    good, poison = make_query(settings, 0), make_query(settings, 1)
    encode = values.pack_values

    def fail(frame: Any) -> bytes:  # noqa: ANN401
        if frame.query == poison:
            raise MemoryError
        return encode(frame)

    monkeypatch.setattr(values, "pack_values", fail)
    answer(resources, poison, good, version=version)
    assert news.next_names() == {
        "done": [good.cache_key(version)],
        "failed": {poison.cache_key(version): {"kind": "internal", "detail": ""}},
    }


def test_a_real_worker_does_everything_and_ends_when_told(
    desk: Desk, resources: Resources, settings: Settings, news: News, tmp_path: Path
) -> None:
    letters = Heard(resources.cache, REPLIES)
    version = version_of(settings)
    query = make_query(settings)
    log_file = tmp_path / "worker.log"
    with running_worker(settings, log_file) as worker:
        order = {"queries": [query.to_message()], "data_version": version}
        resources.celery.send_task(VALUES, kwargs=order, task_id=str(uuid4()))
        assert news.next_names()["done"] == [query.cache_key(version)]
        resources.celery.send_task(VALUES, kwargs={**order, "reply_to": REPLIES}, task_id=str(uuid4()))
        assert list(read_letter(letters.next())[0]) == [query.cache_key(version)]
        letters.close()
        resources.celery.send_task(PROBE, kwargs={"nonce": "n"}, task_id="probe-n")
        met = wait_until(lambda: resources.cache.lpop(probe_key("n")))
        assert orjson.loads(met)["data_version"] == version
        job_id = desk.submit(symbols=4, series=sma(5), form=TableFormat.PARQUET)
        for number in range(4):
            resources.celery.send_task(PART, kwargs={"job_id": job_id, "number": number}, task_id=f"{job_id}:{number}")
        wait_until(lambda: desk.job(job_id).status == "completed")
        assert desk.result(job_id).startswith(b"PAR1")
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(10) == 0
    lines = [orjson.loads(line) for line in log_file.read_bytes().splitlines() if line.startswith(b"{")]
    assert {"worker_prepared", "part_ended"} <= {line["event"] for line in lines}


def test_children_share_what_the_parent_has_prepared_and_go_with_it(settings: Settings, tmp_path: Path) -> None:
    with running_worker(settings, tmp_path / "worker.log") as worker:
        children = psutil.Process(worker.pid).children()
        assert len(children) == 2
        panels = str(settings.market_dir.resolve())
        for child in children:
            assert any(m.path.startswith(panels) for m in child.memory_maps())
        worker.kill()
        wait_until(lambda: not any(child.is_running() for child in children), 10)


def test_without_data_it_says_so_and_ends(settings: Settings, tmp_path: Path) -> None:
    env = os.environ | {
        "KALPI_DATABASE_URL": str(settings.database_url),
        "KALPI_REDIS_URL": settings.broker,
        "KALPI_STATE_DIR": str(tmp_path / "empty"),
    }
    command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=60, check=False)
    assert done.returncode == 1
    assert b"no market data has been published" in done.stdout
