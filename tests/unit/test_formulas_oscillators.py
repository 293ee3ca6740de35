"""Oscillators without bounds that TA-Lib does not have, against their publications' formulas, written out plainly."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.oracles.bars import walk
from tests.oracles.formulas import check_formula
from worker import kernels

Formula = Callable[..., list[pd.Series]]

BARS = walk(180, 2, 21)


def cfo(b: pd.DataFrame, period: int) -> list[pd.Series]:
    """Chande and Kroll, The New Technical Trader (1994), as Sierra Chart writes it: 100 (X - LRMA(X, n)) / X."""

    def end_of_line(window: np.ndarray) -> float:
        return float(np.polyval(np.polyfit(np.arange(period), window, 1), period - 1))

    close = b["close"]
    return [100 * (close - close.rolling(period).apply(end_of_line, raw=True)) / close]


def pgo(b: pd.DataFrame, period: int) -> list[pd.Series]:
    """Mark Johnson's: (close - SMA(close, n)) / EMA(true range, n); the EMA is seeded with its first n true ranges."""
    close, before = b["close"], b["close"].shift()
    ranges = pd.concat([b["high"] - b["low"], (b["high"] - before).abs(), (b["low"] - before).abs()], axis=1).max(
        axis=1
    )
    average = pd.Series(np.nan, close.index)
    average[period] = ranges[1 : period + 1].mean()
    for t in range(period + 1, len(close)):
        average[t] = average[t - 1] + 2 / (period + 1) * (ranges[t] - average[t - 1])
    return [(close - close.rolling(period).mean()) / average]


def cg(b: pd.DataFrame, period: int) -> list[pd.Series]:
    """Ehlers, The CG Oscillator (2002): -Num / Den, sums of (1 + count) * Price[count] and of Price[count]."""
    price = (b["high"] + b["low"]) / 2
    numerator = sum((1 + count) * price.shift(count) for count in range(period))
    denominator = sum(price.shift(count) for count in range(period))
    return [-numerator / denominator]


def brar(b: pd.DataFrame, period: int) -> list[pd.Series]:
    """AR: sum(H - O) / sum(O - L); BR: sum(max(0, H - C[1])) / sum(max(0, C[1] - L)), in percent."""
    before = b["close"].shift()

    def share(up: pd.Series, down: pd.Series) -> pd.Series:
        return 100 * up.rolling(period).sum() / down.rolling(period).sum()

    ar = share(b["high"] - b["open"], b["open"] - b["low"])
    br = share((b["high"] - before).clip(lower=0), (before - b["low"]).clip(lower=0))
    return [ar, br]


def rvgi(b: pd.DataFrame, period: int) -> list[pd.Series]:
    """Ehlers, Relative Vigor Index (2002): both differences weighted 1, 2, 2, 1 over 6, then summed up."""

    def weighted(x: pd.Series) -> pd.Series:
        return (x + 2 * x.shift(1) + 2 * x.shift(2) + x.shift(3)) / 6

    numerator = weighted(b["close"] - b["open"]).rolling(period).sum()
    line = numerator / weighted(b["high"] - b["low"]).rolling(period).sum()
    return [line, weighted(line)]


def dpo_with_lookahead(b: pd.DataFrame, period: int, lookahead: bool) -> list[pd.Series]:
    """pandas-ta's centred DPO: (price of period / 2 + 1 bars ago - SMA), shown at that bar."""
    assert lookahead
    back = period // 2 + 1
    close = b["close"]
    return [(close.shift(back) - close.rolling(period).mean()).shift(-back)]


CASES: list[tuple[str, dict[str, Any], Formula]] = [
    ("cfo", {"period": 9}, cfo),
    ("cfo", {"period": 3}, cfo),
    ("cfo", {"period": 31}, cfo),
    ("pgo", {"period": 14}, pgo),
    ("pgo", {"period": 2}, pgo),
    ("cg", {"period": 10}, cg),
    ("cg", {"period": 2}, cg),
    ("cg", {"period": 45}, cg),
    ("brar", {"period": 26}, brar),
    ("brar", {"period": 9}, brar),
    ("rvgi", {"period": 10}, rvgi),
    ("rvgi", {"period": 3}, rvgi),
    ("dpo", {"period": 20, "lookahead": True}, dpo_with_lookahead),
    ("dpo", {"period": 3, "lookahead": True}, dpo_with_lookahead),
    ("dpo", {"period": 2, "lookahead": True}, dpo_with_lookahead),
]


@pytest.mark.parametrize(("name", "given", "formula"), CASES, ids=lambda v: v if isinstance(v, str) else None)
def test_as_published(name: str, given: dict[str, Any], formula: Formula) -> None:
    check_formula(name, given, BARS, lambda symbol, _p: formula(symbol, **given))


def test_no_way_down_is_no_value_and_no_way_at_all_is_zero() -> None:
    up = np.arange(1.0, 41.0)[:, None]
    ar, br = kernels.run("brar", [up, up + 1, up, up + 1], {"period": 5})
    assert np.isnan(ar).all()
    assert np.isnan(br).all()
    still = np.full((40, 1), 7.0)
    ar, br = kernels.run("brar", [still] * 4, {"period": 5})
    assert not ar[5:].any()
    assert not br[5:].any()
