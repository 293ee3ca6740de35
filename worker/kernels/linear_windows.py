"""Passes over windows whose weights run along lines: linear, triangular, Hull's average of such, a line less a mean.

As in `windows.py`, whose scheme they follow: rows before the first full window are left undefined, none works in place,
and a window of equal values has exactly that mean.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worker.kernels.arithmetic import fused
from worker.kernels.panels import Panel
from worker.kernels.windows import mean_of_means

_Cells = NDArray[np.float64]

_SHORT = 6
"""Up to this many rows it is quicker to add them up one by one."""
_TILE = 2048


def triangular_mean(x: Panel, period: int, out: Panel, between: Panel) -> None:
    """Mean of means, the two lengths adding up to `period` + 1 (TA-Lib TRIMA)."""
    inner = (period + 1) // 2
    outer = period + 1 - inner
    mean_of_means(x, inner, outer, between, out)


@njit(cache=True, nogil=True, error_model="numpy")
def linear_mean(x: Panel, period: int, out: Panel) -> None:
    """Mean of each window with weights 1, 2, ... `period`, from row period - 1 on. Not in place.

    Windows are put together as in `windows.py`. Before the stretch each row adds the sum up to itself, so that weights
    grow by one per row; inside it `behind` adds up how much less than `period` each row weighs. Two rows at a time, for
    sums that go through memory half as often make it half as fast again.
    """
    rows, width = x.shape
    if period <= _SHORT:
        _short_linear_mean(x.reshape(rows * width), period, width, out.reshape(rows * width))
        return
    if width == 1:
        _linear_mean_of_one(x, period, out)
        return
    weight, whole = 2.0 / (period * (period + 1.0)), float(period)
    total, behind = np.zeros(width), np.zeros(width)
    out[:period] = 0.0
    for start in range(0, rows, period):
        end = min(start + period, rows)
        if start > 0:
            total[:] = 0.0
            behind[:] = 0.0
            for t in range(start - 1, end - period, -1):
                for j in range(width):
                    total[j] += x[t, j] - x[start, j]
                    behind[j] += total[j]
            latest, earliest = min(start - 1, end - period), start - period + 1
            for t in range(latest, earliest, -2):
                for j in range(width):
                    near = total[j] + (x[t, j] - x[start, j])
                    far = near + (x[t - 1, j] - x[start, j])
                    out[t + period - 1, j] = behind[j] + near
                    behind[j] += near
                    behind[j] += far
                    out[t + period - 2, j] = behind[j]
                    total[j] = far
            if (latest - earliest) % 2 == 0:
                for j in range(width):
                    out[earliest + period - 1, j] = behind[j] + (total[j] + (x[earliest, j] - x[start, j]))
            if end == start + period:
                out[end - 1] = 0.0
        total[:] = 0.0
        behind[:] = 0.0
        for t in range(start, end - 1, 2):
            for j in range(width):
                base, before = x[start, j], behind[j] + total[j]
                near = total[j] + (x[t, j] - base)
                far = near + (x[t + 1, j] - base)
                out[t, j] = (whole * near - before + out[t, j]) * weight + base
                behind[j] = before + near
                out[t + 1, j] = (whole * far - behind[j] + out[t + 1, j]) * weight + base
                total[j] = far
        if (end - start) % 2 == 1:
            for j in range(width):
                base, before = x[start, j], behind[j] + total[j]
                near = total[j] + (x[end - 1, j] - base)
                out[end - 1, j] = (whole * near - before + out[end - 1, j]) * weight + base


@njit(cache=True, nogil=True, error_model="numpy")
def _short_linear_mean(x: _Cells, period: int, width: int, out: _Cells) -> None:
    """The same of a few rows, one by one. The value of the row before lies `width` cells before.

    Sums distances from the latest row, in tiles that stay in the cache.
    """
    weight = 2.0 / (period * (period + 1.0))
    for start in range((period - 1) * width, len(x), _TILE):
        end = min(start + _TILE, len(x))
        mean, latest = out[start:end], x[start:end]
        mean[:] = latest
        for k in range(1, period, 2):
            share, next_share = (period - k) * weight, (period - k - 1) * weight
            back, further = k * width, min(k + 1, period - 1) * width  # the last of an even number goes without a share
            before, earlier = x[start - back : end - back], x[start - further : end - further]
            for i in range(end - start):
                mean[i] = fused(earlier[i] - latest[i], next_share, fused(before[i] - latest[i], share, mean[i]))


@njit(cache=True, nogil=True, error_model="numpy")
def _linear_mean_of_one(x: Panel, period: int, out: Panel) -> None:
    """The same operations on one column; the stretch that may be cut short comes last, for itself."""
    rows = len(x)
    weight, whole = 2.0 / (period * (period + 1.0)), float(period)
    before = np.zeros(period)
    for start in range(0, rows - period, period):
        stretch, mean = x[start : start + period, 0], out[start : start + period, 0]
        base, total, behind = stretch[0], 0.0, 0.0
        for i in range(period):
            behind += total
            total += stretch[i] - base
            mean[i] = (whole * total - behind + before[i]) * weight + base
        base, total, behind = x[start + period, 0], 0.0, 0.0
        for i in range(period - 1, 0, -1):
            total += stretch[i] - base
            behind += total
            before[i - 1] = behind
        before[period - 1] = 0.0
    start = (rows - 1) // period * period
    base, total, behind = x[start, 0], 0.0, 0.0
    for i in range(rows - start):
        behind += total
        total += x[start + i, 0] - base
        out[start + i, 0] = (whole * total - behind + before[i]) * weight + base


@njit(cache=True, nogil=True, error_model="numpy")
def hull_mean(x: Panel, period: int, root: int, out: Panel, between: Panel) -> None:
    """Linear mean, over `root` rows, of twice the linear mean of half the window less that of all of it."""
    first = period - 1
    if x.shape[1] == 1:
        between = np.empty_like(x)
    linear_mean(x, period, between)
    linear_mean(x, period // 2, out)
    for t in range(first, len(x)):
        for j in range(x.shape[1]):
            between[t, j] = 2.0 * out[t, j] - between[t, j]
    linear_mean(between[first:], root, out[first:])


@njit(cache=True, nogil=True, error_model="numpy")
def less_mean(line: Panel, x: Panel, period: int, out: Panel) -> None:
    """`line` less the mean of each window of `x`. `out` is neither of them."""
    rows, width = x.shape
    weight = 1.0 / period
    if width == 1:
        before = np.zeros(period)
        for start in range(0, rows, period):
            count, base, reach = min(period, rows - start), x[start, 0], 0.0
            for i in range(count):
                reach += x[start + i, 0] - base
                out[start + i, 0] = (before[i] + reach) * weight + base
            if start + period < rows:
                base, reach = x[start + period, 0], 0.0
                for i in range(period - 1, 0, -1):
                    reach += x[start + i, 0] - base
                    before[i - 1] = reach
        values, means = line.reshape(rows), out.reshape(rows)
        for t in range(rows):
            means[t] = values[t] - means[t]
        return
    total = np.zeros(width)
    out[:period] = 0.0
    for start in range(0, rows, period):
        end = min(start + period, rows)
        if start:
            total[:] = 0.0
            for t in range(start - 1, end - period - 1, -1):
                for j in range(width):
                    total[j] += x[t, j] - x[start, j]
            out[end - 1] = total
            for t in range(end - 2, start, -2):
                for j in range(width):
                    tail = out[t + 1, j] + (x[t - period + 1, j] - x[start, j])
                    out[t, j] = tail
                    out[t - 1, j] = tail + (x[t - period, j] - x[start, j])
            if (end - start) % 2 == 0:
                for j in range(width):
                    out[start, j] = out[start + 1, j] + (x[start - period + 1, j] - x[start, j])
        total[:] = 0.0
        for t in range(start, end - 1, 2):
            for j in range(width):
                base = x[start, j]
                first = total[j] + (x[t, j] - base)
                second = first + (x[t + 1, j] - base)
                out[t, j] = line[t, j] - ((out[t, j] + first) * weight + base)
                out[t + 1, j] = line[t + 1, j] - ((out[t + 1, j] + second) * weight + base)
                total[j] = second
        if (end - start) % 2 == 1:
            for j in range(width):
                base, last = x[start, j], total[j] + (x[end - 1, j] - x[start, j])
                out[end - 1, j] = line[end - 1, j] - ((out[end - 1, j] + last) * weight + base)
