"""Values and bars over HTTP in every form and content coding: the same numbers, and bytes that are what they say."""

import gzip
import io
import json
from collections.abc import Iterator

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import redis

from common.redis import VALUES_DONE
from common.tiers import TIERS, TierName
from tests.stack import Account, Stack, run_kalpi

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
FORMS = ("application/json", "text/csv", ARROW, PARQUET)


@pytest.fixture(scope="module")
def accounts(stack: Stack) -> dict[str, Account]:
    return {tier: stack.create_user(tier) for tier in TierName}


@pytest.fixture
def premium(stack: Stack, accounts: dict[str, Account]) -> Iterator[httpx.Client]:
    with stack.client(accounts["premium"]) as client:
        client.headers["Accept-Encoding"] = "identity"
        yield client


def _table(answer: httpx.Response) -> pa.Table:
    if answer.headers["content-type"] == ARROW:
        with pa.ipc.open_stream(answer.content) as reader:
            return reader.read_all()
    assert answer.headers["content-type"] == PARQUET
    return pq.read_table(io.BytesIO(answer.content))


def _used(client: httpx.Client) -> int:
    used: int = client.get("/v1/me").json()["usage"]["used"]
    return used


@pytest.mark.parametrize("bars", ["false", "true"])
@pytest.mark.parametrize("form", [ARROW, PARQUET])
def test_tables_hold_the_numbers_of_the_json(premium: httpx.Client, form: str, bars: str) -> None:
    params = {"symbol": "SYN003", "slow_period": 21, "interval": "1w", "include_ohlcv": bars}
    plain = premium.get("/v1/indicators/macd/values", params=params).json()
    answer = premium.get("/v1/indicators/macd/values", params=params, headers={"Accept": form})
    assert answer.status_code == 200, answer.text
    table = _table(answer)
    names = ["open", "high", "low", "close", "volume"] if bars == "true" else []
    assert table.column_names == ["date", *names, "macd", "signal", "histogram"]
    assert [str(day) for day in table.column("date").to_pylist()] == plain["dates"]
    for name, series in {**plain.get("ohlcv", {}), **plain["values"]}.items():
        assert table.column(name).to_pylist() == series
    about = json.loads(table.schema.metadata[b"kalpi"])
    assert about == {key: value for key, value in plain.items() if key not in {"dates", "values", "ohlcv"}}


@pytest.mark.parametrize("path", ["/v1/indicators/sma/values?symbol=SYN004", "/v1/symbols/SYN004/ohlcv"])
@pytest.mark.parametrize("form", FORMS)
def test_codings_are_the_same_bytes_under_tags_of_their_own(premium: httpx.Client, form: str, path: str) -> None:
    tags = set()
    plain = premium.get(path, headers={"Accept": form})
    assert plain.status_code == 200
    assert "content-encoding" not in plain.headers
    for accepted in ("gzip", "zstd", "zstd;q=0.3, gzip;q=0.5", "*"):
        headers = {"Accept": form, "Accept-Encoding": accepted}
        with premium.stream("GET", path, headers=headers) as answer:
            raw = b"".join(answer.iter_raw())
        coding = answer.headers.get("content-encoding", "identity")
        assert int(answer.headers["content-length"]) == len(raw)
        assert _decoded(raw, coding) == plain.content
        assert "Accept-Encoding" in answer.headers["vary"]
        tags.add((coding, answer.headers["etag"]))
        unchanged = premium.get(path, headers={**headers, "If-None-Match": answer.headers["etag"]})
        assert (unchanged.status_code, unchanged.headers["etag"]) == (304, answer.headers["etag"])
    codings = {coding for coding, _ in tags}
    assert codings == ({"identity"} if form == PARQUET else {"gzip", "zstd"})
    assert len({tag for _, tag in tags}) == len(codings)


def _decoded(raw: bytes, coding: str) -> bytes:
    if coding == "gzip":
        return gzip.decompress(raw)
    if coding == "zstd":
        with pa.input_stream(io.BytesIO(raw), compression="zstd") as stream:
            return bytes(stream.read())
    return raw


def test_bars_are_those_of_the_tier_and_cost_one_series(stack: Stack, accounts: dict[str, Account]) -> None:
    for tier in TIERS.values():
        with stack.client(accounts[tier.name]) as client:
            allowed = client.get("/v1/me").json()["allowed"]
            before = _used(client)
            answer = client.get("/v1/symbols/SYN005/ohlcv")
            body = answer.json()
            assert list(body) == ["symbol", "data_version", "dates", "values"]
            assert list(body["values"]) == ["open", "high", "low", "close", "volume"]
            assert {len(series) for series in body["values"].values()} == {len(body["dates"])}
            assert allowed["start_date"] <= body["dates"][0] <= body["dates"][-1] == allowed["end_date"]
            assert _used(client) == before + 1
            with_values = client.get("/v1/indicators/sma/values?symbol=SYN005&include_ohlcv=true").json()
            assert with_values["ohlcv"] == body["values"]


@pytest.mark.parametrize(
    ("query", "status", "named"),
    [
        ("NOBODY/ohlcv", 404, "'NOBODY' not found"),
        ("SYN005/ohlcv?period=3", 422, "period"),
        ("SYN005/ohlcv?interval=1w", 422, "interval"),
        ("SYN005/ohlcv?start_date=2024-02-31", 422, "2024-02-31"),
        ("SYN005/ohlcv?start_date=2025-02-01&end_date=2025-01-01", 422, "after end_date"),
        ("SYN005/ohlcv?end_date=2024-12-31", 403, "required_tier"),
    ],
)
def test_bars_are_refused_as_values_are(
    stack: Stack, accounts: dict[str, Account], query: str, status: int, named: str
) -> None:
    with stack.client(accounts["free"]) as client:
        before = _used(client)
        answer = client.get(f"/v1/symbols/{query}")
        assert answer.status_code == status
        if status == 403:
            assert answer.json()["detail"] == "Resource not available for your tier"
        assert named in answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert "x-ratelimit-remaining" in answer.headers
        assert _used(client) == before
    with stack.client() as stranger:
        assert stranger.get(f"/v1/symbols/{query}").status_code == 401


def test_bars_that_take_too_long_become_a_job(premium: httpx.Client) -> None:
    before = _used(premium)
    query = "/v1/symbols/SYN006/ohlcv?start_date=2026-01-05"
    for form in (ARROW, "text/csv"):
        answer = premium.get(query, headers={"Accept": form, "Prefer": "wait=0"})
        if answer.status_code == 200:  # a worker was quicker than no wait at all
            continue
        assert answer.status_code == 202
        job = premium.get(answer.headers["location"], params={"wait": 30}).json()
        assert (job["status"], job["cost"], job["series"]["completed"]) == ("completed", 1, 1)
        assert premium.get(job["urls"]["result"]).status_code == 200
    assert _used(premium) == before + 2


def test_a_change_of_tier_changes_the_next_answer(stack: Stack) -> None:
    account = stack.create_user("free")
    path = "/v1/indicators/sma/values?symbol=SYN007"
    with stack.client(account) as client:
        as_free = client.get(path)
        assert as_free.status_code == 200
        for tier in ("premium", "free"):
            run_kalpi("users", "set-tier", account.username, tier, "--state-dir", stack.state_dir).check_returncode()
            answer = client.get(path)
            allowed = client.get("/v1/me").json()["allowed"]
            assert answer.json()["start_date"] == allowed["start_date"]
            assert (answer.headers.get("x-ratelimit-limit")) == {"premium": None, "free": "50"}[tier]
        unchanged = client.get(path, headers={"If-None-Match": as_free.headers["etag"]})
        assert unchanged.status_code == 304
        assert _used(client) == 3


def test_other_methods_are_refused_where_values_are(premium: httpx.Client) -> None:
    for path in ("/v1/indicators/sma/values", "/v1/symbols/SYN001/ohlcv"):
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            answer = premium.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
        headed = premium.head(path, params={"symbol": "SYN001"} if "values" in path else {})
        assert (headed.status_code, headed.content) == (200, b"")
        assert int(headed.headers["content-length"]) > 0


def test_what_a_higher_tier_left_in_memory_costs_a_lower_one_nothing(
    stack: Stack, accounts: dict[str, Account]
) -> None:
    with stack.client(accounts["free"]) as free, stack.client(accounts["pro"]) as pro:
        start = free.get("/v1/me").json()["allowed"]["start_date"]
        assert pro.get(f"/v1/indicators/rsi/values?symbol=SYN009&start_date={start}").status_code == 200
        before = _used(free)
        refused = [free.get("/v1/indicators/rsi/values?symbol=SYN009") for _ in range(3)]
        assert [(r.status_code, r.json()["required_tier"]) for r in refused] == [(403, "pro")] * 3
        assert _used(free) == before


def test_a_copy_that_is_current_needs_nothing_left_of_the_day(stack: Stack) -> None:
    with stack.client(stack.create_user("free")) as client:
        path = "/v1/indicators/ema/values?symbol=SYN010&period=9"
        answers = [client.get(path) for _ in range(51)]
        assert [a.status_code for a in answers] == [200] * 50 + [429]
        unchanged = client.get(path, headers={"If-None-Match": answers[0].headers["etag"]})
        assert (unchanged.status_code, unchanged.headers["x-ratelimit-remaining"]) == (304, "0")
        several = [
            ("If-None-Match", '"another"'),
            ("If-None-Match", answers[0].headers["etag"]),
            ("If-None-Match", "x"),
        ]
        assert client.get(path, headers=several).status_code == 304
        # Nor does it matter in which coding the caller has it.
        plain = client.get(path, headers={"If-None-Match": answers[0].headers["etag"], "Accept-Encoding": "identity"})
        assert (plain.status_code, plain.headers["etag"]) == (304, answers[0].headers["etag"])


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("x" * 20_000, {}, 414),
        ("", {"Accept-Encoding": "a," * 5_000}, 431),
        ("", {"Prefer": "x" * 10_000}, 431),
        ("", {f"x-{number}": "1" for number in range(200)}, 431),
    ],
)
def test_requests_larger_than_any_honest_one_are_refused(
    stack: Stack, query: str, headers: dict[str, str], status: int
) -> None:
    with stack.client() as client:
        for path in ("/v1/indicators/sma/values", "/v1/me"):
            answer = client.get(f"{path}?{query}", headers=headers)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == status


def test_news_that_nobody_understands_do_no_harm(stack: Stack, premium: httpx.Client) -> None:
    with redis.Redis.from_url(stack.up["cache_url"]) as cache:
        [(_, listening)] = cache.pubsub_numsub(VALUES_DONE)
        for nonsense in (b"{", b"{}", b"[]", b'{"done":[],"failed":{"x":3}}'):
            cache.publish(VALUES_DONE, nonsense)
        assert premium.get("/v1/indicators/sma/values?symbol=SYN011&period=199").status_code == 200
        while cache.pubsub_numsub(VALUES_DONE) != [(VALUES_DONE.encode(), listening)]:
            pass  # it listens again
    assert premium.get("/v1/indicators/sma/values?symbol=SYN011&period=198").status_code == 200
