"""How two series move together.

Sums are put together from tails and heads of stretches (see windows.py) of distances from a value of the window:
nothing cancels.
"""

from collections.abc import Sequence

import numpy as np
from numba import njit

from common.catalogue.spec import Params
from worker.kernels.arithmetic import larger, smaller
from worker.kernels.panels import Panel, Scratch


def correl(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Pearson's correlation coefficient (TA-Lib CORREL)."""
    x, y = inputs
    _moving_together(x, y, int(p["period"]), 0.0, True, outputs[0], scratch.panel())


def beta(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Slope of the second series' relative changes over the first one's (TA-Lib BETA)."""
    (x, y), (out,) = inputs, outputs
    _beta(x, y, int(p["period"]), out[1:], scratch.panel()[1:], scratch.panel()[1:], scratch.panel())


_NOTHING = 1e-14
"""TA-Lib's zero (TA_EPSILON), of prices and of the squared changes of a window."""


@njit(cache=True, nogil=True, error_model="numpy")
def _beta(x: Panel, y: Panel, period: int, out: Panel, changes_x: Panel, changes_y: Panel, work: Panel) -> None:
    _relative_changes(x, changes_x)
    _relative_changes(y, changes_y)
    _moving_together(changes_x, changes_y, period, _NOTHING, False, out, work)


@njit(cache=True, nogil=True, error_model="numpy")
def _relative_changes(x: Panel, out: Panel) -> None:
    """(x - before) / before of the rows that have one before; 0 where that is 0."""
    values, change = x.ravel(), out.ravel()
    before, now = values[: change.size], values[x.shape[1] :]
    for i in range(change.size):
        divisor = before[i]
        quotient = (now[i] - divisor) / divisor
        change[i] = 0.0 if abs(divisor) < _NOTHING else quotient


@njit(cache=True, nogil=True, error_model="numpy")
def _moving_together(
    x: Panel, y: Panel, period: int, nothing: float, correlation: bool, out: Panel, work: Panel
) -> None:
    """Correlation of x and y in each window, or the slope of y over x; 0 where there is nothing to divide by.

    For one stretch after the other, `work` takes the five sums of the windows that end there, of distances from its
    first values.
    """
    rows, width = x.shape
    most = 1.0 if correlation else np.inf
    size = period * width
    sums = work.ravel()[: 5 * size] if 5 * size <= work.size else np.empty(5 * size)
    sum_x, sum_y, sum_xx = sums[:size], sums[size : 2 * size], sums[2 * size : 3 * size]
    sum_xy, sum_yy = sums[3 * size : 4 * size], sums[4 * size :]
    state = np.zeros((5, width))
    of_x, of_y, of_xx, of_xy, of_yy = state[0], state[1], state[2], state[3], state[4]
    results = out.ravel()
    for start in range(0, rows, period):
        end = min(start + period, rows)
        if start == 0:
            sums[:] = 0.0
        if width == 1:
            base, level = x[start, 0], y[start, 0]
            a = b = aa = ab = bb = 0.0
            for t in range(start - 1, max(start - period, -1), -1):
                far, high = x[t, 0] - base, y[t, 0] - level
                a += far
                b += high
                aa += far * far
                ab += far * high
                bb += high * high
                i = t + period - 1 - start
                sum_x[i], sum_y[i], sum_xx[i], sum_xy[i], sum_yy[i] = a, b, aa, ab, bb
            a = b = aa = ab = bb = 0.0
            i = period - 1
            sum_x[i] = sum_y[i] = sum_xx[i] = sum_xy[i] = sum_yy[i] = 0.0
            for t in range(start, end):
                far, high = x[t, 0] - base, y[t, 0] - level
                a += far
                b += high
                aa += far * far
                ab += far * high
                bb += high * high
                i = t - start
                sum_x[i] += a
                sum_y[i] += b
                sum_xx[i] += aa
                sum_xy[i] += ab
                sum_yy[i] += bb
        else:
            state[:] = 0.0
            for t in range(start - 1, max(start - period, -1), -1):
                row = (t + period - 1 - start) * width
                for j in range(width):
                    far = x[t, j] - x[start, j]
                    of_x[j] += far
                    of_xx[j] += far * far
                for j in range(width):
                    high = y[t, j] - y[start, j]
                    of_y[j] += high
                    of_yy[j] += high * high
                for j in range(width):
                    of_xy[j] += (x[t, j] - x[start, j]) * (y[t, j] - y[start, j])
                for kind in range(5):
                    kept, of = sums[kind * size + row :], state[kind]
                    for j in range(width):
                        kept[j] = of[j]
            state[:] = 0.0
            for kept in (sum_x, sum_y, sum_xx, sum_xy, sum_yy):
                kept[size - width :] = 0.0
            for t in range(start, end):
                row = (t - start) * width
                for j in range(width):
                    far = x[t, j] - x[start, j]
                    of_x[j] += far
                    of_xx[j] += far * far
                for j in range(width):
                    high = y[t, j] - y[start, j]
                    of_y[j] += high
                    of_yy[j] += high * high
                for j in range(width):
                    of_xy[j] += (x[t, j] - x[start, j]) * (y[t, j] - y[start, j])
                for kind in range(5):
                    kept, of = sums[kind * size + row :], state[kind]
                    for j in range(width):
                        kept[j] += of[j]
        found = results[start * width : end * width]
        for i in range(found.size):
            a, b = sum_x[i], sum_y[i]
            alone = period * sum_xx[i] - a * a
            other = period * sum_yy[i] - b * b
            divisor = np.sqrt(larger(alone, 0.0) * larger(other, 0.0)) if correlation else alone
            quotient = larger(smaller((period * sum_xy[i] - a * b) / divisor, most), -most)
            found[i] = quotient if divisor > nothing else 0.0
