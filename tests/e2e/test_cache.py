"""A warm start: what an operator names, and what clients ask most, is in the cache before the first client asks."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import redis

from common.dataset import ManifestFile
from common.warming import read_line
from tests.integration.job_kit import wait_until
from tests.stack import Account, Stack, run_kalpi, started, write_sample

POPULAR = "pro json /v1/indicators/rsi/values?symbol={symbol}&period=11"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, sample_file: Path) -> Iterator[Stack]:
    state: Path = tmp_path_factory.mktemp("cache") / "state"
    with started(state, "--data", str(sample_file), "--workers", "1", "--no-flower") as stack:
        yield stack


@pytest.fixture(scope="module")
def accounts(own: Stack) -> dict[str, Account]:
    return {tier: own.create_user(tier) for tier in ("free", "pro")}


@pytest.fixture
def cache(own: Stack) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own.up["cache_url"], decode_responses=True) as client:
        yield client


def symbols_of(client: httpx.Client) -> list[str]:
    return [symbol["symbol"] for symbol in client.get("/v1/symbols").json()["symbols"]]


def test_what_the_operator_names_is_a_hit_at_first_ask(own: Stack, accounts: dict[str, Account]) -> None:
    done = run_kalpi(
        "cache", "warm", "sma?symbol=*&period=33", "pro csv rsi?symbol=*&interval=1w", "--state-dir", own.state_dir
    )
    assert (done.returncode, done.stdout) == (0, "80 computed, 0 were there already, 0 failed.\n"), done.stderr
    for tier, account in accounts.items():
        with own.client(account) as client:
            for symbol in symbols_of(client)[:3]:
                answer = client.get("/v1/indicators/sma/values", params={"symbol": symbol, "period": 33})
                assert (answer.status_code, answer.headers["x-cache"]) == (200, "HIT"), tier
                other = client.get("/v1/indicators/sma/values", params={"symbol": symbol, "period": 34})
                assert (other.status_code, other.headers["x-cache"]) == (200, "MISS"), tier
    with own.client(accounts["pro"]) as client:
        params = {"symbol": symbols_of(client)[5], "interval": "1w"}
        answer = client.get("/v1/indicators/rsi/values", params=params, headers={"Accept": "text/csv"})
        assert (answer.status_code, answer.headers["x-cache"]) == (200, "HIT")


def test_what_was_asked_most_is_a_hit_on_new_data(
    own: Stack, accounts: dict[str, Account], cache: redis.Redis, tmp_path: Path
) -> None:
    manifest = ManifestFile(own.state_dir / "market")
    before = manifest.current().data_version
    with own.client(accounts["pro"]) as client:
        symbols = symbols_of(client)[:4]
        for symbol in symbols:
            for _ in range(3):
                params = {"symbol": symbol, "period": "11"}
                assert client.get("/v1/indicators/rsi/values", params=params).status_code == 200
        lines = [POPULAR.format(symbol=symbol) for symbol in symbols]
        wait_until(lambda: all(_times(cache, line) >= 3 for line in lines))
        shown = run_kalpi("cache", "asked", "--state-dir", own.state_dir)
        assert shown.returncode == 0
        assert "/v1/indicators/rsi/values" in shown.stdout

        other = write_sample(tmp_path / "other.parquet", 20, "--seed", "7")
        env = {"KALPI_STATE_DIR": str(own.state_dir), "KALPI_DATA_FILE": str(tmp_path / "data.parquet")}
        imported = run_kalpi("data", "import", other, env=env)
        assert imported.returncode == 0, imported.stderr
        now = manifest.current()
        assert now.data_version != before
        keys = [query.cache_key(now.data_version) for line in lines for query in read_line(line, now)]
        wait_until(lambda: cache.exists(*keys) == len(keys))
        for symbol in symbols:
            answer = client.get("/v1/indicators/rsi/values", params={"symbol": symbol, "period": "11"})
            assert (answer.headers["x-cache"], answer.json()["data_version"]) == ("HIT", now.data_version)


def _times(cache: redis.Redis, line: str) -> float:
    """How often that was asked, midnight or not."""
    return sum(cache.zscore(key, line) or 0 for key in cache.scan_iter("asked:*"))
