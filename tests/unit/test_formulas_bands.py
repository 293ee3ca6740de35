"""Bands by their definitions, in numpy, window by window."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from common.catalogue import CATALOGUE
from common.errors import InvalidParameters
from tests.oracles.bars import Series, walk
from tests.oracles.formulas import check_formula

BARS = walk(140, 1, 29)
HIGH, LOW, CLOSE = (BARS[name][:, 0] for name in ("high", "low", "close"))


def windows(function: Callable[[Series], float], length: int) -> Series:
    return np.array([function(CLOSE[t - length + 1 : t + 1]) if t >= length - 1 else np.nan for t in range(len(CLOSE))])


def around(middle: Series, reach: Series | float) -> list[Series]:
    return [middle + reach, middle, middle - reach]


def _percent_b(p: dict[str, Any]) -> list[Series]:
    """Bollinger on Bollinger Bands: (close - lower) / (upper - lower)."""
    upper, _middle, lower = around(windows(np.mean, p["period"]), p["multiplier"] * windows(np.std, p["period"]))
    return [(CLOSE - lower) / (upper - lower)]


def _bandwidth(p: dict[str, Any]) -> list[Series]:
    """Bollinger on Bollinger Bands: (upper - lower) / middle, in percent as StockCharts and TradingView show it."""
    upper, middle, lower = around(windows(np.mean, p["period"]), p["multiplier"] * windows(np.std, p["period"]))
    return [100 * (upper - lower) / middle]


def _accbands(p: dict[str, Any]) -> list[Series]:
    """Headley, with a factor other than TA-Lib's 4."""
    wide = p["multiplier"] * (HIGH - LOW) / (HIGH + LOW)
    kernel = np.ones(p["period"]) / p["period"]
    lines = [np.convolve(x, kernel, "valid") for x in (HIGH * (1 + wide), CLOSE, LOW * (1 - wide))]
    return [np.concatenate([np.full(p["period"] - 1, np.nan), line]) for line in lines]


def _envelopes(p: dict[str, Any]) -> list[Series]:
    middle = windows(np.mean, p["period"])
    return around(middle, middle * p["percent"] / 100)


def _line(x: Series) -> float:
    slope, level = np.polyfit(np.arange(len(x)), x, 1)
    return float(level + slope * (len(x) - 1))


def _stddev_channels(p: dict[str, Any]) -> list[Series]:
    """Stock.Indicators' channels at the bar each of its windows ends with."""
    return around(windows(_line, p["period"]), p["multiplier"] * windows(np.std, p["period"]))


def _stdevall(p: dict[str, Any]) -> list[Series]:
    """Thinkorswim's StandardDevAll, as pandas-ta computes it; without look-ahead once for each bar."""
    if p["lookahead"]:
        rows = np.arange(len(CLOSE))
        line, deviation = np.polyval(np.polyfit(rows, CLOSE, 1), rows), np.full(len(CLOSE), np.std(CLOSE, ddof=1))
        line[0] = deviation[0] = np.nan
    else:
        so_far = [CLOSE[: t + 1] for t in range(1, len(CLOSE))]
        line = np.array([np.nan, *map(_line, so_far)])
        deviation = np.array([np.nan, *(np.std(x, ddof=1) for x in so_far)])
    return [line, *(line + sign * n * deviation for n in (1, 2, 3) for sign in (1, -1))]


def _hwc(p: dict[str, Any]) -> list[Series]:
    """The recurrence of https://www.mql5.com/en/code/20857, as pandas-ta starts it."""
    a, b, c, d = (p[f"{name}_weight"] for name in ("level", "trend", "acceleration", "deviation"))
    level, trend, turn, variance, price, result = CLOSE[0], 0.0, 0.0, 0.0, CLOSE[0], CLOSE[0]
    rows = []
    for x in CLOSE:
        f = (1 - a) * (level + trend + 0.5 * turn) + a * x
        v = (1 - b) * (trend + turn) + b * (f - level)
        turn = (1 - c) * turn + c * (v - trend)
        middle, reach = f + v + 0.5 * turn, p["multiplier"] * variance**0.5
        variance = (1 - d) * variance + d * (price - result) ** 2
        level, trend, price, result = f, v, x, middle
        rows.append((middle + reach, middle, middle - reach))
    return list(np.array(rows).T)


def _starc(p: dict[str, Any]) -> list[Series]:
    """Achelis, Technical Analysis from A to Z."""
    before = np.roll(CLOSE, 1)
    ranges = (np.maximum(HIGH, before) - np.minimum(LOW, before))[1:]
    n = p["atr_period"]
    span = [np.nan] * n + [ranges[:n].mean()]
    for x in ranges[n:]:
        span.append(span[-1] + (x - span[-1]) / n)
    lines = around(windows(np.mean, p["period"]), p["multiplier"] * np.array(span))
    first = max(p["period"] - 1, n)
    return [np.where(np.arange(len(CLOSE)) < first, np.nan, line) for line in lines]


@pytest.mark.parametrize(
    ("name", "params", "formula"),
    [
        ("percent_b", {}, _percent_b),
        ("percent_b", {"period": 5, "multiplier": 1.5}, _percent_b),
        ("bandwidth", {}, _bandwidth),
        ("bandwidth", {"period": 3, "multiplier": 1}, _bandwidth),
        ("accbands", {"period": 7, "multiplier": 2}, _accbands),
        ("ma_envelopes", {"period": 9, "percent": 6}, _envelopes),
        ("stddev_channels", {}, _stddev_channels),
        ("stddev_channels", {"period": 2}, _stddev_channels),
        ("stddev_channels", {"period": 33, "multiplier": 1}, _stddev_channels),
        ("tos_stdevall", {}, _stdevall),
        ("tos_stdevall", {"lookahead": True}, _stdevall),
        ("hwc", {}, _hwc),
        ("hwc", {"level_weight": 0.5, "trend_weight": 0.3, "deviation_weight": 0.4, "multiplier": 2}, _hwc),
        ("starc_bands", {}, _starc),
        ("starc_bands", {"period": 20, "atr_period": 5, "multiplier": 1}, _starc),
    ],
)
def test_as_defined(name: str, params: dict[str, Any], formula: Callable[[dict[str, Any]], list[Series]]) -> None:
    check_formula(name, params, BARS, lambda _symbol, p: formula(dict(p)))


def test_weights_that_never_settle_are_refused() -> None:
    weights = {"level_weight": 0.12, "trend_weight": 0.21, "acceleration_weight": 0.91}
    with pytest.raises(InvalidParameters, match=r"0\.91 .* level_weight 0\.12 .* settles at 0\.15 or less"):
        CATALOGUE["hwc"].read_params(weights)
    CATALOGUE["hwc"].read_params(weights | {"acceleration_weight": 0.15})
