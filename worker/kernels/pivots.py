"""Levels that bars leave behind, and the turning points among them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from common.catalogue.spec import Params
from worker.kernels.arithmetic import larger, smaller
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.windows import rolling_max, rolling_min

Series = NDArray[np.float64]
"""All values of a panel, row by row."""

_DISTANCES: Mapping[str, Sequence[tuple[float, float]]] = {
    "classic": ((0, 1), (1, 0), (1, 1), (1, 2)),
    "fibonacci": ((0.382, 0), (0.618, 0), (1, 0)),
    "camarilla": ((1.1 / 12, 0), (1.1 / 6, 0), (1.1 / 4, 0), (1.1 / 2, 0)),
    "woodie": ((0, 1), (1, 0), (1, 1), (2, 1)),
    "demark": ((0, 1),),
}
"""How far each level is from the middle: in ranges of the period, and in distances of its far end from the pivot."""


def pivot_points(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Of the bar before, or of the week or month before."""
    method, span = str(p["method"]), str(p["span"])
    if span == "bar":
        opened, high, low, close, _date = inputs
        opened = opened[1:] if method == "woodie" else opened[:-1]
        _levels(method, opened, high[:-1], low[:-1], close[:-1], [out[1:] for out in outputs])
    else:
        opened, high, low, close = _bars_before(inputs, span, method == "woodie", scratch)
        _levels(method, opened, high, low, close, outputs)


def rolling_pivots(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Of a window that ends before the bar."""
    (opened, high, low, close), highest, lowest = inputs, scratch.panel(), scratch.panel()
    method, period, offset = str(p["method"]), int(p["period"]), int(p["offset"])
    first, ends = period + offset, len(close) - 1 - offset
    rolling_max(high[:ends], period, highest[1 + offset :])
    rolling_min(low[:ends], period, lowest[1 + offset :])
    opened = opened[first:] if method == "woodie" else opened[: len(opened) - first]
    levels = [out[first:] for out in outputs]
    _levels(method, opened, highest[first:], lowest[first:], close[period - 1 : ends], levels)


def cpr(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Between the middle of the range and its mirror image at the pivot."""
    (high, low, close, date), span = inputs, str(p["span"])
    if span == "bar":
        _central(high[:-1], low[:-1], close[:-1], *(out[1:] for out in outputs))
    else:
        _unused, high, low, close = _bars_before((close, high, low, close, date), span, False, scratch)
        _central(high, low, close, *outputs)


def _bars_before(bars: Sequence[Panel], span: str, open_of_this: bool, scratch: Scratch) -> Sequence[Panel]:
    """Open, high, low and close of the span before that of each row; see `_period_before`."""
    opened, high, low, close, date = bars
    before = first, highest, lowest, last = scratch.panel(), scratch.panel(), scratch.panel(), scratch.panel()
    _period_before(opened, high, low, close, date, span == "month", open_of_this, first, highest, lowest, last)
    return before


def _levels(method: str, opened: Panel, high: Panel, low: Panel, close: Panel, outputs: Sequence[Panel]) -> None:
    """The pivot and the levels that `method` has, in the order r1 to r4, s1 to s4."""
    pivot, levels = outputs[0], outputs[1:]
    match method:
        case "woodie":
            np.add(opened, opened, out=pivot)
            pivot += high
            pivot += low
            pivot /= 4.0
        case "demark":
            _demark_pivot(opened, high, low, close, pivot)
        case _:
            np.add(high, low, out=pivot)
            pivot += close
            pivot /= 3.0
    middle = close if method == "camarilla" else pivot
    distances = _DISTANCES[method]
    for (ranges, reaches), above, below in zip(distances, levels[:4], levels[4:], strict=False):
        _pair(middle, pivot, high, low, float(ranges), float(reaches), above, below)
    for n in range(len(distances), 4):
        levels[n][:] = np.nan
        levels[4 + n][:] = np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _pair(
    middle: Panel, pivot: Panel, high: Panel, low: Panel, ranges: float, reaches: float, above: Panel, below: Panel
) -> None:
    """Write the resistance `above` and the support `below`."""
    rows, width = pivot.shape
    for t in range(rows):
        for j in range(width):
            reach = ranges * (high[t, j] - low[t, j])
            above[t, j] = middle[t, j] + (reach + reaches * (pivot[t, j] - low[t, j]))
            below[t, j] = middle[t, j] - (reach + reaches * (high[t, j] - pivot[t, j]))


@njit(cache=True, nogil=True, error_model="numpy")
def _demark_pivot(opened: Panel, high: Panel, low: Panel, close: Panel, pivot: Panel) -> None:
    """Write a quarter of high + low + close and, once more, the end the period closed towards."""
    rows, width = pivot.shape
    for t in range(rows):
        for j in range(width):
            o, c = opened[t, j], close[t, j]
            end = high[t, j] if c > o else (low[t, j] if c < o else c)
            pivot[t, j] = (high[t, j] + low[t, j] + c + end) / 4.0


@njit(cache=True, nogil=True, error_model="numpy")
def _central(high: Panel, low: Panel, close: Panel, pivot: Panel, top: Panel, bottom: Panel) -> None:
    """Write the pivot and the two ends of the range in their order."""
    rows, width = pivot.shape
    for t in range(rows):
        for j in range(width):
            middle = (high[t, j] + low[t, j]) / 2.0
            value = (high[t, j] + low[t, j] + close[t, j]) / 3.0
            mirrored = value - middle + value
            pivot[t, j] = value
            top[t, j] = larger(mirrored, middle)
            bottom[t, j] = smaller(mirrored, middle)


@njit(cache=True, nogil=True, error_model="numpy")
def _number_of_period(day: float, months: bool) -> int:
    """The month or week of a day since 1970-01-01, a Thursday; weeks end on Friday, as weekly bars do.

    Months are counted from March of year 0, so that leap days come last in a year and a month's first day is
    (153 * month + 2) // 5 (Howard Hinnant, chrono-Compatible Low-Level Date Algorithms).
    """
    if not months:
        return (int(day) + 5) // 7
    days = int(day) + 719468
    era = days // 146097
    days -= era * 146097
    year = (days - days // 1460 + days // 36524 - days // 146096) // 365
    days -= 365 * year + year // 4 - year // 100
    return (era * 400 + year) * 12 + (5 * days + 2) // 153


@njit(cache=True, nogil=True, error_model="numpy")
def _period_before(
    opened: Panel,
    high: Panel,
    low: Panel,
    close: Panel,
    date: Panel,
    months: bool,
    open_of_this: bool,
    before_open: Panel,
    before_high: Panel,
    before_low: Panel,
    before_close: Panel,
) -> None:
    """Write, for each row, the week or month before its own as one bar; NaN where its beginning is not among the rows.

    `open_of_this` asks for the open of the row's own period instead.
    """
    rows, width = close.shape
    number = np.empty(width, np.int64)
    first_open, highest, lowest = np.full(width, np.nan), np.full(width, np.nan), np.full(width, np.nan)
    for j in range(width):
        number[j] = _number_of_period(date[0, j], months)
    before_open[0] = np.nan
    before_high[0] = np.nan
    before_low[0] = np.nan
    before_close[0] = np.nan
    for t in range(1, rows):
        usual = _number_of_period(date[t, 0], months)
        for j in range(width):
            # The same day in all columns, as a rule.
            now = usual if date[t, j] == date[t, 0] else _number_of_period(date[t, j], months)
            if now != number[j]:
                number[j] = now
                before_open[t, j] = opened[t, j] if open_of_this else first_open[j]
                before_high[t, j], before_low[t, j] = highest[j], lowest[j]
                before_close[t, j] = close[t - 1, j]
                first_open[j], highest[j], lowest[j] = opened[t, j], high[t, j], low[t, j]
            else:
                before_open[t, j] = before_open[t - 1, j]
                before_high[t, j], before_low[t, j] = before_high[t - 1, j], before_low[t - 1, j]
                before_close[t, j] = before_close[t - 1, j]
                # Those of the first period, whose beginning nobody knows, are NaN and stay it.
                highest[j], lowest[j] = larger(high[t, j], highest[j]), smaller(low[t, j], lowest[j])


def fractal(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Williams' fractals (TA-Lib FRACTAL), on the bar that confirms them or, by looking ahead, on their own."""
    (high, low), rows = inputs, len(inputs[0])
    left, right, lookahead = int(p["left_bars"]), int(p["right_bars"]), bool(p["lookahead"])
    known = slice(left, rows - right) if lookahead else slice(left + right, None)
    flags = [out[known].reshape(-1) for out in outputs]
    if rows > left + right and max(left, right) <= _FEW:
        _fractals(high, low, left, right, flags[0], flags[1])
    elif rows > left + right:
        before, after = scratch.panel(), scratch.panel()
        for x, extreme, keep, out in zip(
            inputs, (rolling_max, rolling_min), (_keep_above, _keep_below), flags, strict=True
        ):
            extreme(x, left, before)
            extreme(x, right, after)
            of, around = x[left : rows - right], (before[left - 1 : rows - right - 1], after[left + right :])
            keep(of.reshape(-1), around[0].reshape(-1), around[1].reshape(-1), True, out)
    if lookahead:
        for out in outputs:
            out[max(rows - right, 0) :] = np.nan


_FEW = 16
"""Bars to a side that are quicker to compare one by one than by way of their extremes."""
_BLOCK = 1024
"""Values that stay in a processor's nearest cache while their neighbours are compared with them."""


@njit(cache=True, nogil=True, error_model="numpy")
def _fractals(high: Panel, low: Panel, left: int, right: int, swing_high: Series, swing_low: Series) -> None:
    """Write 100 or 0 for each row that has `left` rows before and `right` rows after it.

    A row before or after is a place a number of values before or after in memory, whatever the width.
    """
    x, y, width = high.reshape(-1), low.reshape(-1), high.shape[1]
    for start in range(0, swing_high.size, _BLOCK):
        peaks, troughs = swing_high[start : start + _BLOCK], swing_low[start : start + _BLOCK]
        middle = start + left * width
        for k in range(1, max(left, right) + 1):
            # The outermost row of the shorter side comes up more than once, which changes nothing.
            before, after = middle - min(k, left) * width, middle + min(k, right) * width
            _keep_above(x[middle:], x[before:], x[after:], k == 1, peaks)
            _keep_below(y[middle:], y[before:], y[after:], k == 1, troughs)


@njit(cache=True, nogil=True, error_model="numpy")
def _keep_above(x: Series, before: Series, after: Series, first: bool, flags: Series) -> None:
    """Take flags away, at `first` all set, where `x` is not above its neighbours."""
    for i in range(flags.size):
        flag = 100.0 if first else flags[i]
        flags[i] = flag if (x[i] > before[i]) & (x[i] > after[i]) else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _keep_below(x: Series, before: Series, after: Series, first: bool, flags: Series) -> None:
    """The same where `x` is not below them."""
    for i in range(flags.size):
        flag = 100.0 if first else flags[i]
        flags[i] = flag if (x[i] < before[i]) & (x[i] < after[i]) else 0.0


def zigzag(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Turning points of moves above a threshold."""
    (high, low, close), (pivot, direction) = inputs, outputs
    if p["prices"] == "close":
        high = low = close
    _zigzag(high, low, float(p["percent"]) / 100.0, bool(p["lookahead"]), pivot, direction)


@njit(cache=True, nogil=True, error_model="numpy")
def _zigzag(high: Panel, low: Panel, threshold: float, lookahead: bool, pivot: Panel, direction: Panel) -> None:
    """Write the last confirmed pivot and the direction from there; with `lookahead` on the pivots' own rows alone."""
    rows, width = high.shape
    up, down = 1.0 + threshold, 1.0 - threshold
    way = np.zeros(width)
    top, bottom = high[0].copy(), low[0].copy()
    top_at, bottom_at = np.zeros(width, np.int64), np.zeros(width, np.int64)
    pivot[:] = np.nan
    direction[:] = np.nan
    for t in range(1, rows):
        for j in range(width):
            h, l = high[t, j], low[t, j]  # noqa: E741 - the field's own terms
            # Of a bar with a new extreme nobody knows which end came first: it turns nothing.
            rose = way[j] <= 0.0 and h >= bottom[j] * up and (way[j] == 0.0 or l > bottom[j])
            fell = way[j] >= 0.0 and l <= top[j] * down and (way[j] == 0.0 or h < top[j])
            if rose and fell:
                rose = (h - bottom[j]) * top[j] > (top[j] - l) * bottom[j]
                fell = not rose
            if rose or fell:
                way[j] = 1.0 if rose else -1.0
                row = (bottom_at[j] if rose else top_at[j]) if lookahead else t
                pivot[row, j] = bottom[j] if rose else top[j]
                direction[row, j] = way[j]
            elif not lookahead:
                pivot[t, j] = pivot[t - 1, j]
                direction[t, j] = direction[t - 1, j]
            if rose or h >= top[j]:
                top[j] = h
                top_at[j] = t
            if fell or l <= bottom[j]:
                bottom[j] = l
                bottom_at[j] = t


def ichimoku(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Middles of three windows, two of them displaced forward."""
    (high, low, close), (conversion, base, span_a, span_b, chikou) = inputs, outputs
    ahead, lowest = int(p["displacement"]), scratch.panel()
    then = len(close) - ahead
    _middle(high, low, int(p["conversion_period"]), conversion, lowest)
    _middle(high, low, int(p["base_period"]), base, lowest)
    _middle(high[:then], low[:then], int(p["span_period"]), span_b[ahead:], lowest[ahead:])
    np.add(conversion[:then], base[:then], out=span_a[ahead:])
    span_a[ahead:] *= 0.5
    chikou[:] = np.nan
    if p["lookahead"]:
        chikou[:then] = close[ahead:]


def _middle(high: Panel, low: Panel, period: int, out: Panel, lowest: Panel) -> None:
    """Middle of the range of each window."""
    rolling_max(high, period, out)
    rolling_min(low, period, lowest)
    rows = slice(period - 1, None)
    out[rows] += lowest[rows]
    out[rows] *= 0.5


def smc_sweep(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Bars that take out the extreme of the window before them and close back inside."""
    (opened, high, low, close), highest, lowest = inputs, scratch.panel(), scratch.panel()
    period = int(p["period"])
    rolling_max(high[:-1], period, highest[1:])
    rolling_min(low[:-1], period, lowest[1:])
    o, h, l, c, top, bottom = (panel[period:] for panel in (opened, high, low, close, highest, lowest))  # noqa: E741
    _sweep(o, h, l, c, top, bottom, float(p["multiplier"]), outputs[0][period:])


@njit(cache=True, nogil=True, error_model="numpy")
def _sweep(
    opened: Panel, high: Panel, low: Panel, close: Panel, highest: Panel, lowest: Panel, multiplier: float, out: Panel
) -> None:
    """Write 1 for a sweep of `lowest`, -1 for one of `highest`, else 0."""
    rows, width = close.shape
    for t in range(rows):
        for j in range(width):
            o, h, l, c = opened[t, j], high[t, j], low[t, j], close[t, j]  # noqa: E741
            body = abs(c - o) * multiplier
            up = (l < lowest[t, j]) & (c > lowest[t, j]) & (c > o) & (smaller(o, c) - l > body)
            down = (h > highest[t, j]) & (c < highest[t, j]) & (c < o) & (h - larger(o, c) > body)
            out[t, j] = 1.0 if up else (-1.0 if down else 0.0)


KERNELS: Mapping[str, Kernel] = {
    "pivot_points": pivot_points,
    "rolling_pivots": rolling_pivots,
    "cpr": cpr,
    "fractal": fractal,
    "zigzag": zigzag,
    "ichimoku": ichimoku,
    "smc_sweep": smc_sweep,
}
