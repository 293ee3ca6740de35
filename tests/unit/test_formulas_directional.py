"""Directional movement as Wilder's book has it, worked through bar by bar, and what TA-Lib has no single call for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.oracles.bars import walk
from tests.oracles.formulas import check_formula
from worker import kernels

BARS = walk(200, 3, 31)


def accumulated(moves: pd.Series, period: int, first: int) -> pd.Series:
    """Wilder's sums (1978): of the first `period` - 1 moves; then one part in `period` leaves as each enters."""
    total = moves.iloc[1:period].sum()
    totals = {period - 1: total}
    for t in range(period, len(moves)):
        total = total - total / period + moves.iloc[t]
        totals[t] = total
    return pd.Series(totals).reindex(moves.index).where(moves.index >= first)


def movement(bars: pd.DataFrame) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Upward and downward movement and true range of each bar."""
    up, down = bars["high"].diff(), -bars["low"].diff()
    before = bars["close"].shift()
    spans = [bars["high"] - bars["low"], (bars["high"] - before).abs(), (bars["low"] - before).abs()]
    return (
        up.where((up > down) & (up > 0), 0),
        down.where((down > up) & (down > 0), 0),
        pd.concat(spans, axis=1).max(axis=1),
    )


def dm(bars: pd.DataFrame, period: int) -> list[pd.Series]:
    plus, minus, _ = movement(bars)
    return [accumulated(each, period, period - 1) for each in (plus, minus)]


def di(bars: pd.DataFrame, period: int) -> list[pd.Series]:
    plus, minus, span = (accumulated(each, period, period) for each in movement(bars))
    return [100 * plus / span, 100 * minus / span]


def dx(bars: pd.DataFrame, period: int) -> list[pd.Series]:
    """From the indicators: the true range does not cancel here."""
    plus, minus = di(bars, period)
    return [100 * (plus - minus).abs() / (plus + minus)]


FORMULAS = {"dm": dm, "di": di, "dx": dx}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("given", [{}, {"period": 3}, {"period": 40}], ids=str)
def test_as_wilder(name: str, given: Mapping[str, Any]) -> None:
    check_formula(name, given, BARS, lambda symbol, p: FORMULAS[name](symbol, int(p["period"])))


def test_of_equal_extremes_the_latest_counts() -> None:
    """As in TA-Lib: whichever side of a stretch they lie on."""
    random = np.random.default_rng(3)
    high = np.rint(random.normal(10, 1.5, (400, 2)))
    period = 7
    down, up = kernels.run("aroon", [high, high - 1], {"period": period})
    for t in range(period, len(high)):
        for column in range(2):
            window = high[t - period : t + 1, column][::-1]
            assert up[t, column] == pytest.approx(100 * (period - np.argmax(window)) / period)
            assert down[t, column] == pytest.approx(100 * (period - np.argmin(window)) / period)
