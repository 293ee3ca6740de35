"""Passes over a panel that many indicators share.

A panel is a C-contiguous float64 array of shape (rows, symbols): the outer loop walks time, the inner one symbols, so
a recurrence in time runs as vector instructions across symbols. No column ever meets another: a panel of many symbols
gives, bit for bit, what each symbol gives alone.

NaN: a window is NaN if and only if it contains one; a recurrence is NaN from the first one on. Nothing is filled.

A compiled function calls none of another file: numba's cache would not notice a change of that file. (`fused` is one
instruction and no function.)
Loops write out indices and touch few arrays each, for that is what LLVM turns into vector code.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from worker.kernels.arithmetic import fused

Panel = NDArray[np.float64]


@njit(cache=True, nogil=True, error_model="numpy")
def exponential_average(x: Panel, first: int, period: int, out: Panel) -> None:
    """Write the exponential average of `x` into `out`, NaN before row `first`.

    Row `first` is the mean of the `period` rows that end there; from then on each row moves the average by
    2 / (period + 1) of its distance. Operations in TA-Lib's order (TA_INT_EMA).
    """
    rows, width = x.shape
    out[: min(first, rows)] = np.nan
    if first >= rows:
        return
    out[first] = 0.0
    for t in range(first - period + 1, first + 1):
        for j in range(width):
            out[first, j] += x[t, j]
    for j in range(width):
        out[first, j] /= period
    alpha = 2.0 / (period + 1)
    for t in range(first + 1, rows):
        for j in range(width):
            out[t, j] = fused(x[t, j] - out[t - 1, j], alpha, out[t - 1, j])


# Windows. The rows are cut into stretches of `period`; a window is the tail of one stretch and the head of the next
# (van Herk 1992, Gil and Werman 1993, there for maxima). Two additions per value and no subtraction: nothing drifts,
# and what has left a window, be it huge or NaN, leaves no trace. Sums are taken of distances from the first row of
# the later stretch, which lies in every window that ends there: distances are no larger than the window's own spread,
# so nothing cancels, and a window of equal values has exactly that mean and a deviation of exactly zero.


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_mean(x: Panel, period: int, out: Panel) -> None:
    """Write the mean of each window of `period` rows into `out`, NaN before the first full one."""
    rows, width = x.shape
    weight = 1.0 / period
    total = np.empty(width)
    for start in range(0, rows, period):
        end = min(start + period, rows)
        _tails(x, start, end, period, out)
        total[:] = 0.0
        for t in range(start, end):
            for j in range(width):
                total[j] += x[t, j] - x[start, j]
                out[t, j] = (out[t, j] + total[j]) * weight + x[start, j]


@njit(cache=True, nogil=True, error_model="numpy")
def rolling_moments(x: Panel, period: int, mean: Panel, deviation: Panel) -> None:
    """Write mean and population standard deviation of each window of `period` rows, NaN before the first full one.

    `mean` has the bits of `rolling_mean`.
    """
    rows, width = x.shape
    weight = 1.0 / period
    total = np.empty(width)
    for start in range(0, rows, period):
        end = min(start + period, rows)
        _tails_of_squares(x, start, end, period, deviation)
        total[:] = 0.0
        for t in range(start, end):
            for j in range(width):
                distance = x[t, j] - x[start, j]
                total[j] += distance * distance
                deviation[t, j] += total[j]
        _tails(x, start, end, period, mean)
        total[:] = 0.0
        for t in range(start, end):
            for j in range(width):
                total[j] += x[t, j] - x[start, j]
                mean[t, j] += total[j]
            for j in range(width):
                variance = (deviation[t, j] - mean[t, j] * mean[t, j] * weight) * weight
                # A rounding error below zero is zero; NaN stays NaN, as it would not with max().
                deviation[t, j] = np.sqrt(0.0 if variance < 0.0 else variance)  # noqa: FURB136
            for j in range(width):
                mean[t, j] = mean[t, j] * weight + x[start, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _tails(x: Panel, start: int, end: int, period: int, out: Panel) -> None:
    """For each row of a stretch, sum the distances in the part of its window that lies before the stretch.

    NaN where the window would begin before the data. Always added from the stretch backwards, so that a stretch that
    is not yet complete gives the same bits.
    """
    width = x.shape[1]
    last = end - 1
    out[last] = 0.0 if end >= period else np.nan
    if start == 0:
        out[:last] = np.nan
        return
    for t in range(start - 1, end - period - 1, -1):
        for j in range(width):
            out[last, j] += x[t, j] - x[start, j]
    for t in range(last - 1, start - 1, -1):
        for j in range(width):
            out[t, j] = out[t + 1, j] + (x[t - period + 1, j] - x[start, j])


@njit(cache=True, nogil=True, error_model="numpy")
def _tails_of_squares(x: Panel, start: int, end: int, period: int, out: Panel) -> None:
    """As `_tails`, for the squares of the distances."""
    width = x.shape[1]
    last = end - 1
    out[last] = 0.0 if end >= period else np.nan
    if start == 0:
        out[:last] = np.nan
        return
    for t in range(start - 1, end - period - 1, -1):
        for j in range(width):
            distance = x[t, j] - x[start, j]
            out[last, j] += distance * distance
    for t in range(last - 1, start - 1, -1):
        for j in range(width):
            distance = x[t - period + 1, j] - x[start, j]
            out[t, j] = out[t + 1, j] + distance * distance
