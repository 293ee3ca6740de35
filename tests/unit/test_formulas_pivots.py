"""Pivots by their definitions, in pandas and bar by bar."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.catalogue import CATALOGUE
from tests.oracles.bars import Series, walk
from tests.oracles.formulas import check_formula
from worker import kernels

BARS = walk(400, 1, 37)
OPEN, HIGH, LOW, CLOSE = (BARS[name][:, 0] for name in ("open", "high", "low", "close"))
DAYS = pd.to_datetime(BARS["date"][:, 0], unit="D")
ROWS = len(CLOSE)
Formula = Callable[[Mapping[str, Any]], list[Series]]


def levels(method: str, bar: pd.DataFrame, opens: pd.Series) -> list[Series]:
    """Pivot, resistances and supports as each author prints them; `opens` are those of the bars they are for."""
    o, h, l, c = bar["open"], bar["high"], bar["low"], bar["close"]  # noqa: E741
    span, none = h - l, pd.Series(np.nan, bar.index)
    match method:
        case "classic":
            p = (h + l + c) / 3
            up = [2 * p - l, p + span, h + 2 * (p - l), h + 3 * (p - l)]
            down = [2 * p - h, p - span, l - 2 * (h - p), l - 3 * (h - p)]
        case "woodie":
            p = (h + l + 2 * opens) / 4
            r3, s3 = h + 2 * (p - l), l - 2 * (h - p)
            up, down = [2 * p - l, p + span, r3, r3 + span], [2 * p - h, p - span, s3, s3 - span]
        case "fibonacci":
            p = (h + l + c) / 3
            up, down = ([*(p + sign * share * span for share in (0.382, 0.618, 1)), none] for sign in (1, -1))
        case "camarilla":
            p = (h + l + c) / 3
            up, down = ([c + sign * span * 1.1 / part for part in (12, 6, 4, 2)] for sign in (1, -1))
        case _:  # DeMark
            x = np.where(c < o, h + 2 * l + c, np.where(c > o, 2 * h + l + c, h + l + 2 * c))
            p = pd.Series(x / 4, bar.index)
            up, down = [x / 2 - l, none, none, none], [x / 2 - h, none, none, none]
    return [np.asarray(level) for level in (p, *up, *down)]


def bars_before(span: str) -> tuple[pd.DataFrame, pd.Series]:
    """The bar that each row's levels are made of, and the open of those they are for; the first week is not whole."""
    frame = pd.DataFrame({"open": OPEN, "high": HIGH, "low": LOW, "close": CLOSE})
    if span == "bar":
        return frame.shift(1), frame["open"]
    key = DAYS.to_period("W-FRI" if span == "week" else "M")
    whole = frame.groupby(key).agg({"open": "first", "high": "max", "low": "min", "close": "last"})
    opens = whole["open"].reindex(key).reset_index(drop=True)
    whole.iloc[0] = np.nan
    return whole.shift(1).reindex(key).reset_index(drop=True), opens


def _pivot_points(p: Mapping[str, Any]) -> list[Series]:
    before, opens = bars_before(p["span"])
    return levels(p["method"], before, opens.where(before["high"].notna()))


def _rolling_pivots(p: Mapping[str, Any]) -> list[Series]:
    """Stock.Indicators; but for DeMark's method, which looks at the window's own open."""
    period, shift = p["period"], 1 + p["offset"]
    frame = pd.DataFrame(
        {
            "open": pd.Series(OPEN).shift(period - 1 + shift),
            "high": pd.Series(HIGH).rolling(period).max().shift(shift),
            "low": pd.Series(LOW).rolling(period).min().shift(shift),
            "close": pd.Series(CLOSE).shift(shift),
        }
    )
    return levels(p["method"], frame, pd.Series(OPEN).where(frame["high"].notna()))


def _cpr(p: Mapping[str, Any]) -> list[Series]:
    """Ochoa."""
    before, _opens = bars_before(p["span"])
    pivot = (before["high"] + before["low"] + before["close"]) / 3
    bottom = (before["high"] + before["low"]) / 2
    ends = np.array([bottom, 2 * pivot - bottom])
    return [pivot.to_numpy(), ends.max(axis=0), ends.min(axis=0)]


def _fractal(p: Mapping[str, Any]) -> list[Series]:
    """Williams, window by window."""
    left, right = p["left_bars"], p["right_bars"]
    high, low = np.full(ROWS, np.nan), np.full(ROWS, np.nan)
    for t in range(left, ROWS - right):
        others = [n for n in range(t - left, t + right + 1) if n != t]
        row = t if p["lookahead"] else t + right
        high[row] = 100 * bool(HIGH[t] > HIGH[others].max())
        low[row] = 100 * bool(LOW[t] < LOW[others].min())
    return [high, low]


def _turns(p: Mapping[str, Any]) -> Iterator[tuple[int, int, float, int]]:
    """(row of the pivot, row on which it is known, price, direction from there), leg by leg."""
    high, low = (HIGH, LOW) if p["prices"] == "high_low" else (CLOSE, CLOSE)
    share = p["percent"] / 100
    for t in range(1, ROWS):
        rise, fall = high[t] / low[:t].min() - 1, 1 - low[t] / high[:t].max()
        if max(rise, fall) >= share:
            break
    at = int((t - 1 - np.argmin(low[:t][::-1])) if rise > fall else (t - 1 - np.argmax(high[:t][::-1])))
    direction = 1 if rise > fall else -1
    yield at, t, float(low[at] if direction == 1 else high[at]), direction
    start = t
    while True:
        ahead, behind = (high, low) if direction == 1 else (-low, -high)
        for t in range(start + 1, ROWS):
            best = ahead[start:t].max()
            if ahead[t] < best and (best - behind[t]) / abs(best) >= share:
                break
        else:
            return
        at = t - 1 - int(np.argmax(ahead[start:t][::-1]))
        direction = -direction
        yield at, t, abs(float(best)), direction
        start = t


def _zigzag(p: Mapping[str, Any]) -> list[Series]:
    pivot, direction = np.full(ROWS, np.nan), np.full(ROWS, np.nan)
    for at, known, value, way in _turns(p):
        rows = slice(at, at + 1) if p["lookahead"] else slice(known, None)
        pivot[rows], direction[rows] = value, way
    return [pivot, direction]


def _ichimoku(p: Mapping[str, Any]) -> list[Series]:
    def middle(period: int) -> pd.Series:
        return (pd.Series(HIGH).rolling(period).max() + pd.Series(LOW).rolling(period).min()) / 2

    ahead = p["displacement"]
    lines = [middle(p["conversion_period"]), middle(p["base_period"])]
    spans = [((lines[0] + lines[1]) / 2).shift(ahead), middle(p["span_period"]).shift(ahead)]
    chikou = pd.Series(CLOSE).shift(-ahead) if p["lookahead"] else pd.Series(np.nan, range(ROWS))
    lookback = CATALOGUE["ichimoku"].lookback(p)
    return [np.where(np.arange(ROWS) < lookback, np.nan, line) for line in (*lines, *spans, chikou)]


def _smc_sweep(p: Mapping[str, Any]) -> list[Series]:
    """As pandas-ta-classic documents it."""
    result = np.full(ROWS, np.nan)
    for t in range(p["period"], ROWS):
        window = slice(t - p["period"], t)
        low, high, body = LOW[window].min(), HIGH[window].max(), abs(CLOSE[t] - OPEN[t])
        rejects_low = min(OPEN[t], CLOSE[t]) - LOW[t] > p["multiplier"] * body and CLOSE[t] > OPEN[t]
        rejects_high = HIGH[t] - max(OPEN[t], CLOSE[t]) > p["multiplier"] * body and CLOSE[t] < OPEN[t]
        result[t] = bool(LOW[t] < low < CLOSE[t] and rejects_low) - bool(HIGH[t] > high > CLOSE[t] and rejects_high)
    return [result]


METHODS = CATALOGUE["pivot_points"].params[0].choices
FORMULAS: Mapping[str, tuple[Formula, list[dict[str, Any]]]] = {
    "pivot_points": (
        _pivot_points,
        [{"method": method, "span": span} for method in METHODS for span in ("bar", "week", "month")],
    ),
    "rolling_pivots": (
        _rolling_pivots,
        [{}, {"period": 1, "offset": 3}, *({"period": 7, "offset": 2, "method": method} for method in METHODS)],
    ),
    "cpr": (_cpr, [{}, {"span": "week"}, {"span": "month"}]),
    "fractal": (
        _fractal,
        [
            {"lookahead": True},
            {"left_bars": 1, "right_bars": 4, "lookahead": True},
            {"left_bars": 20, "right_bars": 3, "lookahead": True},
            {"left_bars": 5, "right_bars": 2},
        ],
    ),
    "zigzag": (
        _zigzag,
        [
            {"percent": percent, "prices": prices, "lookahead": lookahead}
            for percent in (2.0, 5.0, 12.5)
            for prices in ("close", "high_low")
            for lookahead in (False, True)
        ],
    ),
    "ichimoku": (
        _ichimoku,
        [
            {},
            {"lookahead": True},
            {"conversion_period": 30, "base_period": 3, "span_period": 10, "displacement": 5},
        ],
    ),
    "smc_sweep": (_smc_sweep, [{}, {"period": 3, "multiplier": 0.2}, {"period": 5, "multiplier": 0.0}]),
}
CASES = [(name, given) for name, (_formula, grid) in FORMULAS.items() for given in grid]


@pytest.mark.parametrize(("name", "given"), CASES)
def test_as_defined(name: str, given: dict[str, Any]) -> None:
    check_formula(name, given, BARS, lambda _symbol, p: FORMULAS[name][0](p))


def test_the_bars_turn_and_sweep() -> None:
    """Else the formulas above would show little."""
    many = 5
    assert len(list(_turns(CATALOGUE["zigzag"].defaults))) > many
    assert set(_smc_sweep({"period": 3, "multiplier": 0.2})[0][3:]) == {-1.0, 0.0, 1.0}


def test_camarilla_worked_example() -> None:
    """High 110, low 100, close 105: r1 to r4 lie 1.1 * 10 / 12, 6, 4 and 2 above the close."""
    day = {"open": 104.0, "high": 110.0, "low": 100.0, "close": 105.0, "date": 18_000.0}
    spec = CATALOGUE["pivot_points"]
    params = spec.read_params({"method": "camarilla"})
    outputs = kernels.run("pivot_points", [np.full((2, 1), day[name]) for name in spec.inputs], params)
    found = [out[1, 0] for out in outputs]
    np.testing.assert_allclose(found[:5], [105.0, 105.916667, 106.833333, 107.75, 110.5], rtol=1e-7)
    np.testing.assert_allclose(found[5:], [104.083333, 103.166667, 102.25, 99.5], rtol=1e-7)


@pytest.mark.parametrize("span", ["week", "month"])
def test_levels_hold_for_a_whole_period_over_many_years(span: str) -> None:
    """They change where pandas begins a new week or month, leap years and the turn of a century included."""
    days = np.arange(-40_000, 60_000, 1.0)
    params = CATALOGUE["cpr"].read_params({"span": span})
    x = np.arange(len(days), dtype=float)[:, None]
    pivot = kernels.run("cpr", [x, x, x, days[:, None]], params)[0][:, 0]
    key = pd.PeriodIndex(pd.to_datetime(days, unit="D"), freq="W-FRI" if span == "week" else "M")
    begins = np.flatnonzero(key[1:] != key[:-1]) + 1
    np.testing.assert_array_equal(np.flatnonzero(np.diff(np.nan_to_num(pivot))) + 1, begins[1:])
