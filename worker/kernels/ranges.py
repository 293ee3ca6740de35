"""The place of a price in the range of its window. Windows are put together as in `windows.py`."""

import numpy as np
from numba import njit

from worker.kernels.arithmetic import larger
from worker.kernels.panels import Panel, Row

_NOTHING = 1e-14
"""TA-Lib's zero (TA_EPSILON): less than this counts as nothing."""


@njit(cache=True, nogil=True, error_model="numpy")
def place_in_range(high: Panel, low: Panel, x: Panel, period: int, from_top: int, out: Panel, least: Panel) -> None:
    """Distance of `x` from the bottom (or the top) of the window's range, in percent of the range.

    Extremes are found stretch by stretch, and wait in `out` and `least` for the rest of theirs. What it writes before
    row period - 1 means nothing.
    """
    rows, width = x.shape
    if width == 1:
        _extremes_of_one(high.ravel(), low.ravel(), period, out.ravel(), least.ravel())
        _place(x.ravel(), from_top, out.ravel(), least.ravel())
        return
    most = np.empty(width)
    for start in range(0, rows, period):
        end = min(start + period, rows)
        _peaks(high, 1.0, start, period, most, out[start:end])
        _peaks(low, -1.0, start, period, most, least[start:end])
        _place(x[start:end].ravel(), from_top, out[start:end].ravel(), least[start:end].ravel())


@njit(cache=True, nogil=True, error_model="numpy")
def _peaks(x: Panel, sign: float, start: int, period: int, most: Row, peaks: Panel) -> None:
    """Greatest `sign` * x of the windows that end in a stretch, that of `peaks`, which begins in row `start`.

    Two rows at a time, as in `windows.rolling_max`.
    """
    count, width = peaks.shape
    most[:] = -np.inf
    peaks[:] = -np.inf
    if start:
        for t in range(start - 1, start + count - period - 1, -1):
            for j in range(width):
                most[j] = larger(sign * x[t, j], most[j])
        peaks[count - 1] = most
        most[:] = -np.inf
        i, back = count - 2, start - period + 1
        while i > 0:
            for j in range(width):
                tail = larger(sign * x[back + i, j], peaks[i + 1, j])
                peaks[i, j] = tail
                peaks[i - 1, j] = larger(sign * x[back + i - 1, j], tail)
            i -= 2
        if i == 0:
            for j in range(width):
                peaks[0, j] = larger(sign * x[back, j], peaks[1, j])
    for i in range(0, count - 1, 2):
        for j in range(width):
            first = larger(sign * x[start + i, j], most[j])
            second = larger(sign * x[start + i + 1, j], first)
            peaks[i, j] = larger(first, peaks[i, j])
            peaks[i + 1, j] = larger(second, peaks[i + 1, j])
            most[j] = second
    if count % 2:
        for j in range(width):
            peaks[count - 1, j] = larger(larger(sign * x[start + count - 1, j], most[j]), peaks[count - 1, j])


@njit(cache=True, nogil=True, error_model="numpy")
def _extremes_of_one(high: Row, low: Row, period: int, most: Row, least: Row) -> None:
    """Highest and (negative) lowest values of each window of one symbol.

    Windows are twice as long with each pass, and passes over time run as vector instructions. As
    `price_transform.extremes_of_one`, which compiled code of another file may not call.
    """
    rows = len(high)
    tops, bottoms = np.empty((2, rows)), np.empty((2, rows))
    tops[0] = high
    for i in range(rows):
        bottoms[0, i] = -low[i]
    now, span = 0, 1
    while span < period:
        step = min(span, period - span)
        after, early, late = tops[1 - now, step:], tops[now, : rows - step], tops[now, step:]
        for i in range(rows - step):
            after[i] = larger(late[i], early[i])
        after, early, late = bottoms[1 - now, step:], bottoms[now, : rows - step], bottoms[now, step:]
        for i in range(rows - step):
            after[i] = larger(late[i], early[i])
        now, span = 1 - now, span + step
    most[:], least[:] = tops[now], bottoms[now]


@njit(cache=True, nogil=True, error_model="numpy")
def _place(x: Row, from_top: int, most: Row, least: Row) -> None:
    """Turn `most`, the top of the range, into the place; 0 where the range is nothing beside its ends.

    `least` holds bottoms with their signs changed.
    """
    if from_top:
        for i in range(len(x)):
            span = most[i] + least[i]
            place = 100.0 * ((x[i] - most[i]) / span)
            most[i] = 0.0 if span <= _NOTHING * (abs(most[i]) + abs(least[i])) else place
        return
    for i in range(len(x)):
        span = most[i] + least[i]
        place = 100.0 * ((x[i] + least[i]) / span)
        most[i] = 0.0 if span <= _NOTHING * (abs(most[i]) + abs(least[i])) else place
