"""Arithmetic of two series, running totals, and the sums and extremes of windows."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.spec import Params
from worker.kernels.arithmetic import larger
from worker.kernels.math_transform import drop_infinities
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.price_transform import extremes_of_one
from worker.kernels.windows import rolling_max, rolling_mean, rolling_min


def _of_two(function: np.ufunc) -> Kernel:
    def kernel(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        function(inputs[0], inputs[1], out=outputs[0])

    return kernel


def div(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Quotient (TA-Lib DIV), NaN where the divisor is 0."""
    np.divide(inputs[0], inputs[1], out=outputs[0])
    drop_infinities(outputs[0])


def cumsum(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Running total (TA-Lib CUMSUM)."""
    _running_total(inputs[0], outputs[0])


def windowed_sum(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Sum of the window (TA-Lib SUM)."""
    (out,), period = outputs, int(p["period"])
    rolling_mean(inputs[0], period, out)
    out *= float(period)


def largest(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Greatest value of the window (TA-Lib MAX)."""
    rolling_max(inputs[0], int(p["period"]), outputs[0])


def least(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Least value of the window (TA-Lib MIN)."""
    rolling_min(inputs[0], int(p["period"]), outputs[0])


def minmax(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Least and greatest value of the window (TA-Lib MINMAX)."""
    (x,), (low, high), period = inputs, outputs, int(p["period"])
    if x.shape[1] == 1:
        extremes_of_one(x.ravel(), x.ravel(), period, high.ravel(), low.ravel())
        return
    rolling_min(x, period, low)
    rolling_max(x, period, high)


def maxindex(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Row of the greatest value of the window (TA-Lib MAXINDEX)."""
    _rows(inputs[0], 1.0, p, outputs[0], scratch.panel())


def minindex(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Row of the least value of the window (TA-Lib MININDEX)."""
    _rows(inputs[0], -1.0, p, outputs[0], scratch.panel())


def minmaxindex(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Rows of the least and the greatest value of the window (TA-Lib MINMAXINDEX)."""
    best = scratch.panel()
    _rows(inputs[0], -1.0, p, outputs[0], best)
    _rows(inputs[0], 1.0, p, outputs[1], best)


def _rows(x: Panel, sign: float, p: Params, out: Panel, best: Panel) -> None:
    _rows_of_extremes(x, sign, int(p["period"]), out, best)
    if p["counted"] == "bars_ago":
        np.subtract(np.arange(len(x), dtype=np.float64)[:, None], out, out=out)


@njit(cache=True, nogil=True, error_model="numpy")
def _rows_of_extremes(x: Panel, sign: float, period: int, out: Panel, best: Panel) -> None:
    """Row of the greatest `sign` * x of each window, the latest of equals; `best` is for values on the way.

    As `windows.rolling_max`: a window is the tail of one stretch of `period` rows and the head of the next.
    """
    rows, width = x.shape
    if width == 1:
        # Windows twice as long with each pass, as in `price_transform.extremes_of_one`.
        values, places = np.empty((2, rows)), np.empty((2, rows))
        for t in range(rows):
            values[0, t] = sign * x[t, 0]
            places[0, t] = t
        now, span = 0, 1
        while span < period:
            step = min(span, period - span)
            early, late, after = values[now, : rows - step], values[now, step:], values[1 - now, step:]
            older, newer, chosen = places[now, : rows - step], places[now, step:], places[1 - now, step:]
            for i in range(rows - step):
                old, new = older[i], newer[i]
                chosen[i] = old if early[i] > late[i] else new
            for i in range(rows - step):
                after[i] = larger(early[i], late[i])
            now, span = 1 - now, span + step
        out[:, 0] = places[now]
        return
    most, row = np.empty(width), np.empty(width)
    for start in range(0, rows, period):
        end = min(start + period, rows)
        most[:] = -np.inf
        row[:] = start - 1.0
        for t in range(start - 1, max(start - period, -1), -1):
            here = float(t)
            for j in range(width):
                value = sign * x[t, j]
                row[j] = here if value > most[j] else row[j]
                most[j] = larger(value, most[j])
            if t + period - 1 < end:
                for j in range(width):
                    out[t + period - 1, j] = row[j]
                for j in range(width):
                    best[t + period - 1, j] = most[j]
        if end == start + period:
            best[end - 1] = -np.inf
        most[:] = -np.inf
        for t in range(start, end):
            here = float(t)
            for j in range(width):
                value = sign * x[t, j]
                row[j] = row[j] if value < most[j] else here
                most[j] = larger(value, most[j])
            for j in range(width):
                before, after = out[t, j], row[j]
                out[t, j] = before if best[t, j] > most[j] else after


@njit(cache=True, nogil=True, error_model="numpy")
def _running_total(x: Panel, out: Panel) -> None:
    rows, width = x.shape
    if width == 1:
        one = 0.0
        for t in range(rows):
            one += x[t, 0]
            out[t, 0] = one
        return
    total = np.zeros(width)
    for t in range(rows):
        for j in range(width):
            total[j] += x[t, j]
            out[t, j] = total[j]


KERNELS: Mapping[str, Kernel] = {
    "add": _of_two(np.add),
    "sub": _of_two(np.subtract),
    "mult": _of_two(np.multiply),
    "div": div,
    "cumsum": cumsum,
    "sum": windowed_sum,
    "max": largest,
    "min": least,
    "minmax": minmax,
    "maxindex": maxindex,
    "minindex": minindex,
    "minmaxindex": minmaxindex,
}
