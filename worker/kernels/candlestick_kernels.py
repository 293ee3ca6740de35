"""Candlestick patterns of many symbols at once: a small machine that runs the definitions of candlestick_rules.py.

TA-Lib looks at one bar after the other and leaves at the first condition that fails, a jump the processor cannot
foresee. Here each condition is checked for a row of symbols at once, as vector code. Values, averages and their order
of operations are TA-Lib's, so that even ties come out the same.

All numbers stand in one flat array, in stretches of LANES: the series of the last _ROUND bars, the bars in a circle,
and behind them averages and sums. Indices are unsigned, for numba lets a signed one count from the end, and a loop
writes to one array and reads from others, for otherwise LLVM could not know that it may work on symbols side by side.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worker.kernels.arithmetic import larger, smaller
from worker.kernels.panels import Panel

LANES = 64
_ROUND = 16
"""Bars kept of each series: a power of two that takes in the fourth bar ago and the ten before that one."""

SERIES = (
    "open",
    "high",
    "low",
    "close",
    "top",
    "bottom",
    "body",
    "upper",
    "lower",
    "twice",
    "range",
    "shadows",
    "middle",
)
"""Of a bar: prices, ends of the body, its size, both shadows, twice the body, high - low, both shadows' sum, middle."""
_COUNT = len(SERIES)
_1, _2, _3, _4, _5, _6, _7, _8, _9, _10, _11, _12 = (np.uint64(n * LANES) for n in range(1, _COUNT))
FIXED = _COUNT * _ROUND
"""First operand that is no series."""

Integers = NDArray[np.int64]


class Program(NamedTuple):
    """A pattern for the machine. An operand is series * 16 + bars ago, or FIXED + the place of an average or sum."""

    averages: Integers
    """Series, bars ago, period and operand of each average."""
    factors: Panel
    """What each average is multiplied with, one after the other."""
    sums: Integers
    """Operand, first and second addend of each sum."""
    weights: Panel
    """What each second addend is multiplied with; an infinity stands for the penetration."""
    conditions: Integers
    """Four conditions a row: four operands, four that are to be greater, and 1 where they may be equal."""
    rules: Integers
    """First and last + 1 row of conditions, and value, of each rule; the first are the conditions of all rules."""
    operands: int


def series_operand(series: str, ago: int) -> int:
    return SERIES.index(series) * _ROUND + ago


@njit(cache=True, nogil=True, error_model="numpy")
def _derive(o: Panel, h: Panel, l: Panel, c: Panel, t: int, start: int, lanes: np.uint64, x: Panel) -> None:  # noqa: E741
    """Write all series of row `t` to their rows of `x`, which lie at constant distances."""
    bar, at, first = np.uint64(t), np.uint64(start), np.uint64((t & (_ROUND - 1)) * _COUNT * LANES)
    for j in range(lanes):
        opened, high, low, close = o[bar, at + j], h[bar, at + j], l[bar, at + j], c[bar, at + j]
        top, bottom, body, span = larger(opened, close), smaller(opened, close), abs(close - opened), high - low
        upper, lower = high - top, bottom - low
        place = first + j
        x[place], x[place + _1], x[place + _2], x[place + _3] = opened, high, low, close
        x[place + _4], x[place + _5], x[place + _6], x[place + _7] = top, bottom, body, upper
        x[place + _8], x[place + _9], x[place + _10], x[place + _11] = lower, 2.0 * body, span, upper + lower
        x[place + _12] = low + span / 2.0


@njit(cache=True, nogil=True, error_model="numpy")
def _place(operand: int, t: int) -> np.uint64:
    """Where the numbers of an operand begin at row `t`."""
    if operand >= FIXED:
        return np.uint64(operand * LANES)
    series, ago = operand // _ROUND, operand & (_ROUND - 1)
    return np.uint64((((t - ago) & (_ROUND - 1)) * _COUNT + series) * LANES)


@njit(cache=True, nogil=True, error_model="numpy")
def _check(conditions: Integers, first: int, last: int, t: int, x: Panel, found: Panel, lanes: np.uint64) -> bool:
    """Zero `found` where a condition of the rows fails; whether anything is left."""
    for n in range(first, last):
        a0, a1 = _place(conditions[n, 0], t), _place(conditions[n, 1], t)
        a2, a3 = _place(conditions[n, 2], t), _place(conditions[n, 3], t)
        b0, b1 = _place(conditions[n, 4], t), _place(conditions[n, 5], t)
        b2, b3 = _place(conditions[n, 6], t), _place(conditions[n, 7], t)
        left = False
        if conditions[n, 8] != 0:
            for j in range(lanes):
                one = (x[a0 + j] <= x[b0 + j]) & (x[a1 + j] <= x[b1 + j])
                two = (x[a2 + j] <= x[b2 + j]) & (x[a3 + j] <= x[b3 + j])
                found[j] = found[j] if one & two else 0.0
                left |= found[j] != 0.0
        else:
            for j in range(lanes):
                one = (x[a0 + j] < x[b0 + j]) & (x[a1 + j] < x[b1 + j])
                two = (x[a2 + j] < x[b2 + j]) & (x[a3 + j] < x[b3 + j])
                found[j] = found[j] if one & two else 0.0
                left |= found[j] != 0.0
        if not left:
            return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def find(
    opened: Panel,
    high: Panel,
    low: Panel,
    close: Panel,
    first: int,
    penetration: float,
    out: Panel,
    averages: Integers,
    factors: Panel,
    sums: Integers,
    weights: Panel,
    conditions: Integers,
    rules: Integers,
    operands: int,
) -> None:
    """Run a Program from row `first` on. Later rules go before earlier ones."""
    rows, width = out.shape
    x, totals = np.zeros(operands * LANES), np.zeros((len(averages) + 1) * LANES)
    term, common, found, result = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    for start in range(0, width, LANES):
        lanes = np.uint64(min(LANES, width - start))
        for t in range(rows):
            _derive(opened, high, low, close, t, start, lanes, x)
            if t < first:
                continue
            for n in range(len(averages)):
                of, ago, period, operand = averages[n]
                total, level = np.uint64(n * LANES), _place(operand, t)
                if t == first:
                    for j in range(lanes):
                        totals[total + j] = 0.0
                    for back in range(ago + period, ago, -1):
                        new = _place(of * _ROUND + back, t)
                        for j in range(lanes):
                            totals[total + j] += x[new + j]
                factor, share = factors[n, 0], factors[n, 1]
                for j in range(lanes):
                    x[level + j] = factor * (totals[total + j] / period) * share
            for n in range(len(sums)):
                weight = penetration * np.sign(weights[n]) if np.isinf(weights[n]) else weights[n]
                place, a, b = _place(sums[n, 0], t), _place(sums[n, 1], t), _place(sums[n, 2], t)
                for j in range(lanes):
                    term[j] = x[a + j] + weight * x[b + j]
                for j in range(lanes):
                    x[place + j] = term[j]
            for j in range(lanes):
                common[j] = 1.0
                result[j] = 0.0
            some = _check(conditions, rules[0, 0], rules[0, 1], t, x, common, lanes)
            for n in range(1, len(rules) if some else 1):
                value = float(rules[n, 2])
                for j in range(lanes):
                    found[j] = value * common[j]
                if _check(conditions, rules[n, 0], rules[n, 1], t, x, found, lanes):
                    for j in range(lanes):
                        result[j] = found[j] if found[j] != 0.0 else result[j]
            bar, at = np.uint64(t), np.uint64(start)
            for j in range(lanes):
                out[bar, at + j] = result[j]
            for n in range(len(averages)):
                of, ago, period, _ = averages[n]
                total, new = np.uint64(n * LANES), _place(of * _ROUND + ago, t)
                old = _place(of * _ROUND + ago + period, t)
                for j in range(lanes):
                    totals[total + j] += x[new + j] - x[old + j]


@njit(cache=True, nogil=True, error_model="numpy")
def confirm(high: Panel, low: Panel, close: Panel, first: int, out: Panel) -> None:
    """Double what follows a pattern in `out` where, within three bars, the first close beyond the bar before it is.

    A bullish pattern wants a close above that bar's high, a bearish one below its low; each is confirmed once at most.
    """
    rows, width = out.shape
    left, worth, level = np.zeros(width), np.zeros(width), np.zeros(width)
    for t in range(first, rows):
        h, l, c, row = high[t - 1], low[t - 1], close[t], out[t]  # noqa: E741
        for j in range(width):
            new = row[j] != 0.0
            beyond = ((worth[j] > 0.0) & (c[j] > level[j])) | ((worth[j] < 0.0) & (c[j] < level[j]))
            confirmed = (left[j] > 0.0) & beyond
            before = 0.0 if confirmed else left[j] - 1.0
            extreme = h[j] if row[j] > 0.0 else l[j]
            old = 2.0 * worth[j] if confirmed else 0.0
            left[j] = 3.0 if new else before
            level[j] = extreme if new else level[j]
            worth[j] = row[j] if new else worth[j]
            row[j] = row[j] if new else old
