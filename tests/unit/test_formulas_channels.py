"""Channels and squeezes by their definitions, in pandas."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.oracles.bars import walk
from tests.oracles.formulas import check_formula, computed

BARS = walk(200, 1, 31)
HIGH, LOW, CLOSE, TYPICAL = (pd.Series(BARS[name][:, 0]) for name in ("high", "low", "close", "hlc3"))
TRUE_RANGE = np.maximum(HIGH, CLOSE.shift()) - np.minimum(LOW, CLOSE.shift())


def mean(x: pd.Series, length: int, kind: str = "sma") -> pd.Series:
    """Simple, exponential or Wilder's average, the recurrences from the mean of the first `length` values on."""
    if kind == "sma":
        return x.rolling(length).mean()
    first = x.notna().to_numpy().argmax() + length - 1
    start = x.where(x.index > first)
    start[first] = x.iloc[first - length + 1 : first + 1].mean()
    return start.ewm(alpha=2 / (length + 1) if kind == "ema" else 1 / length, adjust=False).mean()


def together(*lines: pd.Series) -> list[pd.Series]:
    """From the first row on that all have."""
    known = pd.concat(lines, axis=1).notna().all(axis=1)
    return [line.astype(float).where(known) for line in lines]


def _keltner(p: dict[str, Any]) -> list[pd.Series]:
    """Connors and Raschke, Street Smarts."""
    middle = mean(CLOSE, p["period"], p["ma_type"])
    reach = p["multiplier"] * mean(TRUE_RANGE, p["atr_period"], p["convention"])
    return together(middle + reach, middle, middle - reach)


def _aberration(p: dict[str, Any]) -> list[pd.Series]:
    """pandas-ta issue 46."""
    middle, span = mean(TYPICAL, p["period"]), mean(TRUE_RANGE, p["atr_period"], "wilder")
    return together(middle + span, middle, middle - span, span)


def _fcb(p: dict[str, Any]) -> list[pd.Series]:
    """Stock.Indicators: fractals of Bill Williams, known `span` bars later, carried on."""
    n = p["side_bars"]

    def stands_out(x: pd.Series) -> float:
        rest = np.delete(x.to_numpy(), n)
        return float(x.iloc[n]) if x.iloc[n] > rest.max() else np.nan

    return [
        HIGH.rolling(2 * n + 1).apply(stands_out).ffill(),
        -(-LOW).rolling(2 * n + 1).apply(stands_out).ffill(),
    ]


def _flags(p: dict[str, Any], keltner_multiplier: float, kind: str) -> tuple[pd.Series, pd.Series]:
    """Carter, Mastering the Trade: Bollinger Bands within, and beyond, the Keltner channel."""
    bollinger, keltner = (
        p[f"{name}_period" if f"{name}_period" in p else "period"] for name in ("bollinger", "keltner")
    )
    b, d = mean(CLOSE, bollinger, kind), p["bollinger_multiplier"] * CLOSE.rolling(bollinger).std(ddof=0)
    k, r = mean(CLOSE, keltner, kind), keltner_multiplier * mean(TRUE_RANGE, keltner, kind)
    known = (b + d + k + r).notna()
    on, off = (b - d > k - r) & (b + d < k + r), (b - d < k - r) & (b + d > k + r)
    return on.where(known), off.where(known)


def _momentum(p: dict[str, Any]) -> pd.Series:
    return mean(CLOSE.diff(p["momentum_period"]), p["smooth_period"], p["ma_type"])


def _squeeze(p: dict[str, Any]) -> list[pd.Series]:
    on, off = _flags(p, p["keltner_multiplier"], p["ma_type"])
    return together(_momentum(p), on, off, 1 - on - off)


def _squeeze_pro(p: dict[str, Any]) -> list[pd.Series]:
    """Makit0's Squeeze PRO, as in pandas-ta."""
    (wide, off), (normal, _), (narrow, _) = (
        _flags(p, p[f"{name}_multiplier"], p["ma_type"]) for name in ("wide", "normal", "narrow")
    )
    return together(_momentum(p), wide, normal, narrow, off, 1 - wide - off)


def _ttm(p: dict[str, Any]) -> list[pd.Series]:
    """LazyBear's Squeeze Momentum Indicator on TradingView; with ema thinkorswim's TTM_Squeeze."""
    n = p["period"]
    middle = (HIGH.rolling(n).max() + LOW.rolling(n).min()) / 2
    distance = CLOSE - (middle + mean(CLOSE, n, p["ma_type"])) / 2
    line = distance.rolling(n).apply(lambda x: np.polyval(np.polyfit(np.arange(n), x, 1), n - 1))
    return together(line, _flags(p, p["keltner_multiplier"], "sma")[0])


@pytest.mark.parametrize(
    ("name", "params", "formula"),
    [
        ("keltner", {}, _keltner),
        ("keltner", {"period": 5, "atr_period": 30, "multiplier": 1, "ma_type": "sma", "convention": "ema"}, _keltner),
        ("keltner", {"convention": "sma"}, _keltner),
        ("aberration", {}, _aberration),
        ("aberration", {"period": 30, "atr_period": 4}, _aberration),
        ("fcb", {}, _fcb),
        ("fcb", {"side_bars": 5}, _fcb),
        ("squeeze", {}, _squeeze),
        ("squeeze", {"bollinger_period": 10, "keltner_multiplier": 1, "ma_type": "ema"}, _squeeze),
        ("squeeze_pro", {}, _squeeze_pro),
        ("squeeze_pro", {"keltner_period": 12, "wide_multiplier": 2.5, "smooth_period": 3}, _squeeze_pro),
        ("ttm_squeeze", {}, _ttm),
        ("ttm_squeeze", {"period": 7, "ma_type": "ema", "keltner_multiplier": 1}, _ttm),
    ],
)
def test_as_defined(name: str, params: dict[str, Any], formula: Callable[[dict[str, Any]], list[pd.Series]]) -> None:
    check_formula(name, params, BARS, lambda _symbol, p: formula(dict(p)))


def test_the_squeeze_comes_and_goes() -> None:
    """The flags of the tests above are not of one kind alone."""
    for name in ("squeeze", "squeeze_pro", "ttm_squeeze"):
        on = computed(name, {}, BARS)[1]
        assert 0.1 < np.nanmean(on) < 0.9
