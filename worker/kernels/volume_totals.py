"""Running totals of volume, and what is made of them, in TA-Lib's order of operations.

A compiled function calls none of another file: numba's cache would not notice a change of that file.
"""

import numpy as np
from numba import njit

from worker.kernels.arithmetic import fused, larger, smaller
from worker.kernels.panels import Panel

# Divisions stand before the choice whether they count, so that LLVM sees a selection and no branch.


@njit(cache=True, nogil=True, error_model="numpy")
def _place(high: float, low: float, close: float) -> float:
    """Where a bar closed: 1 at the high, -1 at the low, 0 without a range."""
    reach = high - low
    place = (close - low - (high - close)) / reach
    return place if reach > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def money_flow_place(high: Panel, low: Panel, close: Panel, out: Panel) -> None:
    h, l, c, place = high.ravel(), low.ravel(), close.ravel(), out.ravel()  # noqa: E741 - the field's own term
    for i in range(len(c)):
        place[i] = _place(h[i], l[i], c[i])


@njit(cache=True, nogil=True, error_model="numpy")
def accumulation(high: Panel, low: Panel, close: Panel, volume: Panel, out: Panel) -> None:
    rows, width = close.shape
    if width == 1:
        total = 0.0
        for t in range(rows):
            total += _place(high[t, 0], low[t, 0], close[t, 0]) * volume[t, 0]
            out[t, 0] = total
        return
    totals = np.zeros(width)
    for t in range(rows):
        for j in range(width):
            totals[j] += _place(high[t, j], low[t, j], close[t, j]) * volume[t, j]
            out[t, j] = totals[j]


@njit(cache=True, nogil=True, error_model="numpy")
def oscillate(x: Panel, fast: int, slow: int) -> None:
    """Put a fast minus a slow exponential average of `x` into its place; both start at its first row.

    Two products, the one of the average added unrounded: the bits of TA-Lib.
    """
    rows, width = x.shape
    of_fast, of_slow = 2.0 / (fast + 1.0), 2.0 / (slow + 1.0)
    keep_fast, keep_slow = 1.0 - of_fast, 1.0 - of_slow
    if width == 1:
        a = b = x[0, 0]
        for t in range(1, rows):
            a = fused(keep_fast, a, of_fast * x[t, 0])
            b = fused(keep_slow, b, of_slow * x[t, 0])
            x[t, 0] = a - b
        return
    near, far = x[0].copy(), x[0].copy()
    for t in range(1, rows):
        for j in range(width):
            near[j] = fused(keep_fast, near[j], of_fast * x[t, j])
            far[j] = fused(keep_slow, far[j], of_slow * x[t, j])
            x[t, j] = near[j] - far[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _signed(change: float, volume: float) -> float:
    inflow = volume if change > 0.0 else 0.0
    outflow = volume if change < 0.0 else 0.0
    return inflow - outflow


@njit(cache=True, nogil=True, error_model="numpy")
def on_balance(x: Panel, volume: Panel, out: Panel) -> None:
    rows, width = x.shape
    if width == 1:
        total = volume[0, 0]
        out[0, 0] = total
        for t in range(1, rows):
            total += _signed(x[t, 0] - x[t - 1, 0], volume[t, 0])
            out[t, 0] = total
        return
    totals = volume[0].copy()
    out[0] = totals
    for t in range(1, rows):
        for j in range(width):
            totals[j] += _signed(x[t, j] - x[t - 1, j], volume[t, j])
            out[t, j] = totals[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _relative(now: float, before: float) -> float:
    """Relative change; 0 from a price of 0."""
    change = (now - before) / before
    return change if before != 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def volume_index(close: Panel, volume: Panel, sign: float, out: Panel) -> None:
    rows, width = close.shape
    if width == 1:
        index = 1000.0
        out[0, 0] = index
        for t in range(1, rows):
            counts = (volume[t, 0] - volume[t - 1, 0]) * sign > 0.0
            if counts:
                index += _relative(close[t, 0], close[t - 1, 0]) * index
            out[t, 0] = index
        return
    out[0] = 1000.0
    indices = np.full(width, 1000.0)
    for t in range(1, rows):
        for j in range(width):
            counts = (volume[t, j] - volume[t - 1, j]) * sign > 0.0
            moved = indices[j] + _relative(close[t, j], close[t - 1, j]) * indices[j]
            indices[j] = moved if counts else indices[j]
            out[t, j] = indices[j]


@njit(cache=True, nogil=True, error_model="numpy")
def price_volume_trend(close: Panel, volume: Panel, out: Panel) -> None:
    rows, width = close.shape
    if width == 1:
        total = 0.0
        out[0, 0] = total
        for t in range(1, rows):
            total += _relative(close[t, 0], close[t - 1, 0]) * volume[t, 0]
            out[t, 0] = total
        return
    out[0] = 0.0
    totals = np.zeros(width)
    for t in range(1, rows):
        for j in range(width):
            totals[j] += _relative(close[t, j], close[t - 1, j]) * volume[t, j]
            out[t, j] = totals[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _gain(high: float, low: float, close: float, before: float) -> float:
    """Distance of the close from the end of the true range that it left behind."""
    rise = close - smaller(before, low) if close > before else 0.0
    fall = larger(before, high) - close if close < before else 0.0
    return rise - fall


@njit(cache=True, nogil=True, error_model="numpy")
def williams_accumulation(high: Panel, low: Panel, close: Panel, out: Panel) -> None:
    rows, width = close.shape
    if width == 1:
        total = 0.0
        out[0, 0] = total
        for t in range(1, rows):
            total += _gain(high[t, 0], low[t, 0], close[t, 0], close[t - 1, 0])
            out[t, 0] = total
        return
    out[0] = 0.0
    totals = np.zeros(width)
    for t in range(1, rows):
        for j in range(width):
            totals[j] += _gain(high[t, j], low[t, j], close[t, j], close[t - 1, j])
            out[t, j] = totals[j]
