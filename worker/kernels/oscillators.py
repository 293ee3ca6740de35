"""Oscillators around zero or one, without bounds."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from common.catalogue.spec import Params
from worker.kernels import regression
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.recurrences import ema
from worker.kernels.volatility import ratio, true_range
from worker.kernels.windows import rolling_mean, rolling_sum

Row = NDArray[np.float64]

_BLOCK = 1024
"""Cells a pass works on at once: so few that they stay in the first cache, so many that loops are worth starting."""

_NOTHING = 1e-14
"""TA-Lib's zero (TA_EPSILON): a deviation that small beside the values is their rounding."""


def cci(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Commodity Channel Index (TA-Lib CCI)."""
    (x,), (out,), period = inputs, outputs, int(p["period"])
    rolling_mean(x, period, out)
    _distance_in_deviations(x, period, 0.015, out)


def dpo(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Detrended Price Oscillator (TA-Lib DPO), or with the average in the middle of its window."""
    (x,), (out,) = inputs, outputs
    period = int(p["period"])
    back = period // 2 + 1
    if not p["lookahead"]:
        rolling_mean(x, period, out)
        known = out[back:]
        np.subtract(x[:-back], known, out=known)
        return
    mean, rows = scratch.panel(), max(len(x) - back, 0)
    rolling_mean(x, period, mean)
    np.subtract(x[:rows], mean[len(x) - rows :], out=out[:rows])
    out[rows:] = np.nan


def fosc(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Distance from what the regression line of the rows before foretold (TA-Lib FOSC)."""
    (x,), (out,), line = inputs, outputs, scratch.panel()
    period = int(p["period"])
    regression.tsf(inputs, p, (line,), scratch)
    _percent_off(x[period:], line[period - 1 : -1], out[period:])


def cfo(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Distance from the end of the regression line through the window (Chande)."""
    (x,), (out,), line = inputs, outputs, scratch.panel()
    first = int(p["period"]) - 1
    regression.linearreg(inputs, p, (line,), scratch)
    _percent_off(x[first:], line[first:], out[first:])


def pgo(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Distance from the mean in average true ranges (Johnson)."""
    (high, low, close), (out,), mean = inputs, outputs, scratch.panel()
    period = int(p["period"])
    true_range(high, low, close, out)
    ema(out[1:], period, out[1:])
    rolling_mean(close, period, mean)
    np.subtract(close[period:], mean[period:], out=mean[period:])
    ratio(mean[period:], out[period:], 1.0, 0.0, out[period:])


def cg(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Ehlers' Center of Gravity: the middle of the window, moved by the slope of its line in terms of its mean."""
    (x,), (out,), mean = inputs, outputs, scratch.panel()
    period = int(p["period"])
    rolling_mean(x, period, mean)
    regression.linearreg_slope(inputs, p, outputs, scratch)
    known = out[period - 1 :]
    ratio(known, mean[period - 1 :], (period * period - 1) / 12.0, 0.0, known)
    known -= 0.5 * (period + 1)


def brar(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Sums of ways up by sums of ways down, from the open (AR) and from the close before (BR)."""
    opened, high, low, close = inputs
    (ar, br), way, down = outputs, scratch.panel(), scratch.panel()
    period = int(p["period"])
    for base, out in ((opened[1:], ar), (close[:-1], br)):
        np.subtract(high[1:], base, out=way[1:])
        np.maximum(way[1:], 0.0, out=way[1:])
        rolling_sum(way[1:], period, out[1:])
        np.subtract(base, low[1:], out=way[1:])
        np.maximum(way[1:], 0.0, out=way[1:])
        rolling_sum(way[1:], period, down[1:])
        _percent_or_gap(out[period:], down[period:])


def rvgi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Ehlers' Relative Vigor Index and its signal."""
    opened, high, low, close = inputs
    (line, signal), part = outputs, scratch.panel()
    period = int(p["period"])
    np.subtract(close, opened, out=part)
    _four(part, signal)
    rolling_sum(signal[3:], period, line[3:])
    np.subtract(high, low, out=part)
    _four(part, signal)
    rolling_sum(signal[3:], period, part[3:])
    first = period + 2
    ratio(line[first:], part[first:], 1.0, 0.0, line[first:])
    _four(line[first:], signal[first:])


@njit(cache=True, nogil=True, error_model="numpy")
def _distance_in_deviations(x: Panel, period: int, unit: float, out: Panel) -> None:
    """Distance of `x` from `out`, its mean, in `unit` of the mean deviation from that; 0 where that is nothing.

    Works on blocks of whole rows: one symbol's column is as good as a panel.
    """
    rows, width = x.shape
    values, results = x.ravel(), out.ravel()
    height = max(_BLOCK // width, 1)
    total = np.empty(height * width)
    scale, nothing = period / unit, period * _NOTHING
    for first in range(period - 1, rows, height):
        cells = (min(first + height, rows) - first) * width
        here = first * width
        now, means = values[here : here + cells], results[here : here + cells]
        total[:] = 0.0
        for back in range(period - 1, period % 4 + 2, -4):  # four rows at once: adding takes less time than loading
            one = values[here - back * width : here - back * width + cells]
            two = values[here - (back - 1) * width : here - (back - 1) * width + cells]
            three = values[here - (back - 2) * width : here - (back - 2) * width + cells]
            four = values[here - (back - 3) * width : here - (back - 3) * width + cells]
            for i in range(cells):
                mean = means[i]
                pair = abs(one[i] - mean) + abs(two[i] - mean)
                total[i] += pair + (abs(three[i] - mean) + abs(four[i] - mean))
        for back in range(period % 4 - 1, -1, -1):
            then = values[here - back * width : here - back * width + cells]
            for i in range(cells):
                total[i] += abs(then[i] - means[i])
        for i in range(cells):
            distance = scale * ((now[i] - means[i]) / total[i])
            total[i] = 0.0 if total[i] <= nothing * abs(means[i]) else distance
        for i in range(cells):
            means[i] = total[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _percent_off(x: Panel, line: Panel, out: Panel) -> None:
    """Distance of `x` from `line` in percent of `x`; 0 where that is 0."""
    values, lines, results = x.ravel(), line.ravel(), out.ravel()
    for i in range(results.size):
        off = 100.0 * ((values[i] - lines[i]) / values[i])
        results[i] = 0.0 if values[i] == 0.0 else off


@njit(cache=True, nogil=True, error_model="numpy")
def _percent_or_gap(out: Panel, base: Panel) -> None:
    """`out` in percent of `base`, neither negative: 0 where both are 0, nothing where only `base` is."""
    a, b = out.ravel(), base.ravel()
    for i in range(a.size):
        share = 100.0 * (a[i] / b[i])
        a[i] = share if b[i] > 0.0 else (0.0 if a[i] == 0.0 else np.nan)


@njit(cache=True, nogil=True, error_model="numpy")
def _four(x: Panel, out: Panel) -> None:
    """Mean of four rows with weights 1, 2, 2, 1, from row 3 on. Not in place."""
    rows, width = x.shape
    for t in range(3, rows):
        for j in range(width):
            out[t, j] = (x[t, j] + 2.0 * x[t - 1, j] + 2.0 * x[t - 2, j] + x[t - 3, j]) / 6.0


KERNELS: Mapping[str, Kernel] = {
    "cci": cci,
    "dpo": dpo,
    "fosc": fosc,
    "cfo": cfo,
    "pgo": pgo,
    "cg": cg,
    "brar": brar,
    "rvgi": rvgi,
}
