"""Momentum indicators."""

from collections.abc import Sequence

import numpy as np
from numba import njit

from common.catalogue.spec import Params
from worker.kernels.arithmetic import fused
from worker.kernels.primitives import Panel

_NOTHING = 1e-14
"""TA-Lib's zero (TA_EPSILON): less movement than this counts as none."""


def rsi(inputs: Sequence[Panel], params: Params, outputs: Sequence[Panel]) -> None:
    """Wilder's Relative Strength Index (TA-Lib RSI)."""
    _rsi(inputs[0], int(params["period"]), outputs[0])


def macd(inputs: Sequence[Panel], params: Params, outputs: Sequence[Panel]) -> None:
    """Line, signal and histogram (TA-Lib MACD): both averages start at the slow one's first full window."""
    (x,), (line, signal, histogram) = inputs, outputs
    fast, slow, length = int(params["fast_period"]), int(params["slow_period"]), int(params["signal_period"])
    _macd(x, fast, slow, length, line, signal, histogram)


@njit(cache=True, nogil=True, error_model="numpy")
def _rsi(x: Panel, period: int, out: Panel) -> None:
    """Write 100 * gain / (gain + loss) into `out`, NaN before row `period`; 0 where nothing moved.

    `gain` and `loss` are Wilder averages: first the mean of `period` changes, then each change moves them
    by 1 / period.
    """
    rows, width = x.shape
    out[: min(period, rows)] = np.nan
    if period >= rows:
        return
    weight = 1.0 / period
    gain, loss = np.zeros(width), np.zeros(width)
    for t in range(1, period + 1):
        for j in range(width):
            change = x[t, j] - x[t - 1, j]
            # A change of NaN goes into both, as it would not with max().
            gain[j] += (0.0 if change < 0.0 else change) * weight  # noqa: FURB136
            loss[j] += (0.0 if change > 0.0 else -change) * weight
    for j in range(width):
        moved = gain[j] + loss[j]
        out[period, j] = 0.0 if moved < _NOTHING else 100.0 * (gain[j] / moved)
    keep = (period - 1) * weight
    for t in range(period + 1, rows):
        for j in range(width):
            change = x[t, j] - x[t - 1, j]
            gain[j] = gain[j] * keep + (0.0 if change < 0.0 else change) * weight  # noqa: FURB136
            loss[j] = loss[j] * keep + (0.0 if change > 0.0 else -change) * weight
            moved = gain[j] + loss[j]
            out[t, j] = 0.0 if moved < _NOTHING else 100.0 * (gain[j] / moved)


@njit(cache=True, nogil=True, error_model="numpy")
def _macd(  # noqa: C901, PLR0912, PLR0917 - many short loops, for LLVM
    x: Panel, fast: int, slow: int, length: int, line: Panel, signal: Panel, histogram: Panel
) -> None:
    """Write all three, NaN before row slow - 1 + length - 1. Operations in TA-Lib's order (TA_INT_MACD).

    Each average starts as the mean of its first window, as `primitives.exponential_average`: fast and slow one at
    row slow - 1, the signal `length` rows of `line` on.
    """
    rows, width = x.shape
    first = slow - 1
    lookback = first + length - 1
    for panel in (line, signal, histogram):
        panel[: min(lookback, rows)] = np.nan
    if lookback >= rows:
        return
    of_fast, of_slow, of_signal = 2.0 / (fast + 1), 2.0 / (slow + 1), 2.0 / (length + 1)
    near, far, mean = np.zeros(width), np.zeros(width), np.zeros(width)
    for t in range(slow):
        for j in range(width):
            far[j] += x[t, j]
        if t >= slow - fast:
            for j in range(width):
                near[j] += x[t, j]
    near /= fast
    far /= slow
    for t in range(first, rows):
        if t > first:
            for j in range(width):
                near[j] = fused(x[t, j] - near[j], of_fast, near[j])
                far[j] = fused(x[t, j] - far[j], of_slow, far[j])
        if t <= lookback:
            mean += near - far
            if t < lookback:
                continue
            mean /= length
        else:
            for j in range(width):
                mean[j] = fused(near[j] - far[j] - mean[j], of_signal, mean[j])
        for j in range(width):
            line[t, j] = near[j] - far[j]
        for j in range(width):
            signal[t, j] = mean[j]
        for j in range(width):
            histogram[t, j] = line[t, j] - mean[j]
