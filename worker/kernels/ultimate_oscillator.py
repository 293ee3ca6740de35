"""Larry Williams' Ultimate Oscillator, whose three windows share their sums."""

import math
from collections.abc import Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from common.catalogue.spec import Params
from worker.kernels.arithmetic import larger, smaller
from worker.kernels.panels import Panel, Scratch

Row = NDArray[np.float64]


def ultosc(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Larry Williams' Ultimate Oscillator (TA-Lib ULTOSC)."""
    high, low, close = inputs
    lengths = sorted((int(p["fast_period"]), int(p["medium_period"]), int(p["slow_period"])))
    common = math.gcd(*lengths)
    short, medium, long = (length // common for length in lengths)
    a, b, c = scratch.panel(), scratch.panel(), scratch.panel()
    _ultimate(high, low, close, common, short, medium, long, a, b, c, outputs[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _ultimate(
    high: Panel,
    low: Panel,
    close: Panel,
    common: int,
    short: int,
    medium: int,
    long: int,
    a: Panel,
    b: Panel,
    c: Panel,
    out: Panel,
) -> None:
    """Weighted mean of buying pressure by true range over `short`, `medium` and `long` times `common` rows.

    Windows of `common` rows are summed up, of pressure into `a` and of range into `b`; the others are put together
    from those.
    """
    rows, width = close.shape
    begin = common * long
    if width == 1:
        _pressure_of_one(high.ravel(), low.ravel(), close.ravel(), common, c.ravel(), out.ravel(), a.ravel(), b.ravel())
    else:
        for t in range(1, rows):
            for j in range(width):
                bottom = smaller(low[t, j], close[t - 1, j])
                c[t, j] = close[t, j] - bottom
                b[t, j] = larger(high[t, j], close[t - 1, j]) - bottom
        _window_sum(c[1:], common, a[1:])
        _window_sum(b[1:], common, c[1:])
        b = c
    if (medium, long) == (2, 4):  # each window twice the one before
        k, m, n = common, 2 * common, 3 * common
        if width == 1:
            p, r, whole = a.ravel(), b.ravel(), out.ravel()
            parts = p[begin:], p[begin - k :], p[begin - m :], p[begin - n :]
            ranges = r[begin:], r[begin - k :], r[begin - m :], r[begin - n :]
            _doubling(parts, ranges, whole[begin:])
            return
        for t in range(begin, rows):
            parts = a[t], a[t - k], a[t - m], a[t - n]
            ranges = b[t], b[t - k], b[t - m], b[t - n]
            _doubling(parts, ranges, out[t])
        return
    pressure, span = np.zeros((4, width)), np.zeros((4, width))
    for t in range(begin, rows):
        for i, (first, last) in enumerate(((0, short), (short, medium), (medium, long))):
            for j in range(width):
                pressure[i + 1, j] = pressure[i, j]
                span[i + 1, j] = span[i, j]
            for k in range(first, last):
                for j in range(width):
                    pressure[i + 1, j] += a[t - k * common, j]
                    span[i + 1, j] += b[t - k * common, j]
        for j in range(width):
            out[t, j] = _weighted(pressure[1, j], span[1, j], pressure[2, j], span[2, j], pressure[3, j], span[3, j])


@njit(cache=True, nogil=True, error_model="numpy")
def _window_sum(x: Panel, period: int, out: Panel) -> None:
    """Plain sum of each window, of values that are not negative: nothing cancels; see `windows.py`."""
    rows, width = x.shape
    total = np.empty(width)
    out[:period] = 0.0
    for start in range(0, rows, period):
        end = min(start + period, rows)
        if start:
            total[:] = 0.0
            for t in range(start - 1, end - period - 1, -1):
                for j in range(width):
                    total[j] += x[t, j]
            out[end - 1] = total
            t = end - 2
            while t > start:  # two rows at once, here and below: entering a loop costs as much as a part of it
                for j in range(width):
                    tail = out[t + 1, j] + x[t - period + 1, j]
                    out[t, j] = tail
                    out[t - 1, j] = tail + x[t - period, j]
                t -= 2
            if t == start:
                for j in range(width):
                    out[t, j] = out[t + 1, j] + x[t - period + 1, j]
        total[:] = 0.0
        t = start
        while t < end - 1:
            for j in range(width):
                first = total[j] + x[t, j]
                second = first + x[t + 1, j]
                out[t, j] += first
                out[t + 1, j] += second
                total[j] = second
            t += 2
        if t < end:
            for j in range(width):
                out[t, j] += total[j] + x[t, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _pressure_of_one(high: Row, low: Row, close: Row, period: int, buying: Row, ranges: Row, a: Row, b: Row) -> None:
    """Sums of buying pressure and true range over each window of one symbol, as `_window_sum` of both, in one pass."""
    rows = len(close)
    a[1 : period + 1] = 0.0
    b[1 : period + 1] = 0.0
    for start in range(1, rows, period):
        end = min(start + period, rows)
        one = two = 0.0
        for t in range(start - 1, max(start - period, 0), -1):
            one += buying[t]
            two += ranges[t]
            if t + period - 1 < end:
                a[t + period - 1], b[t + period - 1] = one, two
        if end == start + period:
            a[end - 1] = b[end - 1] = 0.0
        one = two = 0.0
        for t in range(start, end):
            bottom = smaller(low[t], close[t - 1])
            buying[t] = close[t] - bottom
            ranges[t] = larger(high[t], close[t - 1]) - bottom
            one += buying[t]
            two += ranges[t]
            a[t] += one
            b[t] += two


@njit(cache=True, nogil=True, error_model="numpy")
def _doubling(parts: tuple[Row, Row, Row, Row], wholes: tuple[Row, Row, Row, Row], out: Row) -> None:
    """The oscillator of windows of one, two and four parts, the newest first."""
    (p1, p2, p3, p4), (r1, r2, r3, r4) = parts, wholes
    for i in range(len(out)):
        pair, span = p1[i] + p2[i], r1[i] + r2[i]
        out[i] = _weighted(p1[i], r1[i], pair, span, pair + p3[i] + p4[i], span + r3[i] + r4[i])


@njit(cache=True, nogil=True, error_model="numpy")
def _weighted(p1: float, r1: float, p2: float, r2: float, p3: float, r3: float) -> float:
    """100 * (4 p1/r1 + 2 p2/r2 + p3/r3) / 7 with one division; where a range is 0, so is its pressure."""
    r1 = 1.0 if r1 == 0.0 else r1
    r2 = 1.0 if r2 == 0.0 else r2
    r3 = 1.0 if r3 == 0.0 else r3
    return 100.0 / 7.0 * ((4.0 * p1 * r2 * r3 + 2.0 * p2 * r1 * r3 + p3 * r1 * r2) / (r1 * r2 * r3))
