"""Averages that remember: each row moves the value before it. Seeded as TA-Lib seeds them, in its order of operations.

The outer loop walks time, the inner one symbols, so a recurrence in time runs as vector instructions across symbols.
No column ever meets another: a panel of many symbols gives, bit for bit, what each symbol gives alone.
All may work in place.

A compiled function calls none of another file: numba's cache would not notice a change of that file. (`fused` is one
instruction and no function.)
"""

import numpy as np
from numba import njit

from worker.kernels.arithmetic import fused
from worker.kernels.panels import Panel


def ema(x: Panel, period: int, out: Panel) -> None:
    """Exponential average: row period - 1 is the mean of the first `period` rows, later ones move by 2/(period+1)."""
    exponential_average(x, period, 2.0 / (period + 1), out)


def wilder(x: Panel, period: int, out: Panel) -> None:
    """Wilder's average: row period - 1 is the mean of the first `period` rows, later ones move by 1/period."""
    exponential_average(x, period, 1.0 / period, out)


@njit(cache=True, nogil=True, error_model="numpy")
def exponential_average(x: Panel, period: int, alpha: float, out: Panel) -> None:
    """Row period - 1 of `out` is the mean of the first `period` rows; later ones move it by `alpha` of their distance.

    Rows before are left alone. A period of 1 starts with the first row itself.
    """
    rows, width = x.shape
    if rows < period:
        return
    state = np.zeros(width)
    for t in range(period):
        for j in range(width):
            state[j] += x[t, j]
    for j in range(width):
        state[j] /= period
        out[period - 1, j] = state[j]
    if width == 1:
        value = state[0]
        for t in range(period, rows):
            value = fused(x[t, 0] - value, alpha, value)
            out[t, 0] = value
        return
    for t in range(period, rows):
        for j in range(width):
            state[j] = fused(x[t, j] - state[j], alpha, state[j])
            out[t, j] = state[j]
