"""Momentum indicators TA-Lib does not have, against plain formulations of what was published."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.catalogue import CATALOGUE
from tests.oracles.bars import flat, inputs_of, walk
from tests.oracles.formulas import Formula, check_formula, computed
from worker import kernels

BARS = walk(300, 3, 23)


def seeded(x: pd.Series, period: int) -> pd.Series:
    """Exponential average that starts as the mean of the first `period` values."""
    known = x.dropna()
    start = pd.Series([known.iloc[:period].mean()], index=known.index[period - 1 : period])
    return pd.concat([start, known.iloc[period:]]).ewm(span=period, adjust=False).mean().reindex(x.index)


def rsi(bars: pd.DataFrame, p: Mapping[str, Any]) -> list[pd.Series]:
    """Cutler's RSI of simple averages (1985) and the RSI of exponential averages: 100 - 100 / (1 + gains / losses)."""
    change = bars["close"].diff()
    gain, loss = change.clip(lower=0), -change.clip(upper=0)
    if p["convention"] == "sma":
        gains, losses = gain.rolling(p["period"]).sum(), loss.rolling(p["period"]).sum()
    else:
        gains, losses = seeded(gain, p["period"]), seeded(loss, p["period"])
    return [100 - 100 / (1 + gains / losses)]


def macd_slope(bars: pd.DataFrame, p: Mapping[str, Any]) -> list[pd.Series]:
    """Twelve Data's MACD regression slope: numpy's least squares line through each window of each line."""
    inputs = [bars[["close"]].to_numpy().copy()]
    words = {name: p[name] for name in ("fast_period", "slow_period", "signal_period", "source")}
    lines = [pd.Series(line[:, 0]) for line in kernels.run("macd", inputs, words)]
    days = np.arange(p["period"])
    return [line.rolling(p["period"]).apply(lambda y: np.polyfit(days, y, 1)[0], raw=True) for line in lines]


CASES: list[tuple[str, Mapping[str, Any], Formula]] = [
    ("rsi", {"convention": "sma"}, rsi),
    ("rsi", {"convention": "sma", "period": 2}, rsi),
    ("rsi", {"convention": "ema"}, rsi),
    ("rsi", {"convention": "ema", "period": 50}, rsi),
    ("macd_slope", {}, macd_slope),
    ("macd_slope", {"fast_period": 3, "slow_period": 6, "signal_period": 2, "period": 2}, macd_slope),
]


@pytest.mark.parametrize(("name", "given", "formula"), CASES)
def test_as_published(name: str, given: Mapping[str, Any], formula: Formula) -> None:
    check_formula(name, given, BARS, formula)


@pytest.mark.parametrize("name", ["macd", "macdfix", "macdext", "kst", "pmo", "trixh", "smi", "kvo", "vwmacd"])
def test_a_signal_of_one_bar_is_the_line(name: str) -> None:
    """TA-Lib refuses that of some."""
    line, signal, *_histogram = computed(name, {"signal_period": 1}, BARS)
    np.testing.assert_allclose(signal, line, rtol=1e-12, atol=1e-12)


def test_accelerator_of_a_signal_of_one_bar() -> None:
    (values,) = computed("ac", {"signal_period": 1}, BARS)
    np.testing.assert_array_equal(values[33:], 0.0)


@pytest.mark.parametrize(("name", "given", "still"), [("imi", {}, 50.0), ("rsi", {"convention": "sma"}, 0.0)])
def test_nothing_moved(name: str, given: Mapping[str, Any], still: float) -> None:
    """TA-Lib's values for that."""
    spec = CATALOGUE[name]
    params = spec.read_params(given)
    (values,) = kernels.run(name, inputs_of(spec, params, flat(40, 2)), params)
    assert (values[spec.lookback(params) :] == still).all()
