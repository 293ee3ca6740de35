"""Means of windows weighted by another series, as volume weights prices. See `windows` for how the sums are made.

A compiled function calls none of another file: numba's cache would not notice a change of that file.
"""

import numpy as np
from numba import njit

from worker.kernels.panels import Panel, Row


@njit(cache=True, nogil=True, error_model="numpy")
def _column(x: Row, weight: Row, period: int, scale: float, empty: float, out: Row) -> None:
    """`weighted_mean` of one column. `tail` and `totals` are the sums of each window's part before the stretch."""
    rows = len(x)
    tail, totals = np.zeros(period), np.zeros(period)
    start = 0
    while start + period < rows:
        base, ahead = x[start], x[start + period]
        a = b = c = d = 0.0
        for i in range(period):
            a += (x[start + i] - base) * weight[start + i]
            b += weight[start + i]
            whole = totals[i] + b
            mean = ((tail[i] + a) / whole + base) * scale
            out[start + i] = mean if whole > 0.0 else empty
        for i in range(period - 1, -1, -1):
            tail[i] = c
            totals[i] = d
            c += (x[start + i] - ahead) * weight[start + i]
            d += weight[start + i]
        start += period
    base, a, b = x[start], 0.0, 0.0
    for i in range(rows - start):
        a += (x[start + i] - base) * weight[start + i]
        b += weight[start + i]
        whole = totals[i] + b
        mean = ((tail[i] + a) / whole + base) * scale
        out[start + i] = mean if whole > 0.0 else empty


@njit(cache=True, nogil=True, error_model="numpy")
def weighted_mean(x: Panel, weight: Panel, period: int, scale: float, empty: float, totals: Panel, out: Panel) -> None:
    """`scale` times the weighted mean of each window, `empty` where there is no weight. `totals` is for scratch.

    Nothing is subtracted, so nothing drifts; windows of equal values have exactly that mean.
    """
    rows, width = x.shape
    if rows < period:
        return
    if width == 1:
        _column(x.reshape(rows), weight.reshape(rows), period, scale, empty, out.reshape(rows))
        return
    distance, total = np.zeros(width), np.zeros(width)
    for t in range(period):
        for j in range(width):
            distance[j] += (x[t, j] - x[0, j]) * weight[t, j]
            total[j] += weight[t, j]
    for j in range(width):
        mean = (distance[j] / total[j] + x[0, j]) * scale
        out[period - 1, j] = mean if total[j] > 0.0 else empty
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
