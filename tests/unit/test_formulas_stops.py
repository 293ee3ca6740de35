"""Stops by their definitions, bar by bar."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib

from common.catalogue import CATALOGUE
from tests.oracles.bars import Series, walk
from tests.oracles.formulas import check_formula, computed

BARS = walk(400, 1, 31)
OPEN, HIGH, LOW, CLOSE = (BARS[name][:, 0] for name in ("open", "high", "low", "close"))
ROWS = len(CLOSE)
Formula = Callable[[Mapping[str, Any]], list[Series]]


def true_range() -> Series:
    before = np.roll(CLOSE, 1)
    spans = np.maximum(HIGH, before) - np.minimum(LOW, before)
    spans[0] = np.nan
    return spans


def average_true_range(period: int) -> Series:
    """Wilder: the mean of the first `period` true ranges, then (period - 1 parts of the last, one of the new)."""
    spans, result = true_range(), np.full(ROWS, np.nan)
    result[period] = spans[1 : period + 1].mean()
    for t in range(period + 1, ROWS):
        result[t] = (result[t - 1] * (period - 1) + spans[t]) / period
    return result


def highest(x: Series, period: int) -> Series:
    return np.asarray(pd.Series(x).rolling(period).max())


def lowest(x: Series, period: int) -> Series:
    return np.asarray(pd.Series(x).rolling(period).min())


def _supertrend_heikin_ashi(p: Mapping[str, Any]) -> list[Series]:
    """Twelve Data: TA-Lib's supertrend of Heikin-Ashi bars."""
    close = (OPEN + HIGH + LOW + CLOSE) / 4
    opened = np.empty(ROWS)
    opened[0] = (OPEN[0] + CLOSE[0]) / 2
    for t in range(1, ROWS):
        opened[t] = (opened[t - 1] + close[t - 1]) / 2
    high, low = np.max([HIGH, opened, close], axis=0), np.min([LOW, opened, close], axis=0)
    line, trend = talib.SUPERTREND(high, low, close, p["period"], p["multiplier"])
    return [line, np.where(np.isnan(line), np.nan, trend)]


def _chandelier_exit(p: Mapping[str, Any]) -> list[Series]:
    """Le Beau, as StockCharts prints it: 22-day high - ATR(22) * 3, 22-day low + ATR(22) * 3."""
    reach = p["multiplier"] * average_true_range(p["period"])
    return [highest(HIGH, p["period"]) - reach, lowest(LOW, p["period"]) + reach]


def _chande_kroll_stop(p: Mapping[str, Any]) -> list[Series]:
    """Chande and Kroll, p. 95."""
    period, stop_period = p["period"], p["stop_period"]
    simple = pd.Series(true_range()).rolling(period).mean().to_numpy()
    reach = p["multiplier"] * (simple if p["convention"] == "sma" else average_true_range(period))
    return [highest(highest(HIGH, period) - reach, stop_period), lowest(lowest(LOW, period) + reach, stop_period)]


def _atr_stop(p: Mapping[str, Any]) -> list[Series]:
    """As Stock.Indicators documents it."""
    above, below = (HIGH, LOW) if p["prices"] == "high_low" else (CLOSE, CLOSE)
    reach, first = p["multiplier"] * average_true_range(p["period"]), p["period"]
    stop, trend = np.full(ROWS, np.nan), np.full(ROWS, np.nan)
    long, upper, lower = CLOSE[first] >= CLOSE[first - 1], np.inf, -np.inf
    for t in range(first, ROWS):
        buy, sell = above[t] + reach[t], below[t] - reach[t]
        if buy < upper or CLOSE[t - 1] > upper:
            upper = buy
        if sell > lower or CLOSE[t - 1] < lower:
            lower = sell
        long = CLOSE[t] > (lower if long else upper)
        stop[t], trend[t] = (lower, 1) if long else (upper, -1)
    return [stop, trend]


def _volatility_stop(p: Mapping[str, Any]) -> list[Series]:
    """Wilder, trade by trade: the stop is `multiplier` ATRs of the bar before from the best close of the trade."""
    period = p["period"]
    reach = p["multiplier"] * np.roll(average_true_range(period), 1)
    outputs = [np.full(ROWS, np.nan) for _ in range(3)]
    stop, trend, reversal = outputs
    begin, start, long = 0, period + 1, CLOSE[period - 1] > CLOSE[0]
    while start < ROWS:
        closes = pd.Series(CLOSE[begin:])
        best = (closes.cummax() if long else closes.cummin()).shift(1).to_numpy()[start - begin :]
        level = best - reach[start:] if long else best + reach[start:]
        beyond = CLOSE[start:] < level if long else CLOSE[start:] > level
        end = start + int(np.argmax(beyond)) + 1 if beyond.any() else ROWS
        stop[start:end], trend[start:end], reversal[start:end] = level[: end - start], 1 if long else -1, 0
        if beyond.any():
            reversal[end - 1] = 1
        begin, start, long = end - 1, end, not long
    return outputs


def _pmax(p: Mapping[str, Any]) -> list[Series]:
    """Ozbilgic's script, statement by statement."""
    source = BARS[p["source"]][:, 0]
    mean = talib.EMA(source, p["ma_period"]) if p["ma_type"] == "ema" else talib.SMA(source, p["ma_period"])
    reach = p["multiplier"] * average_true_range(p["period"])
    first = int(np.flatnonzero(~np.isnan(mean + reach))[0])
    stop, trend = np.full(ROWS, np.nan), np.full(ROWS, np.nan)
    long_before, short_before, direction = mean[first] - reach[first], mean[first] + reach[first], 1
    for t in range(first, ROWS):
        long, short = mean[t] - reach[t], mean[t] + reach[t]
        if mean[t] > long_before:
            long = max(long, long_before)
        if mean[t] < short_before:
            short = min(short, short_before)
        if direction == -1 and mean[t] > short_before:
            direction = 1
        elif direction == 1 and mean[t] < long_before:
            direction = -1
        stop[t], trend[t] = (long if direction == 1 else short), direction
        long_before, short_before = long, short
    return [stop, trend]


def _hilo(p: Mapping[str, Any]) -> list[Series]:
    """Krausz."""
    above, below = talib.SMA(HIGH, p["high_period"]), talib.SMA(LOW, p["low_period"])
    change = pd.Series(np.where(np.roll(above, 1) < CLOSE, 1.0, np.where(np.roll(below, 1) > CLOSE, -1.0, np.nan)))
    change[: CATALOGUE["hilo"].lookback(p)] = np.nan
    trend = change.ffill().to_numpy()
    return [np.where(trend > 0, below, np.where(trend < 0, above, np.nan)), trend]


FORMULAS: Mapping[str, tuple[Formula, list[dict[str, Any]]]] = {
    "supertrend_heikin_ashi": (_supertrend_heikin_ashi, [{}, {"period": 5, "multiplier": 1.0}]),
    "chandelier_exit": (_chandelier_exit, [{}, {"period": 5, "multiplier": 1.5}]),
    "chande_kroll_stop": (
        _chande_kroll_stop,
        [{}, {"period": 10, "stop_period": 20, "multiplier": 3.0, "convention": "sma"}, {"stop_period": 1}],
    ),
    "atr_stop": (_atr_stop, [{}, {"period": 7, "multiplier": 1.5, "prices": "high_low"}, {"multiplier": 1.0}]),
    "volatility_stop": (_volatility_stop, [{}, {"period": 20, "multiplier": 2.0}, {"period": 3, "multiplier": 1.0}]),
    "pmax": (_pmax, [{}, {"period": 5, "ma_period": 20, "multiplier": 1.0, "ma_type": "sma", "source": "close"}]),
    "hilo": (_hilo, [{}, {"high_period": 3, "low_period": 3}]),
}
CASES = [(name, given) for name, (_formula, grid) in FORMULAS.items() for given in grid]


@pytest.mark.parametrize(("name", "given"), CASES)
def test_as_defined(name: str, given: dict[str, Any]) -> None:
    check_formula(name, given, BARS, lambda _symbol, p: FORMULAS[name][0](p))
    for panel in computed(name, given, BARS):
        assert np.isfinite(panel[CATALOGUE[name].lookback(CATALOGUE[name].read_params(given)) + 30 :]).all()


@pytest.mark.parametrize(
    "name", ["supertrend", "supertrend_heikin_ashi", "atr_stop", "volatility_stop", "pmax", "hilo"]
)
def test_the_bars_have_both_trends(name: str) -> None:
    """Else the formulas above would show little."""
    trend = computed(name, {}, BARS)[1]
    assert set(trend[~np.isnan(trend)]) == {1.0, -1.0}


def test_sarext_is_sar_negative_while_short() -> None:
    (signed,) = computed("sarext", {}, BARS)
    (stop,) = computed("sar", {}, BARS)
    np.testing.assert_array_equal(np.abs(signed), stop)
    np.testing.assert_array_equal(signed[1:] > 0, stop[1:] <= LOW[1:, None])
