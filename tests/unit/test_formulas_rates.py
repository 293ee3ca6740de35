"""Rates of change TA-Lib does not have, against plain formulations of what was published."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.oracles.bars import walk
from tests.oracles.formulas import check_formula
from worker import kernels

Formula = Callable[[pd.Series, Mapping[str, Any]], list[pd.Series]]

BARS = walk(320, 3, 29)


def smoothed(x: pd.Series, period: int, alpha: float) -> pd.Series:
    """Average that starts as the mean of the first `period` values and moves by `alpha` of the distance of each."""
    known = x.dropna()
    value = known.iloc[:period].mean()
    values = [value]
    for each in known.iloc[period:]:
        value += alpha * (each - value)
        values.append(value)
    return pd.Series(values, index=known.index[period - 1 :]).reindex(x.index)


def percent(x: pd.Series, period: int) -> pd.Series:
    return 100 * (x / x.shift(period) - 1)


def lag(x: pd.Series, p: Mapping[str, Any]) -> list[pd.Series]:
    """Tulip's lag."""
    return [x.shift(p["period"])]


def log_return(x: pd.Series, p: Mapping[str, Any]) -> list[pd.Series]:
    """pandas-ta's log_return."""
    return [np.log(x).diff(p["period"])]


def roc_wb(x: pd.Series, p: Mapping[str, Any]) -> list[pd.Series]:
    """Apirine (2021): bands at the root of the mean of the squares, as Stock.Indicators has them."""
    roc = percent(x, p["period"])
    band = np.sqrt((roc**2).rolling(p["deviation_period"]).mean())
    return [roc, smoothed(roc, p["smooth_period"], 2 / (p["smooth_period"] + 1)), band, -band]


def bias(x: pd.Series, p: Mapping[str, Any]) -> list[pd.Series]:
    """pandas-ta's bias."""
    period = p["period"]
    mean = x.rolling(period).mean() if p["ma_type"] == "sma" else smoothed(x, period, 2 / (period + 1))
    return [x / mean - 1]


def kst(x: pd.Series, p: Mapping[str, Any]) -> list[pd.Series]:
    """Pring (1992)."""
    line = sum(n * percent(x, p[f"roc_period_{n}"]).rolling(p[f"smooth_period_{n}"]).mean() for n in (1, 2, 3, 4))
    return [line, line.rolling(p["signal_period"]).mean()]


def pmo(x: pd.Series, p: Mapping[str, Any]) -> list[pd.Series]:
    """Swenlin's, as StockCharts describes it: smoothing multipliers of 2 / period, and ten times the rate."""
    once = smoothed(percent(x, 1), p["period"], 2 / p["period"])
    line = smoothed(10 * once, p["smooth_period"], 2 / p["smooth_period"])
    return [line, smoothed(line, p["signal_period"], 2 / (p["signal_period"] + 1))]


def trixh(x: pd.Series, p: Mapping[str, Any]) -> list[pd.Series]:
    """Hutson (1983), with the signal of Stock.Indicators and pandas-ta."""
    for _ in range(3):
        x = smoothed(x, p["period"], 2 / (p["period"] + 1))
    line = percent(x, 1)
    signal = line.rolling(p["signal_period"]).mean()
    if p["signal_ma_type"] == "ema":
        signal = smoothed(line, p["signal_period"], 2 / (p["signal_period"] + 1))
    return [line, signal, line - signal]


CASES: list[tuple[str, Mapping[str, Any], Formula]] = [
    ("lag", {}, lag),
    ("lag", {"period": 7}, lag),
    ("log_return", {}, log_return),
    ("log_return", {"period": 20}, log_return),
    ("roc_wb", {}, roc_wb),
    ("roc_wb", {"period": 5, "smooth_period": 30, "deviation_period": 4}, roc_wb),
    ("bias", {}, bias),
    ("bias", {"period": 5, "ma_type": "ema"}, bias),
    ("kst", {}, kst),
    ("kst", {"roc_period_1": 40, "smooth_period_4": 2, "signal_period": 1}, kst),
    ("pmo", {}, pmo),
    ("pmo", {"period": 2, "smooth_period": 5, "signal_period": 3}, pmo),
    ("trixh", {}, trixh),
    ("trixh", {"period": 4, "signal_period": 6, "signal_ma_type": "ema"}, trixh),
]


@pytest.mark.parametrize(("name", "given", "formula"), CASES)
def test_as_published(name: str, given: Mapping[str, Any], formula: Formula) -> None:
    check_formula(name, given, BARS, lambda symbol, p: formula(symbol["close"], p))


def test_returns_where_there_are_none() -> None:
    """A series may be below zero or zero: another indicator's output."""
    x = np.array([[1.0], [0.0], [2.0], [-2.0], [-4.0]])
    (logs,) = kernels.run("log_return", [x], {"period": 1, "source": "close"})
    np.testing.assert_allclose(logs[:, 0], [np.nan, np.nan, np.nan, np.nan, np.log(2)])
    (simple,) = kernels.run("rocp", [x], {"period": 1, "source": "close"})
    np.testing.assert_allclose(simple[:, 0], [np.nan, -1, 0, -2, 1])
