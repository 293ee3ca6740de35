"""The kernels against TA-Lib on real bars, for every period, every source and every symbol."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib

from common.catalogue import CATALOGUE
from common.catalogue.spec import SOURCES
from worker import kernels
from worker.market.bars import FIELDS

REAL = Path(__file__).parents[3] / "shared" / "data" / "nifty50_daily_2020_2025.parquet"
PERIODS = range(2, 201)
TOLERANCE = 1e-9

pytestmark = pytest.mark.skipif(not REAL.exists(), reason="the real data is not part of the project")


TALIB: Mapping[str, Callable[[Any, Any], Any]] = {
    "sma": lambda x, p: talib.SMA(x, p["period"]),
    "ema": lambda x, p: talib.EMA(x, p["period"]),
    "rsi": lambda x, p: talib.RSI(x, p["period"]),
    "macd": lambda x, p: talib.MACD(x, p["fast_period"], p["slow_period"], p["signal_period"]),
    "bbands": lambda x, p: talib.BBANDS(x, p["period"], p["multiplier"], p["multiplier"], 0),
}

PARAMS: Mapping[str, Callable[[int], dict[str, Any]]] = {
    "sma": lambda period: {"period": period},
    "ema": lambda period: {"period": period},
    "rsi": lambda period: {"period": period},
    # Each of the three takes every value.
    "macd": lambda period: {
        "fast_period": period,
        "slow_period": period + 1 + period % 37,
        "signal_period": 1 + (period * 7) % 200,
    },
    "bbands": lambda period: {"period": period, "multiplier": 2.0},
}


@pytest.fixture(scope="module")
def bars() -> dict[str, dict[str, np.ndarray]]:
    """Per symbol each source, averages as TA-Lib computes them."""
    result = {}
    for symbol, group in pd.read_parquet(REAL).sort_values(["symbol", "date"]).groupby("symbol"):
        bar = {field: group[field].to_numpy(np.float64) for field in FIELDS}
        o, h, l, c = (bar[name] for name in ("open", "high", "low", "close"))  # noqa: E741 - the field's own terms
        bar |= {"hl2": talib.MEDPRICE(h, l), "hlc3": talib.TYPPRICE(h, l, c), "ohlc4": talib.AVGPRICE(o, h, l, c)}
        result[str(symbol)] = bar
    return result


def _check(name: str, params: dict[str, Any], columns: list[np.ndarray], scale: bool) -> None:
    outputs = kernels.run(name, [np.stack(columns, axis=1)], params)
    lookback = CATALOGUE[name].lookback(params)
    for j, column in enumerate(columns):
        expected = TALIB[name](column, params)
        expected = expected if isinstance(expected, tuple) else (expected,)
        for output, ours, theirs in zip(CATALOGUE[name].outputs, outputs, expected, strict=True):
            mine = ours[:, j]
            assert np.isnan(mine[:lookback]).all(), (name, params, output.name)
            np.testing.assert_array_equal(np.isnan(mine), np.isnan(theirs))
            # A band near zero is a small difference of large numbers, in which TA-Lib itself loses digits: it takes the
            # variance as a difference of squares. Bands are measured in units of the price.
            size = np.maximum(np.abs(theirs), column) if scale else np.abs(theirs)
            worst = np.nanmax(np.abs(mine - theirs) / np.where(size > 0, size, 1.0), initial=0.0)
            assert worst < TOLERANCE, (name, params, output.name, worst)


@pytest.mark.parametrize("name", TALIB)
def test_every_period_every_source_every_symbol(name: str, bars: dict[str, dict[str, np.ndarray]]) -> None:
    symbols = list(bars)
    seen = set()
    for i, period in enumerate(PERIODS):
        for k, source in enumerate(SOURCES):
            # Two symbols each, walking on, so that all of them come up for every source.
            chosen = [symbols[(2 * i + k + n) % len(symbols)] for n in range(2)]
            by_rows: dict[int, list[np.ndarray]] = {}
            for symbol in chosen:
                seen.add((symbol, source))
                column = bars[symbol][source]
                by_rows.setdefault(len(column), []).append(column)
            for columns in by_rows.values():
                _check(name, PARAMS[name](period), columns, scale=name == "bbands")
    assert len(seen) == len(symbols) * len(SOURCES)


@pytest.mark.parametrize("name", ["ema", "macd"])
def test_averages_agree_where_they_cross_zero(name: str, bars: dict[str, dict[str, np.ndarray]]) -> None:
    params = CATALOGUE[name].defaults
    for bar in bars.values():
        ours = kernels.run(name, [bar["close"][:, None]], params)
        theirs = TALIB[name](bar["close"], params)
        for mine, other in zip(ours, theirs if isinstance(theirs, tuple) else (theirs,), strict=True):
            np.testing.assert_allclose(mine[:, 0], other, rtol=TOLERANCE / 1000, atol=0)


@pytest.mark.parametrize("name", TALIB)
def test_defaults_of_every_symbol(name: str, bars: dict[str, dict[str, np.ndarray]]) -> None:
    for bar in bars.values():
        _check(name, CATALOGUE[name].defaults, [bar["close"]], scale=name == "bbands")


def test_rsi_of_a_known_day(bars: dict[str, dict[str, np.ndarray]]) -> None:
    close = bars["RELIANCE"]["close"]
    (ours,) = kernels.run("rsi", [close[:, None]], {"period": 14})
    assert ours[-1, 0] == pytest.approx(talib.RSI(close, 14)[-1], rel=1e-12)
