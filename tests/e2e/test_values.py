"""One indicator of one symbol over HTTP: forms, cache, tiers, the daily count."""

import csv
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import orjson
import pytest
import redis

from common.redis import VALUES_DONE
from tests.stack import Stack


@pytest.fixture
def premium(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(stack.create_user("premium")) as client:
        yield client


@pytest.fixture
def free(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(stack.create_user("free")) as client:
        yield client


def _symbol(client: httpx.Client, number: int = 0) -> str:
    return client.get("/v1/symbols").json()["symbols"][number]["symbol"]


def _used(client: httpx.Client) -> int:
    return client.get("/v1/me").json()["usage"]["used"]


def test_an_answer_has_every_member_of_the_contract_in_its_order(premium: httpx.Client) -> None:
    symbol = _symbol(premium)
    answer = premium.get("/v1/indicators/macd/values", params={"symbol": symbol, "fast_period": 5})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == [
        "symbol",
        "indicator",
        "params",
        "interval",
        "start_date",
        "end_date",
        "warmup",
        "lookback",
        "data_version",
        "engine_version",
        "dates",
        "values",
    ]
    assert body["params"] == {"fast_period": 5, "slow_period": 26, "signal_period": 9, "source": "close"}
    assert (body["symbol"], body["indicator"], body["lookback"]) == (symbol, "macd", 33)
    assert list(body["values"]) == ["macd", "signal", "histogram"]
    assert {len(series) for series in body["values"].values()} == {len(body["dates"])}
    assert body["dates"] == sorted(body["dates"])


def test_the_first_answer_is_a_miss_and_the_same_again_a_hit(premium: httpx.Client) -> None:
    params = {"symbol": _symbol(premium), "period": 17}
    first, second = (premium.get("/v1/indicators/ema/values", params=params) for _ in range(2))
    assert (first.headers["x-cache"], second.headers["x-cache"]) == ("MISS", "HIT")
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]
    other = premium.get("/v1/indicators/sma/values", params=params)
    assert other.headers["x-cache"] == "MISS"  # another indicator is another answer
    assert other.json()["indicator"] == "sma"


def test_the_cached_key_has_the_five_parts_and_lives_for_a_day(stack: Stack, premium: httpx.Client) -> None:
    symbol = _symbol(premium)
    body = premium.get("/v1/indicators/sma/values", params={"symbol": symbol, "period": 23}).json()
    with redis.Redis.from_url(stack.up["cache_url"], decode_responses=True) as cache:
        window = f"{symbol}:{body['start_date']}:{body['end_date']}:sma:period=23,source=close"
        [key] = [k for k in cache.scan_iter(match="values2:*", count=1000) if window in k]
        assert key.startswith(f"values2:{body['data_version']}:{body['engine_version']}:")
        assert 86_000 < cache.ttl(key) <= 86_400


def test_a_matching_etag_is_304_and_not_counted(premium: httpx.Client) -> None:
    params = {"symbol": _symbol(premium), "period": 19}
    first = premium.get("/v1/indicators/sma/values", params=params)
    used = _used(premium)
    same = premium.get("/v1/indicators/sma/values", params=params, headers={"If-None-Match": first.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    assert same.headers["etag"] == first.headers["etag"]
    _wait_for_use(premium, used)
    changed = premium.get("/v1/indicators/sma/values", params=params, headers={"If-None-Match": '"other"'})
    assert changed.status_code == 200


def _wait_for_use(client: httpx.Client, expected: int) -> None:
    """Refunds are made in the background."""
    for _ in range(200):
        if (used := _used(client)) == expected:
            return
    raise AssertionError(f"{used} used, {expected} expected")


def test_csv_says_the_same_as_json(premium: httpx.Client) -> None:
    params = {"symbol": _symbol(premium), "include_ohlcv": "true", "warmup": "none"}
    json_body = premium.get("/v1/indicators/bbands/values", params=params).json()
    answer = premium.get("/v1/indicators/bbands/values", params=params, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert rows[0] == ["date", "open", "high", "low", "close", "volume", "upper", "middle", "lower"]
    assert [r[0] for r in rows[1:]] == json_body["dates"]
    for column, series in zip(rows[0][6:], json_body["values"].values(), strict=True):
        place = rows[0].index(column)
        assert [float(r[place]) if r[place] else None for r in rows[1:]] == series
    assert json_body["values"]["upper"][:19] == [None] * 19  # warmup=none sees the window alone
    assert json_body["ohlcv"]["close"] == [float(r[4]) for r in rows[1:]]


def test_an_unknown_form_is_406_and_names_the_offered(premium: httpx.Client) -> None:
    answer = premium.get(
        "/v1/indicators/sma/values", params={"symbol": _symbol(premium)}, headers={"Accept": "application/xml"}
    )
    assert answer.status_code == 406
    assert "text/csv" in answer.json()["detail"]


def test_values_do_not_depend_on_the_window_or_the_tier(stack: Stack, premium: httpx.Client) -> None:
    symbol = _symbol(premium, 3)
    as_of = premium.get("/v1/symbols").json()["as_of"]
    whole = premium.get("/v1/indicators/ema/values", params={"symbol": symbol, "period": 50}).json()
    last = premium.get("/v1/indicators/ema/values", params={"symbol": symbol, "period": 50, "start_date": as_of}).json()
    with stack.client(stack.create_user("free")) as free:
        short = free.get("/v1/indicators/ema/values", params={"symbol": symbol, "period": 50}).json()
    assert whole["values"]["ema"][-1] == last["values"]["ema"][-1] == short["values"]["ema"][-1]
    assert whole["start_date"] < short["start_date"]
    assert whole["values"]["ema"][-len(short["dates"]) :] == short["values"]["ema"]


@pytest.mark.parametrize(
    ("path", "status", "required"),
    [
        ("/v1/indicators/rsi/values", 403, "pro"),
        ("/v1/indicators/macd/values", 403, "pro"),
        ("/v1/indicators/bbands/values", 403, "premium"),
        ("/v1/indicators/sma/values?start_date=1990-01-01", 403, None),
        ("/v1/indicators/sma/values?period=0", 422, None),
        ("/v1/indicators/sma/values?period=1e9", 422, None),
        ("/v1/indicators/sma/values?end_date=2024-02-31", 422, None),
        ("/v1/indicators/macd/values?fast_period=30", 422, None),
        ("/v1/indicators/smaa/values", 404, None),
        ("/v1/indicators/SMA/values", 404, None),
        ("/v1/indicators/rsi/values?symbol=NOPE", 404, None),  # 404 comes before 403
    ],
)
def test_what_fails_costs_nothing(free: httpx.Client, path: str, status: int, required: str | None) -> None:
    params = {} if "symbol=" in path else {"symbol": _symbol(free)}
    answer = free.get(httpx.URL(path).copy_merge_params(params))
    assert answer.status_code == status, answer.text
    assert answer.json().get("required_tier") == required
    assert answer.headers["x-ratelimit-remaining"] == "50"
    assert _used(free) == 0


def test_two_hundred_at_once_of_a_free_user_are_fifty_answers(stack: Stack) -> None:
    account = stack.create_user("free")
    with stack.client(account) as client:
        symbols = [s["symbol"] for s in client.get("/v1/symbols").json()["symbols"]]

    def ask(number: int) -> httpx.Response:
        # A mixture of warm and cold, valid and unknown: only answers count.
        symbol = symbols[number % len(symbols)]
        with stack.client(account) as client:
            if number >= 200:
                return client.get("/v1/indicators/sma/values", params={"symbol": f"NO-{symbol}"})
            return client.get("/v1/indicators/sma/values", params={"symbol": symbol, "period": 5 + number % 7})

    with ThreadPoolExecutor(40) as threads:
        answers = list(threads.map(ask, range(220)))
    statuses = [a.status_code for a in answers]
    assert {s: statuses.count(s) for s in set(statuses)} == {200: 50, 429: 150, 404: 20}
    assert sorted(int(a.headers["x-ratelimit-remaining"]) for a in answers if a.status_code == 200) == list(range(50))
    refused = next(a for a in answers if a.status_code == 429)
    assert refused.json()["detail"] == "Rate limit exceeded. Try again tomorrow."
    assert 0 < int(refused.headers["retry-after"]) <= 86_400
    with stack.client(account) as client:
        usage = client.get("/v1/me").json()["usage"]
    assert (usage["used"], usage["remaining"]) == (50, 0)


def test_a_query_in_flight_is_computed_once(stack: Stack, premium: httpx.Client) -> None:
    symbol = _symbol(premium, 5)
    start = threading.Barrier(24)

    def ask(_: int) -> httpx.Response:
        with stack.client() as client:
            client.headers["Authorization"] = premium.headers["Authorization"]
            start.wait()
            return client.get("/v1/indicators/sma/values", params={"symbol": symbol, "period": 77})

    with redis.Redis.from_url(stack.up["cache_url"]) as cache, cache.pubsub(ignore_subscribe_messages=True) as news:
        news.subscribe(VALUES_DONE)
        news.get_message(timeout=5)  # the subscription itself
        with ThreadPoolExecutor(24) as threads:
            answers = list(threads.map(ask, range(24)))
        premium.get("/v1/indicators/sma/values", params={"symbol": symbol, "period": 78})  # a last one, to stop at
        announced: list[str] = []
        while not any("period=78," in key for key in announced):
            message = news.get_message(timeout=10)
            assert message is not None
            announced += orjson.loads(message["data"])["done"]
    assert {a.status_code for a in answers} == {200}
    assert len({a.content for a in answers}) == 1
    assert len([key for key in announced if f":{symbol}:" in key and "period=77," in key]) == 1


@contextmanager
def _paused_workers(stack: Stack) -> Iterator[None]:
    """Nobody computes meanwhile: a worker may be quicker than no wait at all."""
    workers = [p for p in stack.processes() if "worker.app" in p.cmdline()]
    assert workers
    for process in workers:
        process.suspend()
    try:
        yield
    finally:
        for process in workers:
            process.resume()


def test_no_wait_is_answered_with_a_durable_job_for_the_same_query(stack: Stack, premium: httpx.Client) -> None:
    symbol = _symbol(premium, 6)
    used = _used(premium)
    with _paused_workers(stack):
        answer = premium.get(
            "/v1/indicators/sma/values", params={"symbol": symbol, "period": 91}, headers={"Prefer": "wait=0"}
        )
    assert answer.status_code == 202
    assert int(answer.headers["retry-after"]) >= 1
    location = answer.headers["location"]
    job = premium.get(location, params={"wait": 30}).json()
    assert (job["status"], job["cost"], job["series"]["total"]) == ("completed", 1, 1)
    assert premium.get(job["urls"]["result"]).status_code == 200
    assert _used(premium) == used + 1


def test_a_wait_that_is_no_number_is_refused(premium: httpx.Client) -> None:
    answer = premium.get(
        "/v1/indicators/sma/values", params={"symbol": _symbol(premium)}, headers={"Prefer": "wait=61"}
    )
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["header", "Prefer", "wait"]
