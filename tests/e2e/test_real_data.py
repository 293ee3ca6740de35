"""The whole stack on real bars, against TA-Lib. Skipped where the data is not at hand."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest
import talib

from tests.stack import ROOT, Stack, started

BARS = ROOT.parent / "shared" / "data" / "nifty50_daily_2020_2025.parquet"

pytestmark = pytest.mark.skipif(not BARS.exists(), reason="the real data is not part of the project")


@pytest.fixture(scope="module")
def nifty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    state: Path = tmp_path_factory.mktemp("nifty") / "state"
    with started(state, "--data", str(BARS), "--no-flower") as stack:
        yield stack


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return pd.read_parquet(BARS).astype({"date": str}).sort_values(["symbol", "date"])


@pytest.fixture(scope="module")
def premium(nifty: Stack) -> Iterator[httpx.Client]:
    with nifty.client(nifty.create_user("premium")) as client:
        yield client


@pytest.mark.parametrize("tier", ["pro", "premium"])
@pytest.mark.parametrize("start", [None, "2025-09-30", "2025-09-01", "2025-01-15"])
def test_rsi_on_a_date_is_talibs_over_the_whole_history(
    nifty: Stack, bars: pd.DataFrame, tier: str, start: str | None
) -> None:
    closes = bars[bars.symbol == "RELIANCE"].close.to_numpy()
    params = {"symbol": "RELIANCE"} | ({"start_date": start} if start else {})
    with nifty.client(nifty.create_user(tier)) as client:
        body = client.get("/v1/indicators/rsi/values", params=params).json()
    assert body["dates"][-1] == "2025-09-30"
    assert body["values"]["rsi"][-1] == pytest.approx(talib.RSI(closes, 14)[-1], rel=1e-9)


@pytest.mark.parametrize("symbol", ["M&M", "BAJAJ-AUTO", "JIOFIN"])
def test_any_symbol_works_in_urls_and_jobs(premium: httpx.Client, bars: pd.DataFrame, symbol: str) -> None:
    closes = bars[bars.symbol == symbol].close.to_numpy()
    expected = talib.EMA(closes, 20)
    body = premium.get("/v1/indicators/ema/values", params={"symbol": symbol}).json()
    got = np.array(body["values"]["ema"], dtype=float)
    np.testing.assert_allclose(got, expected[-len(got) :], rtol=1e-9, equal_nan=True)


def test_a_batch_over_the_universe_equals_talib(premium: httpx.Client, bars: pd.DataFrame) -> None:
    order = {
        "symbols": "*",
        "indicators": [
            {"name": "sma", "params": {"period": [10, 50]}},
            {"name": "rsi"},
            {"name": "macd", "as": "trend"},
            {"name": "bbands", "params": {"period": 5}},
        ],
        "include_ohlcv": True,
        "format": "parquet",
    }
    job = premium.post("/v1/jobs", json=order, headers={"Prefer": "wait=60"}).json()
    assert (job["status"], job["errors"]) == ("completed", [])
    assert job["cost"] == job["series"]["completed"] == 50 * 5
    table = pd.read_parquet(io.BytesIO(premium.get(job["urls"]["result"]).content))
    start = premium.get("/v1/me").json()["allowed"]["start_date"]
    table["date"] = table["date"].astype(str)
    expected = bars[bars.date >= start]
    assert len(table) == len(expected)
    assert table.symbol.tolist() == expected.symbol.tolist()
    assert table.date.tolist() == expected.date.tolist()
    np.testing.assert_array_equal(table.close.to_numpy(), expected.close.to_numpy())
    for symbol, rows in table.groupby("symbol", observed=True):
        closes = bars[bars.symbol == symbol].close.to_numpy()
        upper, middle, lower = talib.BBANDS(closes, 5, 2, 2)
        trend, signal, histogram = talib.MACD(closes)
        columns = {
            "sma_10": talib.SMA(closes, 10),
            "sma_50": talib.SMA(closes, 50),
            "rsi_14": talib.RSI(closes, 14),
            "trend.macd": trend,
            "trend.signal": signal,
            "trend.histogram": histogram,
            "bbands_5_2.upper": upper,
            "bbands_5_2.middle": middle,
            "bbands_5_2.lower": lower,
        }
        for name, values in columns.items():
            np.testing.assert_allclose(
                rows[name].to_numpy(), values[-len(rows) :], rtol=1e-9, atol=1e-9, equal_nan=True, err_msg=name
            )
