"""Rates of change, and what is made of them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.averages import ma_lookback
from common.catalogue.spec import Params
from worker.kernels.arithmetic import fused, smaller
from worker.kernels.linear_windows import linear_mean
from worker.kernels.moving_averages import average
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.recurrences import ema, exponential_average
from worker.kernels.windows import rolling_max, rolling_mean, rolling_min


def mom(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Difference from `period` rows before (TA-Lib MOM)."""
    (x,), (out,), period = inputs, outputs, int(p["period"])
    np.subtract(x[period:], x[:-period], out=out[period:])


def lag(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """The value `period` rows before."""
    (x,), (out,), period = inputs, outputs, int(p["period"])
    out[period:] = x[: len(x) - period]


def _rate(base: float, scale: float) -> Kernel:
    """The kernel of `change` over `period` rows."""

    def kernel(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        change(inputs[0], int(p["period"]), base, scale, outputs[0])

    return kernel


def percent_change(x: Panel, period: int, out: Panel) -> None:
    """Percent by which each row exceeds that of `period` rows before, from row `period` on."""
    change(x, period, 1.0, 100.0, out)


@njit(cache=True, nogil=True, error_model="numpy")
def change(x: Panel, period: int, base: float, scale: float, out: Panel) -> None:
    """(x - base * x before) / x before, times `scale`, from row `period` on; 0 where that is beyond all numbers."""
    size, begin = x.size, period * x.shape[1]
    befores, values, rates = x.reshape(size), x.reshape(size)[begin:], out.reshape(size)[begin:]
    for i in range(len(values)):
        before = befores[i]
        rate = (values[i] - base * before) / before * scale
        rates[i] = rate if abs(rate) < np.inf else 0.0


def log_return(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Logarithm of the ratio to `period` rows before; none where that has no logarithm."""
    (x,), (out,), period = inputs, outputs, int(p["period"])
    rates = out[period:]
    np.divide(x[period:], x[:-period], out=rates)
    np.log(rates, out=rates)
    rates[np.isinf(rates)] = np.nan


def roc_wb(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Rate of change, its exponential average, and its root mean square above and below zero."""
    (x,), (roc, mean, upper, lower), period = inputs, outputs, int(p["period"])
    window = int(p["deviation_period"])
    percent_change(x, period, roc)
    rates = roc[period:]
    ema(rates, int(p["smooth_period"]), mean[period:])
    np.square(rates, out=lower[period:])
    rolling_mean(lower[period:], window, upper[period:])
    np.maximum(upper, 0.0, out=upper)
    np.sqrt(upper, out=upper)
    np.negative(upper, out=lower)


def bias(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Distance from a moving average in parts of it; 0 from an average of 0."""
    (x,), (out,), kind, period = inputs, outputs, str(p["ma_type"]), int(p["period"])
    average(kind, x, period, out, scratch)
    begin = ma_lookback(kind, period)
    distance_in_parts(x[begin:], out[begin:], 1.0)


@njit(cache=True, nogil=True, error_model="numpy")
def distance_in_parts(x: Panel, base: Panel, scale: float) -> None:
    """Put (x - base) / base, times `scale`, in the place of `base`; 0 where that is beyond all numbers."""
    values, bases = x.reshape(x.size), base.reshape(x.size)
    for i in range(len(values)):
        rate = (values[i] - bases[i]) / bases[i] * scale
        bases[i] = rate if abs(rate) < np.inf else 0.0


def er(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Kaufman's efficiency ratio (TA-Lib ER)."""
    (x,), (out,), period = inputs, outputs, int(p["period"])
    _part_of_way(x, x, x, period, period, 1.0, out)


def vhf(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Span of the window over the way gone (TA-Lib VHF)."""
    (x,), (out,), period, top, bottom = inputs, outputs, int(p["period"]), scratch.panel(), scratch.panel()
    rolling_max(x, period, top)
    rolling_min(x, period, bottom)
    _part_of_way(x, top, bottom, 0, period, 0.0, out)


def kst(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Means of four rates of change, weighted 1 to 4, and the mean of their sum."""
    (x,), (line, signal), rate, mean = inputs, outputs, scratch.panel(), scratch.panel()
    line[:] = 0.0
    for weight in (1, 2, 3, 4):
        period, smooth = int(p[f"roc_period_{weight}"]), int(p[f"smooth_period_{weight}"])
        percent_change(x, period, rate)
        rolling_mean(rate[period:], smooth, mean[period:])
        mean *= float(weight)
        line += mean
    begin = max(int(p[f"roc_period_{n}"]) + int(p[f"smooth_period_{n}"]) for n in (1, 2, 3, 4)) - 1
    rolling_mean(line[begin:], int(p["signal_period"]), signal[begin:])


def pmo(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Ten times the change per row in percent, smoothed twice by 2 / period, and its exponential average."""
    (x,), (line, signal), rates = inputs, outputs, scratch.panel()
    period, smooth, length = int(p["period"]), int(p["smooth_period"]), int(p["signal_period"])
    percent_change(x, 1, rates)
    np.multiply(rates, 10.0, out=rates)
    exponential_average(rates[1:], period, 2.0 / period, rates[1:])
    exponential_average(rates[period:], smooth, 2.0 / smooth, line[period:])
    begin = period + smooth - 1
    ema(line[begin:], length, signal[begin:])


def trix(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Change in percent of the triple exponential average (TA-Lib TRIX)."""
    _trix(inputs[0], int(p["period"]), outputs[0])


def trixh(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """TRIX, its average, and the difference of the two."""
    (x,), (line, signal, histogram), period = inputs, outputs, int(p["period"])
    _trix(x, period, line)
    begin = 3 * (period - 1) + 1
    average(str(p["signal_ma_type"]), line[begin:], int(p["signal_period"]), signal[begin:], scratch)
    np.subtract(line, signal, out=histogram)


def coppock(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Weighted mean of two rates of change added up (TA-Lib COPPOCK)."""
    (x,), (out,), rates = inputs, outputs, scratch.panel()
    fast, slow = int(p["fast_period"]), int(p["slow_period"])
    begin = max(fast, slow)
    _two_changes(x, fast, slow, rates)
    linear_mean(rates[begin:], int(p["period"]), out[begin:])


@njit(cache=True, nogil=True, error_model="numpy")
def _two_changes(x: Panel, one: int, other: int, out: Panel) -> None:
    """Sum of the changes in percent from `one` and from `other` rows before, each as in `change`."""
    rows, width = x.shape
    begin, flat = max(one, other), x.reshape(x.size)
    values, sums = flat[begin * width :], out.reshape(x.size)[begin * width :]
    firsts, seconds = flat[(begin - one) * width :], flat[(begin - other) * width :]
    for i in range((rows - begin) * width):
        first = (values[i] - firsts[i]) / firsts[i] * 100.0
        second = (values[i] - seconds[i]) / seconds[i] * 100.0
        sums[i] = (first if abs(first) < np.inf else 0.0) + (second if abs(second) < np.inf else 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _trix(x: Panel, period: int, out: Panel) -> None:
    """Percent by which an exponential average of one of one exceeds that of the row before; 0 from an average of 0.

    Each is seeded with the mean of the first `period` values it is made of.
    """
    rows, width = x.shape
    alpha = 2.0 / (period + 1)
    lookback = 3 * (period - 1)
    level = np.zeros((3, width))
    for t in range(lookback + 1):
        for k in range(3):
            into = t - k * (period - 1)
            for j in range(width if into >= 0 else 0):
                value = x[t, j] if k == 0 else level[k - 1, j]
                if into < period:
                    level[k, j] += value
                    level[k, j] /= period if into == period - 1 else 1
                else:
                    level[k, j] = fused(value - level[k, j], alpha, level[k, j])
    if width == 1:
        a, b, c = level[0, 0], level[1, 0], level[2, 0]
        for t in range(lookback + 1, rows):
            before = c
            a = fused(x[t, 0] - a, alpha, a)
            b = fused(a - b, alpha, b)
            c = fused(b - c, alpha, c)
            rate = (c / before - 1.0) * 100.0
            out[t, 0] = rate if abs(rate) < np.inf else 0.0
        return
    once, twice, thrice = level[0], level[1], level[2]
    for t in range(lookback + 1, rows):
        for j in range(width):
            once[j] = fused(x[t, j] - once[j], alpha, once[j])
            twice[j] = fused(once[j] - twice[j], alpha, twice[j])
        for j in range(width):
            before = thrice[j]
            thrice[j] = fused(twice[j] - before, alpha, before)
            rate = (thrice[j] / before - 1.0) * 100.0
            out[t, j] = rate if abs(rate) < np.inf else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _part_of_way(x: Panel, to: Panel, since: Panel, lag: int, period: int, unmoved: float, out: Panel) -> None:
    """Distance of `to` from `since` of `lag` rows before over the way `x` has gone in the last `period` steps.

    From row `period` on; `unmoved` where it has not moved. Windows are put together as in `windows.py`, from row 1 on,
    the first to have one before it; what that leaves in the rows before the lookback means nothing.
    """
    rows, width = x.shape
    way = np.empty(width)
    out[: period + 1] = 0.0
    for start in range(1, rows, period):
        end = min(start + period, rows)
        if width == 1:
            gone = 0.0
            for t in range(start - 1, max(start - period, 0), -1):
                gone += abs(x[t, 0] - x[t - 1, 0])
                out[min(t + period, end) - 1, 0] = gone
            if end == start + period:
                out[end - 1, 0] = 0.0
            gone = 0.0
            for t in range(start, end):
                gone += abs(x[t, 0] - x[t - 1, 0])
                out[t, 0] += gone
            continue
        way[:] = 0.0
        for t in range(start - 1, max(start - period, 0), -1):
            into = min(t + period, end) - 1
            for j in range(width):
                way[j] += abs(x[t, j] - x[t - 1, j])
                out[into, j] = way[j]
        if end == start + period:
            out[end - 1] = 0.0
        way[:] = 0.0
        for t in range(start, end):
            before = max(t - lag, 0)
            for j in range(width):
                way[j] += abs(x[t, j] - x[t - 1, j])
                part, whole = abs(to[t, j] - since[before, j]), out[t, j] + way[j]
                share = smaller(part / whole, 1.0)  # before the choice, which then takes no branch
                out[t, j] = share if whole > 0.0 else unmoved
    if width == 1:
        ends, begins, parts = to.reshape(rows)[period:], since.reshape(rows)[period - lag :], out.reshape(rows)[period:]
        for i in range(rows - period):
            part, whole = abs(ends[i] - begins[i]), parts[i]
            share = smaller(part / whole, 1.0)
            parts[i] = share if whole > 0.0 else unmoved


KERNELS: Mapping[str, Kernel] = {
    "mom": mom,
    "lag": lag,
    "roc": _rate(1.0, 100.0),
    "rocp": _rate(1.0, 1.0),
    "rocr": _rate(0.0, 1.0),
    "rocr100": _rate(0.0, 100.0),
    "log_return": log_return,
    "roc_wb": roc_wb,
    "bias": bias,
    "er": er,
    "vhf": vhf,
    "kst": kst,
    "pmo": pmo,
    "coppock": coppock,
    "trix": trix,
    "trixh": trixh,
}
