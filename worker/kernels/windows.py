"""Passes over windows of `period` rows. Row period - 1 is the first full one; rows before it mean nothing.

The rows are cut into stretches of `period`; a window is the tail of one stretch and the head of the next (van Herk
1992, Gil and Werman 1993, there for maxima). Two operations per value and no subtraction: nothing drifts, and what has
left a window leaves no trace. Sums are taken of distances from the first row of the later stretch, which lies in every
window that ends there: distances are no larger than the window's own spread, so nothing cancels, and a window of equal
values has exactly that mean and a deviation of exactly zero.

Loops write out indices and touch few arrays each, for that is what LLVM turns into vector code; some take two rows at a
time, since entering an inner loop costs as much as a fifth of it. A compiled function calls none of another file:
numba's cache would not notice a change of that file. None works in place.
"""

import numpy as np
from numba import njit

from worker.kernels.arithmetic import larger, smaller
from worker.kernels.panels import Panel, Row

_SHORT = 4
"""Up to this many rows it is quicker to add them up one by one."""
_TILE = 2048


def rolling_sum(x: Panel, period: int, out: Panel) -> None:
    """Sum of each window."""
    rolling_mean(x, period, out)
    np.multiply(out[period - 1 :], float(period), out=out[period - 1 :])


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_mean(x: Panel, period: int, out: Panel) -> None:
    """Mean of each window."""
    rows, width = x.shape
    if rows < period:
        return
    if period <= _SHORT:
        _short_mean(x.reshape(rows * width), period, width, out.reshape(rows * width))
        return
    if width == 1:
        _mean_of_one(x, period, out)
        return
    weight = 1.0 / period
    total = np.zeros(width)
    for t in range(period):
        for j in range(width):
            total[j] += x[t, j] - x[0, j]
    for j in range(width):
        out[period - 1, j] = total[j] * weight + x[0, j]
    for start in range(period, rows, period):
        end = min(start + period, rows)
        # The part of each window that lies before the stretch, summed from the stretch backwards, so that a stretch
        # that is not yet complete gives the same bits.
        total[:] = 0.0
        for t in range(start - 1, end - period - 1, -1):
            for j in range(width):
                total[j] += x[t, j] - x[start, j]
        out[end - 1] = total
        t = end - 2
        while t > start:
            for j in range(width):
                tail = out[t + 1, j] + (x[t - period + 1, j] - x[start, j])
                out[t, j] = tail
                out[t - 1, j] = tail + (x[t - period, j] - x[start, j])
            t -= 2
        if t == start:
            for j in range(width):
                out[t, j] = out[t + 1, j] + (x[t - period + 1, j] - x[start, j])
        total[:] = 0.0
        t = start
        while t < end - 1:
            for j in range(width):
                base = x[start, j]
                first = total[j] + (x[t, j] - base)
                second = first + (x[t + 1, j] - base)
                out[t, j] = (out[t, j] + first) * weight + base
                out[t + 1, j] = (out[t + 1, j] + second) * weight + base
                total[j] = second
            t += 2
        if t < end:
            for j in range(width):
                out[t, j] = (out[t, j] + (total[j] + (x[t, j] - x[start, j]))) * weight + x[start, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _short_mean(x: Row, period: int, width: int, out: Row) -> None:
    """The same of a few rows, one by one, in tiles that stay in the cache. The row before lies `width` cells before."""
    weight = 1.0 / period
    for start in range((period - 1) * width, len(x), _TILE):
        end = min(start + _TILE, len(x))
        mean, latest = out[start:end], x[start:end]
        mean[:] = 0.0
        for k in range(1, period):
            before = x[start - k * width : end - k * width]
            for i in range(end - start):
                mean[i] += before[i] - latest[i]
        for i in range(end - start):
            mean[i] = mean[i] * weight + latest[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_of_one(x: Panel, period: int, out: Panel) -> None:
    """The same operations on one column; the stretch that may be cut short comes last, for itself."""
    rows, weight = len(x), 1.0 / period
    before = np.zeros(period)
    for start in range(0, rows - period, period):
        stretch, mean = x[start : start + period, 0], out[start : start + period, 0]
        base, total = stretch[0], 0.0
        for i in range(period):
            total += stretch[i] - base
            mean[i] = (before[i] + total) * weight + base
        base, total = x[start + period, 0], 0.0
        for i in range(period - 1, 0, -1):
            total += stretch[i] - base
            before[i - 1] = total
        before[period - 1] = 0.0
    start = (rows - 1) // period * period
    base, total = x[start, 0], 0.0
    for i in range(rows - start):
        total += x[start + i, 0] - base
        out[start + i, 0] = (before[i] + total) * weight + base


@njit(cache=True, nogil=True, error_model="numpy")
def mean_of_means(x: Panel, inner: int, outer: int, between: Panel, out: Panel) -> None:
    """Mean of each `outer` means of `inner` rows, from row inner + outer - 2 on. One column needs no panel between."""
    if x.shape[1] == 1:
        between = np.empty_like(x)
    rolling_mean(x, inner, between)
    rolling_mean(between[inner - 1 :], outer, out[inner - 1 :])


_VARIANCE, _DEVIATION, _BANDS = 0, 1, 2


def rolling_variance(x: Panel, period: int, weight: float, mean: Panel, out: Panel) -> None:
    """Mean of each window, with the bits of `rolling_mean`, and `weight` times its squared distances from it."""
    _moments(x, period, _VARIANCE, weight, 1.0, mean, out, out)


def rolling_moments(x: Panel, period: int, mean: Panel, deviation: Panel) -> None:
    """Mean of each window, with the bits of `rolling_mean`, and population standard deviation."""
    _moments(x, period, _DEVIATION, 1.0 / period, 1.0, mean, deviation, deviation)


def rolling_bands(x: Panel, period: int, multiplier: float, middle: Panel, upper: Panel, lower: Panel) -> None:
    """Mean of each window, and lines at `multiplier` population standard deviations above and below it."""
    _moments(x, period, _BANDS, 1.0 / period, multiplier, middle, upper, lower)


@njit(cache=True, nogil=True, error_model="numpy")
def _moments(
    x: Panel, period: int, what: int, weight: float, multiplier: float, mean: Panel, out: Panel, lower: Panel
) -> None:
    """Mean and, by `what`, variance, deviation or bands. Sums over tails wait in `mean` and `out` for their heads."""
    rows, width = x.shape
    if rows < period:
        return
    share = 1.0 / period
    if width == 1:
        _moments_of_one(x, period, weight, mean, out)
    else:
        total, square = np.zeros(width), np.zeros(width)
        mean[: period - 1] = 0.0
        out[: period - 1] = 0.0
    for start in range(0, rows if width > 1 else 0, period):
        end = min(start + period, rows)
        if start:
            total[:] = 0.0
            square[:] = 0.0
            for t in range(start - 1, end - period, -1):
                for j in range(width):
                    distance = x[t, j] - x[start, j]
                    total[j] += distance
                    square[j] += distance * distance
            latest, earliest = min(start - 1, end - period), start - period + 1
            for t in range(latest, earliest, -2):
                for j in range(width):
                    one, two = x[t, j] - x[start, j], x[t - 1, j] - x[start, j]
                    first, first_square = total[j] + one, square[j] + one * one
                    second, second_square = first + two, first_square + two * two
                    mean[t + period - 1, j] = first
                    mean[t + period - 2, j] = second
                    out[t + period - 1, j] = first_square
                    out[t + period - 2, j] = second_square
                    total[j] = second
                    square[j] = second_square
            if (latest - earliest) % 2 == 0:
                for j in range(width):
                    distance = x[earliest, j] - x[start, j]
                    mean[earliest + period - 1, j] = total[j] + distance
                    out[earliest + period - 1, j] = square[j] + distance * distance
        if end == start + period:
            mean[end - 1] = 0.0
            out[end - 1] = 0.0
        total[:] = 0.0
        square[:] = 0.0
        for t in range(start, end):
            for j in range(width):
                distance = x[t, j] - x[start, j]
                total[j] += distance
                square[j] += distance * distance
                s = mean[t, j] + total[j]
                out[t, j] = larger((out[t, j] + square[j]) - s * s * share, 0.0) * weight
                mean[t, j] = s * share + x[start, j]
            # While the row is at hand; a root in the loop above would keep it from running as vectors.
            if what == _BANDS:
                for j in range(width):
                    reach = np.sqrt(out[t, j]) * multiplier
                    out[t, j] = mean[t, j] + reach
                    lower[t, j] = mean[t, j] - reach
            elif what == _DEVIATION:
                for j in range(width):
                    out[t, j] = np.sqrt(out[t, j])
    if width == 1:
        for t in range(rows if what != _VARIANCE else 0):
            reach = np.sqrt(out[t, 0])
            out[t, 0] = mean[t, 0] + reach * multiplier if what == _BANDS else reach
            if what == _BANDS:
                lower[t, 0] = mean[t, 0] - reach * multiplier


@njit(cache=True, nogil=True, error_model="numpy")
def _moments_of_one(x: Panel, period: int, weight: float, mean: Panel, out: Panel) -> None:
    """Mean and variance by the same operations on one column; the stretch that may be cut short comes last."""
    rows, share = len(x), 1.0 / period
    sums, squares = np.zeros(period), np.zeros(period)
    for start in range(0, rows, period):
        end = min(start + period, rows)
        stretch, means, variances = x[start:end, 0], mean[start:end, 0], out[start:end, 0]
        base, total, square = stretch[0], 0.0, 0.0
        for i in range(end - start):
            distance = stretch[i] - base
            total += distance
            square += distance * distance
            means[i] = sums[i] + total
            variances[i] = squares[i] + square
        for i in range(end - start):
            s = means[i]
            variances[i] = larger(variances[i] - s * s * share, 0.0) * weight
            means[i] = s * share + base
        if end == rows:
            break
        base, total, square = x[end, 0], 0.0, 0.0
        for i in range(period - 1, 0, -1):
            distance = stretch[i] - base
            total += distance
            square += distance * distance
            sums[i - 1] = total
            squares[i - 1] = square
        sums[period - 1] = squares[period - 1] = 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_max(x: Panel, period: int, out: Panel) -> None:
    """Greatest value of each window."""
    rows, width = x.shape
    if rows < period:
        return
    best = np.empty(width)
    best[:] = x[0]
    for t in range(1, period):
        for j in range(width):
            best[j] = larger(x[t, j], best[j])
    out[period - 1] = best
    for start in range(period, rows, period):
        end = min(start + period, rows)
        if width == 1:
            one = -np.inf
            for t in range(start - 1, end - period - 1, -1):
                one = larger(x[t, 0], one)
            out[end - 1, 0] = one
            for t in range(end - 2, start - 1, -1):
                one = larger(x[t - period + 1, 0], one)
                out[t, 0] = one
            one = -np.inf
            for t in range(start, end):
                one = larger(x[t, 0], one)
                out[t, 0] = larger(one, out[t, 0])
            continue
        best[:] = -np.inf
        for t in range(start - 1, end - period - 1, -1):
            for j in range(width):
                best[j] = larger(x[t, j], best[j])
        out[end - 1] = best
        t = end - 2
        while t > start:
            for j in range(width):
                tail = larger(x[t - period + 1, j], out[t + 1, j])
                out[t, j] = tail
                out[t - 1, j] = larger(x[t - period, j], tail)
            t -= 2
        if t == start:
            for j in range(width):
                out[t, j] = larger(x[t - period + 1, j], out[t + 1, j])
        best[:] = -np.inf
        t = start
        while t < end - 1:
            for j in range(width):
                first = larger(x[t, j], best[j])
                second = larger(x[t + 1, j], first)
                out[t, j] = larger(first, out[t, j])
                out[t + 1, j] = larger(second, out[t + 1, j])
                best[j] = second
            t += 2
        if t < end:
            for j in range(width):
                out[t, j] = larger(larger(x[t, j], best[j]), out[t, j])


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_min(x: Panel, period: int, out: Panel) -> None:
    """Least value of each window."""
    rows, width = x.shape
    if rows < period:
        return
    best = np.empty(width)
    best[:] = x[0]
    for t in range(1, period):
        for j in range(width):
            best[j] = smaller(x[t, j], best[j])
    out[period - 1] = best
    for start in range(period, rows, period):
        end = min(start + period, rows)
        if width == 1:
            one = np.inf
            for t in range(start - 1, end - period - 1, -1):
                one = smaller(x[t, 0], one)
            out[end - 1, 0] = one
            for t in range(end - 2, start - 1, -1):
                one = smaller(x[t - period + 1, 0], one)
                out[t, 0] = one
            one = np.inf
            for t in range(start, end):
                one = smaller(x[t, 0], one)
                out[t, 0] = smaller(one, out[t, 0])
            continue
        best[:] = np.inf
        for t in range(start - 1, end - period - 1, -1):
            for j in range(width):
                best[j] = smaller(x[t, j], best[j])
        out[end - 1] = best
        t = end - 2
        while t > start:
            for j in range(width):
                tail = smaller(x[t - period + 1, j], out[t + 1, j])
                out[t, j] = tail
                out[t - 1, j] = smaller(x[t - period, j], tail)
            t -= 2
        if t == start:
            for j in range(width):
                out[t, j] = smaller(x[t - period + 1, j], out[t + 1, j])
        best[:] = np.inf
        t = start
        while t < end - 1:
            for j in range(width):
                first = smaller(x[t, j], best[j])
                second = smaller(x[t + 1, j], first)
                out[t, j] = smaller(first, out[t, j])
                out[t + 1, j] = smaller(second, out[t + 1, j])
                best[j] = second
            t += 2
        if t < end:
            for j in range(width):
                out[t, j] = smaller(smaller(x[t, j], best[j]), out[t, j])
