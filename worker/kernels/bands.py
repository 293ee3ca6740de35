"""Bands around an average or a line: by standard deviation, by percent, by range."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.averages import ma_lookback
from common.catalogue.spec import Params
from worker.kernels.averages_adaptive import holt_winters
from worker.kernels.moving_averages import average
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.volatility import average_range, ratio
from worker.kernels.windows import rolling_bands, rolling_mean, rolling_moments


def bbands(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Bollinger Bands of the population standard deviation (TA-Lib BBANDS)."""
    (x,), (upper, middle, lower) = inputs, outputs
    period, multiplier, kind = int(p["period"]), float(p["multiplier"]), str(p["ma_type"])
    if kind == "sma":
        rolling_bands(x, period, multiplier, middle, upper, lower)
        return
    rolling_moments(x, period, middle, upper)
    average(kind, x, period, middle, scratch)
    spread(middle, upper, multiplier, lower)


def percent_b(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Place of the source between the Bollinger Bands."""
    (x,), (out,), deviation = inputs, outputs, scratch.panel()
    first = _moments(x, p, out, deviation, scratch)
    np.subtract(x, out, out=out)
    ratio(out[first:], deviation[first:], 0.5 / float(p["multiplier"]), 0.0, out[first:])
    out[first:] += 0.5


def bandwidth(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Width of the Bollinger Bands in percent of the middle one."""
    (x,), (out,), middle = inputs, outputs, scratch.panel()
    first = _moments(x, p, middle, out, scratch)
    ratio(out[first:], middle[first:], 200.0 * float(p["multiplier"]), 0.0, out[first:])


def accbands(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Headley's acceleration bands (TA-Lib ACCBANDS)."""
    (high, low, close), (upper, middle, lower) = inputs, outputs
    above, below, period = scratch.panel(), scratch.panel(), int(p["period"])
    _accelerated(high, low, float(p["multiplier"]), above, below)
    rolling_mean(above, period, upper)
    rolling_mean(close, period, middle)
    rolling_mean(below, period, lower)


def ma_envelopes(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """A moving average and lines a percentage above and below it."""
    (x,), (upper, middle, lower) = inputs, outputs
    average(str(p["ma_type"]), x, int(p["period"]), middle, scratch)
    share = float(p["percent"]) / 100.0
    np.multiply(middle, 1.0 + share, out=upper)
    np.multiply(middle, 1.0 - share, out=lower)


def stddev_channels(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """End of each window's regression line, and lines at standard deviations of the window from it."""
    (x,), (upper, middle, lower), period = inputs, outputs, int(p["period"])
    rolling_moments(x, period, middle, upper)
    line_end(x, period, middle)
    spread(middle, upper, float(p["multiplier"]), lower)


def tos_stdevall(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Regression line of all bars and lines at one to three sample standard deviations from it."""
    middle, above, below, *wider = outputs
    deviation = wider[-1]
    _regression_so_far(inputs[0], middle, deviation, bool(p["lookahead"]))
    for n, (upper, lower) in enumerate(((above, below), wider[:2], wider[2:]), start=1):
        np.multiply(deviation, float(n), out=upper)
        np.subtract(middle, upper, out=lower)
        np.add(middle, upper, out=upper)


def hwc(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Holt and Winters's moving average and the deviation of the series from it."""
    (x,), (upper, middle, lower) = inputs, outputs
    holt_winters(x, p, middle)
    _misses(x, middle, float(p["deviation_weight"]), float(p["multiplier"]), upper, lower)


def starc_bands(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Stoller's average range channel around a simple average."""
    range_bands("sma", inputs, p, outputs, scratch)


def range_bands(kind: str, inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Moving average `kind` of the first input, and lines at `multiplier` average true ranges of the others from it."""
    (x, *bars), (upper, middle, lower) = inputs, outputs
    average(kind, x, int(p["period"]), middle, scratch)
    average_range(str(p["convention"]), bars, int(p["atr_period"]), upper, scratch)
    spread(middle, upper, float(p["multiplier"]), lower)


def _moments(x: Panel, p: Params, middle: Panel, deviation: Panel, scratch: Scratch) -> int:
    """Middle and standard deviation of Bollinger Bands; the first row that has both."""
    period, kind = int(p["period"]), str(p["ma_type"])
    rolling_moments(x, period, middle, deviation)
    if kind != "sma":
        average(kind, x, period, middle, scratch)
    return max(ma_lookback(kind, period), period - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def spread(middle: Panel, upper: Panel, multiplier: float, lower: Panel) -> None:
    """Lines at `multiplier` times what `upper` holds above and below `middle`."""
    a, b, c = middle.ravel(), upper.ravel(), lower.ravel()
    for i in range(a.size):
        reach = b[i] * multiplier
        b[i] = a[i] + reach
        c[i] = a[i] - reach


@njit(cache=True, nogil=True, error_model="numpy")
def _accelerated(high: Panel, low: Panel, multiplier: float, above: Panel, below: Panel) -> None:
    """`high` raised and `low` lowered by `multiplier` times their distance by their sum, if that is not 0."""
    rows, width = high.shape
    for t in range(rows):
        for j in range(width):
            reach = multiplier * (high[t, j] - low[t, j]) / (high[t, j] + low[t, j])
            reach = 0.0 if high[t, j] + low[t, j] == 0.0 else reach
            above[t, j] = high[t, j] * (1.0 + reach)
            below[t, j] = low[t, j] * (1.0 - reach)


@njit(cache=True, nogil=True, error_model="numpy")
def line_end(x: Panel, period: int, out: Panel) -> None:
    """Value at its last row of the least squares line through each window, from row period - 1 on.

    With distances d from a row of the window and weights 1 to n this is (6 sum(i d) / (n + 1) - 2 sum(d)) / n. The
    window is the tail of one stretch of `period` rows and the head of the next, as in `windows`.
    """
    rows, width = x.shape
    steep, level = 6.0 / (period * (period + 1.0)), -2.0 / period
    total, weighted = np.empty(width), np.empty(width)
    for start in range(0, rows, period):
        end = min(start + period, rows)
        total[:] = 0.0
        weighted[:] = 0.0
        if start:
            for t in range(start - 1, start - period, -1):
                for j in range(width):
                    total[j] += x[t, j] - x[start, j]
                    weighted[j] += total[j]
                if t + period - 1 < end:
                    for j in range(width):
                        out[t + period - 1, j] = weighted[j] * steep + total[j] * level
        else:
            out[: end - 1] = 0.0
        if end == start + period:
            out[end - 1] = 0.0
        total[:] = 0.0
        weighted[:] = 0.0
        for t in range(start, end):
            for j in range(width):
                distance = x[t, j] - x[start, j]
                weighted[j] += period * distance - total[j]
                total[j] += distance
                out[t, j] += weighted[j] * steep + total[j] * level + x[start, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _regression_so_far(x: Panel, line: Panel, deviation: Panel, whole: bool) -> None:
    """Last value of the line through all rows so far and their sample deviation; of all rows there are if `whole`.

    Welford's updates of the mean, of the squares and of the products with the row numbers.
    """
    rows, width = x.shape
    mean, square, product = np.zeros(width), np.zeros(width), np.zeros(width)
    for t in range(rows):
        share, lever = 1.0 / (t + 1.0), 0.5 * t
        slope = 12.0 / (t * (t + 1.0) * (t + 2.0)) if t else 0.0
        freedom = 1.0 / t if t else 0.0
        for j in range(width):
            off = x[t, j] - mean[j]
            mean[j] += off * share
            rest = x[t, j] - mean[j]
            square[j] += off * rest
            product[j] += lever * off  # (t + 1) / 2 rows from the mean row so far, times off * t / (t + 1)
            line[t, j] = mean[j] + product[j] * slope * lever
            deviation[t, j] = np.sqrt(square[j] * freedom)
    if whole and rows:
        slope = 12.0 / ((rows - 1.0) * rows * (rows + 1.0))
        for t in range(rows):
            for j in range(width):
                line[t, j] = mean[j] + product[j] * slope * (t - 0.5 * (rows - 1))
                deviation[t, j] = deviation[rows - 1, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _misses(x: Panel, middle: Panel, alpha: float, multiplier: float, upper: Panel, lower: Panel) -> None:
    """Lines at deviations from `middle` known two rows before: the root of the squares' exponential average."""
    rows, width = x.shape
    variance = np.zeros(width)
    upper[0] = x[0]
    lower[0] = x[0]
    for t in range(1, rows):
        for j in range(width):
            reach = np.sqrt(variance[j]) * multiplier
            upper[t, j] = middle[t, j] + reach
            lower[t, j] = middle[t, j] - reach
            miss = x[t - 1, j] - middle[t - 1, j]
            variance[j] = (1.0 - alpha) * variance[j] + alpha * miss * miss


KERNELS: Mapping[str, Kernel] = {
    "bbands": bbands,
    "percent_b": percent_b,
    "bandwidth": bandwidth,
    "accbands": accbands,
    "ma_envelopes": ma_envelopes,
    "stddev_channels": stddev_channels,
    "tos_stdevall": tos_stdevall,
    "hwc": hwc,
    "starc_bands": starc_bands,
}
