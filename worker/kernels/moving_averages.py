"""Moving averages."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from common.catalogue.averages import ma_lookback
from common.catalogue.spec import Params
from worker.kernels import recurrences
from worker.kernels.arithmetic import fused, larger, smaller
from worker.kernels.cycles import mama_lines
from worker.kernels.linear_windows import hull_mean, linear_mean, triangular_mean
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.windows import rolling_mean

_KAMA_FAST, _KAMA_SLOW = 2 / 3, 2 / 31
_MAMA_LIMITS = 0.5, 0.05

_FEW = 12
"""As long as so few columns of a panel have a length, each is averaged by itself."""
_LANES = 64
"""Places in which one column is searched at once."""


def _t3_weights(v: float) -> NDArray[np.float64]:
    """Weights of the six exponential averages: those of (1 + v) e - v e(e) three times over (Tillson 1998)."""
    return np.array([0.0, 0.0, (1 + v) ** 3, -3 * v * (1 + v) ** 2, 3 * v**2 * (1 + v), -(v**3)])


_DEMA = np.array([2.0, -1.0, 0.0, 0.0, 0.0, 0.0])
_TEMA = np.array([3.0, -3.0, 1.0, 0.0, 0.0, 0.0])
_T3 = _t3_weights(0.7)


@njit(cache=True, nogil=True, error_model="numpy")
def zero_lag_mean(x: Panel, period: int, out: Panel) -> None:
    """Exponential average of the values, each moved on by its change over half the window."""
    rows, width = x.shape
    lag, alpha = (period - 1) // 2, 2.0 / (period + 1)
    first = lag + period - 1
    state = np.zeros(width)
    if rows <= first:
        return
    for t in range(lag, first + 1):
        for j in range(width):
            state[j] += x[t, j] - x[t - lag, j] + x[t, j]
    for j in range(width):
        state[j] /= period
        out[first, j] = state[j]
    if width == 1:
        value = state[0]
        for t in range(first + 1, rows):
            value = fused(x[t, 0] - x[t - lag, 0] + x[t, 0] - value, alpha, value)
            out[t, 0] = value
        return
    for t in range(first + 1, rows):
        for j in range(width):
            state[j] = fused(x[t, j] - x[t - lag, j] + x[t, j] - state[j], alpha, state[j])
            out[t, j] = state[j]


@njit(cache=True, nogil=True, error_model="numpy")
def cascade(x: Panel, period: int, depth: int, weights: NDArray[np.float64], out: Panel) -> None:
    """Sum by `weights` of exponential averages one of another, `depth` of them, from row depth * (period - 1) on.

    Each is seeded with the mean of its first `period` rows. There are six weights, 0 for those beyond `depth`: a level
    without weight costs less than a loop of its own.
    """
    rows, width = x.shape
    alpha, step = 2.0 / (period + 1), period - 1
    level = np.zeros((6, width))
    for t in range(min(depth * step + 1, rows)):
        for k in range(min(t // step + 1, depth)):
            if t - k * step <= step:
                for j in range(width):
                    level[k, j] += x[t, j] if k == 0 else level[k - 1, j]
                if t - k * step == step:
                    for j in range(width):
                        level[k, j] /= period
            else:
                for j in range(width):
                    value = x[t, j] if k == 0 else level[k - 1, j]
                    level[k, j] = fused(value - level[k, j], alpha, level[k, j])
    first = depth * step
    of_a, of_b, of_c, of_d, of_e, of_f = weights[0], weights[1], weights[2], weights[3], weights[4], weights[5]
    if rows <= first:
        return
    for j in range(width):
        total = level[0, j] * of_a + level[1, j] * of_b + level[2, j] * of_c
        out[first, j] = total + (level[3, j] * of_d + level[4, j] * of_e + level[5, j] * of_f)
    if width == 1:
        a, b, c, d, e, f = level[0, 0], level[1, 0], level[2, 0], level[3, 0], level[4, 0], level[5, 0]
        for t in range(first + 1, rows):
            a = fused(x[t, 0] - a, alpha, a)
            b = fused(a - b, alpha, b)
            c = fused(b - c, alpha, c)
            d = fused(c - d, alpha, d)
            e = fused(d - e, alpha, e)
            f = fused(e - f, alpha, f)
            out[t, 0] = a * of_a + b * of_b + c * of_c + (d * of_d + e * of_e + f * of_f)
        return
    if depth <= 3:  # noqa: PLR2004 - as many as this loop has
        for t in range(first + 1, rows):
            for j in range(width):
                a = fused(x[t, j] - level[0, j], alpha, level[0, j])
                b = fused(a - level[1, j], alpha, level[1, j])
                c = fused(b - level[2, j], alpha, level[2, j])
                level[0, j], level[1, j], level[2, j] = a, b, c
                out[t, j] = a * of_a + b * of_b + c * of_c
        return
    for t in range(first + 1, rows):
        for j in range(width):
            a = fused(x[t, j] - level[0, j], alpha, level[0, j])
            b = fused(a - level[1, j], alpha, level[1, j])
            c = fused(b - level[2, j], alpha, level[2, j])
            d = fused(c - level[3, j], alpha, level[3, j])
            e = fused(d - level[4, j], alpha, level[4, j])
            f = fused(e - level[5, j], alpha, level[5, j])
            level[0, j], level[1, j], level[2, j], level[3, j], level[4, j], level[5, j] = a, b, c, d, e, f
            out[t, j] = a * of_a + b * of_b + c * of_c + (d * of_d + e * of_e + f * of_f)


@njit(cache=True, nogil=True, error_model="numpy")
def _pace(progress: float, way: float, slow: float, span: float) -> float:
    """Weight of a value in Kaufman's average: all of the way is progress where there was none."""
    weight = smaller(progress / way, 1.0) * span + slow
    return weight * weight


@njit(cache=True, nogil=True, error_model="numpy")
def kaufman_mean(x: Panel, period: int, fast: float, slow: float, out: Panel) -> None:
    """Move from row period - 1 of `x` on, at a pace between `slow` and `fast`, from row `period` on. Not in place.

    The way gone in the last `period` steps is put together as in `windows.py`; the part before a stretch lies in `out`.
    """
    rows, width = x.shape
    span = fast - slow
    if width == 1:
        _kaufman_mean_of_one(x, period, slow, span, out)
        return
    way, state = np.zeros(width), x[period - 1].copy()
    for t in range(1, period + 1):
        for j in range(width):
            way[j] += abs(x[t, j] - x[t - 1, j])
    for j in range(width):
        pace = _pace(abs(x[period, j] - x[0, j]), way[j], slow, span)
        state[j] = fused(x[period, j] - state[j], pace, state[j])
        out[period, j] = state[j]
    for start in range(period + 1, rows, period):
        end = min(start + period, rows)
        way[:] = 0.0
        for t in range(start - 1, end - period, -1):
            for j in range(width):
                way[j] += abs(x[t, j] - x[t - 1, j])
        for t in range(min(start - 1, end - period), start - period, -1):
            for j in range(width):
                way[j] += abs(x[t, j] - x[t - 1, j])
                out[t + period - 1, j] = way[j]
        if end == start + period:
            out[end - 1] = 0.0
        way[:] = 0.0
        for t in range(start, end):
            for j in range(width):
                way[j] += abs(x[t, j] - x[t - 1, j])
                pace = _pace(abs(x[t, j] - x[t - period, j]), way[j] + out[t, j], slow, span)
                state[j] = fused(x[t, j] - state[j], pace, state[j])
                out[t, j] = state[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _kaufman_mean_of_one(x: Panel, period: int, slow: float, span: float, out: Panel) -> None:
    """The same operations on one column."""
    rows = len(x)
    value, before, steps = x[period - 1, 0], np.zeros(period), np.empty(period)
    for start in range(1, rows, period):
        count = min(period, rows - start)
        for i in range(count):
            steps[i] = abs(x[start + i, 0] - x[start + i - 1, 0])
        way = 0.0
        for i in range(count):
            way += steps[i]
            t = start + i
            if t >= period:
                pace = _pace(abs(x[t, 0] - x[t - period, 0]), way + before[i], slow, span)
                value = fused(x[t, 0] - value, pace, value)
                out[t, 0] = value
        way = 0.0
        for i in range(count - 1, 0, -1):
            way += steps[i]
            before[i - 1] = way
        before[period - 1] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _extremes(x: Panel, ends: Panel) -> tuple[float, float]:
    """Least and greatest value; those of each column in the two rows of `ends`."""
    cells, width = x.reshape(x.size), x.shape[1]
    lanes = width if width > 1 else _LANES
    low, high = np.full(lanes, np.inf), np.full(lanes, -np.inf)
    lines = x.size // lanes
    whole = lines * lanes
    table = cells[:whole].reshape(lines, lanes)
    for t in range(lines):
        for i in range(lanes):
            low[i] = smaller(table[t, i], low[i])
            high[i] = larger(table[t, i], high[i])
    least, greatest = np.inf, -np.inf
    for i in range(lanes):
        least, greatest = smaller(low[i], least), larger(high[i], greatest)
    for i in range(whole, x.size):
        least, greatest = smaller(cells[i], least), larger(cells[i], greatest)
    if width == 1:
        low[0], high[0] = least, greatest
    ends[0], ends[1] = low[:width], high[:width]
    return least, greatest


@njit(cache=True, nogil=True, error_model="numpy")
def _mark(periods: Panel, ends: Panel, shortest: int, longest: int, found: NDArray[np.bool_]) -> None:
    """Set `found` (length less `shortest`, column) where a column, whose `ends` are known, has a length."""
    rows, width = periods.shape
    least, most = float(shortest), float(longest)
    for j in range(width):
        first, last = int(larger(smaller(ends[0, j], most), least)), int(larger(smaller(ends[1, j], most), least))
        found[first - shortest, j] = True
        if first < last:
            for t in range(rows):
                found[int(larger(smaller(periods[t, j], most), least)) - shortest, j] = True


@njit(cache=True, nogil=True, error_model="numpy")
def _pick(mean: Panel, periods: Panel, lowest: float, beyond: float, out: Panel) -> None:
    """Copy `mean` where the length is at least `lowest` and below `beyond`."""
    rows, width = periods.shape
    for t in range(rows):
        for j in range(width):
            here = lowest <= periods[t, j] < beyond
            out[t, j] = mean[t, j] if here else out[t, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _pick_of_column(mean: Panel, periods: Panel, column: int, lowest: float, beyond: float, out: Panel) -> None:
    """The same of one column, of which `mean` is the average."""
    for t in range(len(periods)):
        if lowest <= periods[t, column] < beyond:
            out[t, column] = mean[t, 0]


_AVERAGES: Mapping[str, Callable[[Panel, int, Panel, Panel], None]] = {
    "sma": lambda x, period, out, _between: rolling_mean(x, period, out),
    "ema": lambda x, period, out, _between: recurrences.ema(x, period, out),
    "wma": lambda x, period, out, _between: linear_mean(x, period, out),
    "dema": lambda x, period, out, _between: cascade(x, period, 2, _DEMA, out),
    "tema": lambda x, period, out, _between: cascade(x, period, 3, _TEMA, out),
    "trima": triangular_mean,
    "kama": lambda x, period, out, _between: kaufman_mean(x, period, _KAMA_FAST, _KAMA_SLOW, out),
    "mama": lambda x, _period, out, between: mama_lines(x, *_MAMA_LIMITS, out, between),
    "t3": lambda x, period, out, _between: cascade(x, period, 6, _T3, out),
    "hma": lambda x, period, out, between: hull_mean(x, period, int(period**0.5), out, between),
    "rma": lambda x, period, out, _between: recurrences.wilder(x, period, out),
    "zlema": lambda x, period, out, _between: zero_lag_mean(x, period, out),
}
_BETWEEN = {"mama": 1, "trima": 2, "hma": 2}
"""Kinds that need a panel for what lies between, from this width on; for one column they find room by themselves."""


def average(kind: str, x: Panel, period: int, out: Panel, scratch: Scratch) -> None:
    """The moving average `kind` (one of `common.catalogue.averages.MA_TYPES`) of `x`, from row ma_lookback() on.

    What comes before is left undefined. `x` has a value in each row and may not be `out`.
    """
    _average(kind, x, period, out, scratch.panel()[: len(x)] if x.shape[1] >= _BETWEEN.get(kind, math.inf) else out)


def _average(kind: str, x: Panel, period: int, out: Panel, between: Panel) -> None:
    """As `average`, with the panel that the kinds in _BETWEEN need."""
    if period <= 1:
        out[:] = x
    else:
        _AVERAGES[kind](x, period, out, between)


def _of_kind(kind: str) -> Kernel:
    """The kernel of an average that has a period and no more."""

    def kernel(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
        average(kind, inputs[0], int(p["period"]), outputs[0], scratch)

    return kernel


def t3(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Tillson's average (TA-Lib T3)."""
    cascade(inputs[0], int(p["period"]), 6, _t3_weights(float(p["volume_factor"])), outputs[0])


def kama(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Kaufman's adaptive average (TA-Lib KAMA)."""
    fast, slow = 2.0 / (int(p["fast_period"]) + 1), 2.0 / (int(p["slow_period"]) + 1)
    kaufman_mean(inputs[0], int(p["period"]), fast, slow, outputs[0])


def ma(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Average of a kind that is chosen (TA-Lib MA)."""
    average(str(p["ma_type"]), inputs[0], int(p["period"]), outputs[0], scratch)


def mavp(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Average of a length that changes (TA-Lib MAVP): one per length that comes up, each seeded as late as can be."""
    (x, periods), (out,) = inputs, outputs
    kind, least, most = str(p["ma_type"]), int(p["min_period"]), int(p["max_period"])
    first = ma_lookback(kind, most)
    periods = periods[first:]
    ends = np.empty((2, x.shape[1]))
    shortest, longest = (int(min(max(length, least), most)) for length in _extremes(periods, ends))
    usual = shortest
    if shortest < longest:
        found = np.zeros((longest - shortest + 1, x.shape[1]), np.bool_)
        _mark(periods, ends, shortest, longest, found)
        counts = found.sum(axis=1)
        usual += int(counts.argmax())
    begin = first - ma_lookback(kind, usual)
    average(kind, x[begin:], usual, out[begin:], scratch)
    if shortest == longest:
        return
    mean, between = scratch.panel(), scratch.panel()
    for length in (np.flatnonzero(counts) + shortest).tolist():
        if length == usual:
            continue
        begin = first - ma_lookback(kind, length)
        bounds = -np.inf if length == least else float(length), np.inf if length == most else length + 1.0
        columns = np.flatnonzero(found[length - shortest])
        if len(columns) > _FEW:
            _average(kind, x[begin:], length, mean[begin:], between[begin:])
            _pick(mean[first:], periods, *bounds, out[first:])
            continue
        one, more = (panel.reshape(-1, 1)[: len(x) - begin] for panel in (mean, between))
        for column in columns.tolist():
            _average(kind, x[begin:, column : column + 1].copy(), length, one, more)
            _pick_of_column(one[first - begin :], periods, column, *bounds, out[first:])


_PLAIN = ("sma", "ema", "wma", "dema", "tema", "trima", "hma", "rma", "zlema")

KERNELS: Mapping[str, Kernel] = {
    **{kind: _of_kind(kind) for kind in _PLAIN},
    "t3": t3,
    "kama": kama,
    "ma": ma,
    "mavp": mavp,
}
