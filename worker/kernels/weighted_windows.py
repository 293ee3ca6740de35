"""Means of windows weighted by another series, as volume weights prices. See `windows` for how the sums are made.

A compiled function calls none of another file: numba's cache would not notice a change of that file.
"""

import numpy as np
from numba import njit

from worker.kernels.panels import Panel


@njit(cache=True, nogil=True, error_model="numpy")
def _tail(x: Panel, weight: Panel, start: int, period: int, totals: Panel, out: Panel) -> None:
    """Sums of one column's windows that end in the stretch from `start` on, over their rows before it."""
    base, a, b = x[start, 0], 0.0, 0.0
    for s in range(start - 1, start - period - 1, -1):
        if s + period < len(x):
            out[s + period, 0] = a
            totals[s + period, 0] = b
        a += (x[s, 0] - base) * weight[s, 0]
        b += weight[s, 0]


@njit(cache=True, nogil=True, error_model="numpy")
def _head(
    x: Panel, weight: Panel, start: int, period: int, scale: float, empty: float, totals: Panel, out: Panel
) -> None:
    """Complete the sums of one column in the stretch from `start` on to means."""
    base, a, b = x[start, 0], 0.0, 0.0
    for t in range(start, min(start + period, len(x))):
        a += (x[t, 0] - base) * weight[t, 0]
        b += weight[t, 0]
        whole = totals[t, 0] + b
        mean = ((out[t, 0] + a) / whole + base) * scale
        out[t, 0] = mean if whole > 0.0 else empty


@njit(cache=True, nogil=True, error_model="numpy")
def _weighted_column(
    x: Panel, weight: Panel, period: int, scale: float, empty: float, totals: Panel, out: Panel
) -> None:
    """`weighted_mean` of one column from row `period` on.

    In whole stretches the tail that the next one needs is summed along with the head: neither sum waits for the other.
    """
    rows, start = len(x), period
    if start < rows:
        _tail(x, weight, start, period, totals, out)
    while start + 2 * period <= rows:
        base, ahead = x[start, 0], x[start + period, 0]
        a = b = c = d = 0.0
        for k in range(period):
            t, s = start + k, start + period - 1 - k
            a += (x[t, 0] - base) * weight[t, 0]
            b += weight[t, 0]
            whole = totals[t, 0] + b
            mean = ((out[t, 0] + a) / whole + base) * scale
            out[t, 0] = mean if whole > 0.0 else empty
            out[s + period, 0] = c
            totals[s + period, 0] = d
            c += (x[s, 0] - ahead) * weight[s, 0]
            d += weight[s, 0]
        start += period
    while start < rows:
        _head(x, weight, start, period, scale, empty, totals, out)
        start += period
        if start < rows:
            _tail(x, weight, start, period, totals, out)


@njit(cache=True, nogil=True, error_model="numpy")
def weighted_mean(x: Panel, weight: Panel, period: int, scale: float, empty: float, totals: Panel, out: Panel) -> None:
    """`scale` times the weighted mean of each window, `empty` where there is no weight. `totals` is for scratch.

    Nothing is subtracted, so nothing drifts; windows of equal values have exactly that mean.
    """
    rows, width = x.shape
    if rows < period:
        return
    distance, total = np.zeros(width), np.zeros(width)
    for t in range(period):
        for j in range(width):
            distance[j] += (x[t, j] - x[0, j]) * weight[t, j]
            total[j] += weight[t, j]
    for j in range(width):
        mean = (distance[j] / total[j] + x[0, j]) * scale
        out[period - 1, j] = mean if total[j] > 0.0 else empty
    if width == 1:
        _weighted_column(x, weight, period, scale, empty, totals, out)
        return
    for start in range(period, rows, period):
        end = min(start + period, rows)
        distance[:] = 0.0
        total[:] = 0.0
        for t in range(start - 1, end - period, -1):
            for j in range(width):
                distance[j] += (x[t, j] - x[start, j]) * weight[t, j]
                total[j] += weight[t, j]
        for t in range(min(start - 1, end - period), start - period, -1):
            for j in range(width):
                distance[j] += (x[t, j] - x[start, j]) * weight[t, j]
                out[t + period - 1, j] = distance[j]
            for j in range(width):
                total[j] += weight[t, j]
                totals[t + period - 1, j] = total[j]
        if end == start + period:
            out[end - 1] = 0.0
            totals[end - 1] = 0.0
        distance[:] = 0.0
        total[:] = 0.0
        for t in range(start, end):
            for j in range(width):
                distance[j] += (x[t, j] - x[start, j]) * weight[t, j]
                total[j] += weight[t, j]
            for j in range(width):
                whole = totals[t, j] + total[j]
                mean = ((out[t, j] + distance[j]) / whole + x[start, j]) * scale
                out[t, j] = mean if whole > 0.0 else empty
