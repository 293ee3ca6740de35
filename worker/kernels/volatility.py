"""Volatility: ranges of bars, deviations of returns, distances from a peak."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.averages import ma_lookback
from common.catalogue.spec import Params
from worker.kernels.arithmetic import fused, larger, smaller
from worker.kernels.moving_averages import average
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.windows import rolling_max, rolling_mean, rolling_min, rolling_moments, rolling_sum

_PIECE = 512


def trange(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """True range (TA-Lib TRANGE)."""
    high, low, close = inputs
    true_range(high, low, close, outputs[0])


def atr(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Average true range (TA-Lib ATR by Wilder's average)."""
    average_range(str(p["convention"]), inputs, int(p["period"]), outputs[0], scratch)


def natr(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Average true range in percent of the close (TA-Lib NATR)."""
    high, low, close = inputs
    normalized_true_range(high, low, close, int(p["period"]), outputs[0])


def adr(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Mean range of a bar (TA-Lib ADR)."""
    (high, low), span = inputs, scratch.panel()
    np.subtract(high, low, out=span)
    rolling_mean(span, int(p["period"]), outputs[0])


def cvi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Rate of change of the average range (TA-Lib CVI)."""
    high, low = inputs
    _change_of_range(high, low, int(p["period"]), int(p["change_period"]), scratch.panel(), outputs[0])


def massi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Sum of ratios of the average range to its own average (TA-Lib MASSI)."""
    (high, low), bulge = inputs, scratch.panel()
    fast, slow = int(p["fast_period"]), int(p["slow_period"])
    begin = 2 * (fast - 1)
    _bulge(high, low, fast, float(slow), bulge)  # as large as the window is long, so that its mean is the sum
    rolling_mean(bulge[begin:], slow, outputs[0][begin:])


def rvi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Dorsey's Relative Volatility Index (TA-Lib RVI)."""
    (x,), (out,), deviation = inputs, outputs, scratch.panel()
    length = int(p["deviation_period"])
    rolling_moments(x, length, out, deviation)
    _share_of_rises(x, deviation, length - 1, int(p["period"]), out)


def historical_volatility(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Standard deviation of returns over a year, in percent; NaN where a return is not defined."""
    (x,), (out,), returns, mean = inputs, outputs, scratch.panel(), scratch.panel()
    period = int(p["period"])
    np.divide(x[1:], x[:-1], out=returns[1:])
    if p["returns"] == "log":
        np.log(returns[1:], out=returns[1:])
    freedom = period - 1 if p["convention"] == "sample" else period
    rolling_moments(returns[1:], period, mean[1:], out[1:])
    np.multiply(out[period:], 100.0 * (float(p["periods_per_year"]) * period / freedom) ** 0.5, out=out[period:])
    mean[period:] *= 0.0  # NaN where a return is NaN or infinite, which a deviation, cut at zero, does not show
    out[period:] += mean[period:]


def ulcer_index(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Root of the mean square of drops from the highest value of the window."""
    (x,), (out,), fall = inputs, outputs, scratch.panel()
    period = int(p["period"])
    first = period - 1
    rolling_max(x, period, out)
    np.subtract(x, out, out=fall)
    ratio(fall[first:], out[first:], 100.0, 0.0, fall[first:])
    fall[first:] *= fall[first:]
    rolling_mean(fall[first:], period, out[first:])
    np.sqrt(out[2 * first :], out=out[2 * first :])


def chop(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Logarithm of the way gone in terms of the range covered, in percent of the most there can be."""
    (high, low, close), (out,), a, b = inputs, outputs, scratch.panel(), scratch.panel()
    period = int(p["period"])
    if p["extremes"] == "true_range":
        np.maximum(high[1:], close[:-1], out=a[1:])
        rolling_max(a[1:], period, b[1:])
        np.minimum(low[1:], close[:-1], out=a[1:])
        rolling_min(a[1:], period, out[1:])
    else:
        rolling_max(high[1:], period, b[1:])
        rolling_min(low[1:], period, out[1:])
    np.subtract(b[period:], out[period:], out=b[period:])
    true_range(high, low, close, a)
    rolling_sum(a[1:], period, out[1:])
    known = out[period:]
    ratio(known, b[period:], 1.0, float(period), known)
    np.log10(known, out=known)
    known *= 100.0 / np.log10(period)


def thermo(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Elder's Market Thermometer and its average."""
    (high, low), (reach, mean, quiet, explosive) = inputs, outputs
    period, kind = int(p["period"]), str(p["ma_type"])
    _reach(high, low, float(p["convention"] == "absolute"), reach)
    average(kind, reach[1:], period, mean[1:], scratch)
    known = slice(1 + ma_lookback(kind, period), None)
    for name, flag, compare in (("quiet", quiet, np.less), ("explosive", explosive, np.greater)):
        np.multiply(mean[known], float(p[f"{name}_multiplier"]), out=flag[known])
        compare(reach[known], flag[known], out=flag[known])


def pdist(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Way a price goes at least: twice the range and the gap, without the body."""
    (opened, high, low, close), (out,), part = inputs, outputs, scratch.panel()
    np.subtract(high, low, out=out)
    out *= 2.0
    np.subtract(opened[1:], close[:-1], out=part[1:])
    np.abs(part[1:], out=part[1:])
    out[1:] += part[1:]
    np.subtract(close, opened, out=part)
    np.abs(part, out=part)
    out -= part


def drawdown(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Distance from the highest value so far: in price, percent and as a logarithm."""
    (x,), (fall, percent, logarithm) = inputs, outputs
    _below_peak(x, fall, percent, logarithm)
    np.log(logarithm, out=logarithm)


def average_range(convention: str, bars: Sequence[Panel], period: int, out: Panel, scratch: Scratch) -> None:
    """Average of the true range of (high, low, close) from row `period` on: by Wilder, exponential or simple."""
    high, low, close = bars
    if convention == "wilder":
        average_true_range(high, low, close, period, out)
        return
    span = scratch.panel()
    true_range(high, low, close, span)
    average(convention, span[1:], period, out[1:], scratch)


@njit(cache=True, nogil=True, error_model="numpy")
def true_range(high: Panel, low: Panel, close: Panel, out: Panel) -> None:
    """Span of a bar and the close before it, from row 1 on; row 0, which has none before, is high - low."""
    rows, width = high.shape
    for j in range(width):
        out[0, j] = high[0, j] - low[0, j]
    if width == 1:
        for t in range(1, rows):
            out[t, 0] = larger(high[t, 0], close[t - 1, 0]) - smaller(low[t, 0], close[t - 1, 0])
        return
    for t in range(1, rows):
        for j in range(width):
            out[t, j] = larger(high[t, j], close[t - 1, j]) - smaller(low[t, j], close[t - 1, j])


@njit(cache=True, nogil=True, error_model="numpy")
def average_true_range(high: Panel, low: Panel, close: Panel, period: int, out: Panel) -> None:
    """Wilder's average of the true range from row `period` on, there the mean of rows 1 to `period` (TA-Lib ATR)."""
    _average_true_range(high, low, close, period, False, out)


@njit(cache=True, nogil=True, error_model="numpy")
def normalized_true_range(high: Panel, low: Panel, close: Panel, period: int, out: Panel) -> None:
    """`average_true_range` in percent of the close, 0 where that is zero (TA-Lib NATR)."""
    _average_true_range(high, low, close, period, True, out)


@njit(cache=True, nogil=True, error_model="numpy")
def _average_true_range(high: Panel, low: Panel, close: Panel, period: int, percent: bool, out: Panel) -> None:
    rows, width = high.shape
    if rows <= period:
        return
    alpha = 1.0 / period
    keep = 1.0 - alpha
    mean = np.zeros(width)
    for t in range(1, period):
        for j in range(width):
            mean[j] += larger(high[t, j], close[t - 1, j]) - smaller(low[t, j], close[t - 1, j])
    for j in range(width):
        last = larger(high[period, j], close[period - 1, j]) - smaller(low[period, j], close[period - 1, j])
        mean[j] = (mean[j] + last) / period
        out[period, j] = mean[j]
    if width == 1:
        value = mean[0]
        for t in range(period + 1, rows):
            span = larger(high[t, 0], close[t - 1, 0]) - smaller(low[t, 0], close[t - 1, 0])
            value = fused(value, keep, span * alpha)
            out[t, 0] = value
        if percent:
            values, closes = out[period:].ravel(), close[period:].ravel()
            for i in range(values.size):
                share = values[i] / closes[i] * 100.0  # before the choice, which then takes no branch
                values[i] = 0.0 if closes[i] == 0.0 else share
        return
    for t in range(period, rows):
        if t > period:
            for j in range(width):
                span = larger(high[t, j], close[t - 1, j]) - smaller(low[t, j], close[t - 1, j])
                mean[j] = fused(mean[j], keep, span * alpha)
                out[t, j] = mean[j]
        if percent:
            for j in range(width):
                share = mean[j] / close[t, j] * 100.0
                out[t, j] = 0.0 if close[t, j] == 0.0 else share


@njit(cache=True, nogil=True, error_model="numpy")
def ratio(x: Panel, base: Panel, factor: float, empty: float, out: Panel) -> None:
    """Quotient of `x` and `base` times `factor`, `empty` where base is zero. May work in place."""
    a, b, c = x.ravel(), base.ravel(), out.ravel()
    piece = np.empty(_PIECE)  # between input and output, which may be one: vector code needs to know them apart
    for start in range(0, a.size, _PIECE):
        length = min(_PIECE, a.size - start)
        for i in range(length):
            quotient = a[start + i] / b[start + i] * factor  # before the choice, which then takes no branch
            piece[i] = empty if b[start + i] == 0.0 else quotient
        c[start : start + length] = piece[:length]


@njit(cache=True, nogil=True, error_model="numpy")
def _change_of_range(high: Panel, low: Panel, period: int, lag: int, average: Panel, out: Panel) -> None:
    """Change over `lag` rows of the exponential average of the range, in percent; 0 where it was zero.

    `average` is written from row period - 1 on, `out` from `lag` rows later on.
    """
    rows, width = high.shape
    alpha = 2.0 / (period + 1)
    keep = 1.0 - alpha
    begin = period - 1
    mean = np.zeros(width)
    for t in range(period):
        for j in range(width):
            mean[j] += high[t, j] - low[t, j]
    for j in range(width):
        mean[j] /= period
        average[begin, j] = mean[j]
    if width == 1:
        value = mean[0]
        for t in range(period, rows):
            value = fused(value, keep, (high[t, 0] - low[t, 0]) * alpha)
            average[t, 0] = value
    else:
        for t in range(period, rows):
            for j in range(width):
                mean[j] = fused(mean[j], keep, (high[t, j] - low[t, j]) * alpha)
                average[t, j] = mean[j]
    now, before, change = average[begin + lag :].ravel(), average[begin:].ravel(), out[begin + lag :].ravel()
    for i in range(now.size):
        percent = (now[i] - before[i]) / before[i] * 100.0  # before the choice, which then takes no branch
        change[i] = 0.0 if before[i] == 0.0 else percent


@njit(cache=True, nogil=True, error_model="numpy")
def _bulge(high: Panel, low: Panel, period: int, scale: float, out: Panel) -> None:
    """`scale` times the average of the range by that average's own average, both exponential; `scale` where it is zero.

    Written from row 2 * (period - 1) on.
    """
    rows, width = high.shape
    alpha = 2.0 / (period + 1)
    keep = 1.0 - alpha
    begin = 2 * (period - 1)
    mean, again = np.zeros(width), np.zeros(width)
    for t in range(period):
        for j in range(width):
            mean[j] += high[t, j] - low[t, j]
    mean /= period
    again += mean
    for t in range(period, begin + 1):
        for j in range(width):
            mean[j] = fused(mean[j], keep, (high[t, j] - low[t, j]) * alpha)
            again[j] += mean[j]
    again /= period
    for j in range(width):
        quotient = mean[j] / again[j] * scale  # before the choice, which then takes no branch
        out[begin, j] = scale if again[j] == 0.0 else quotient
    if width == 1:
        a, b = mean[0], again[0]
        for t in range(begin + 1, rows):
            a = fused(a, keep, (high[t, 0] - low[t, 0]) * alpha)
            b = fused(b, keep, a * alpha)
            quotient = a / b * scale
            out[t, 0] = scale if b == 0.0 else quotient
        return
    for t in range(begin + 1, rows):
        for j in range(width):
            mean[j] = fused(mean[j], keep, (high[t, j] - low[t, j]) * alpha)
            again[j] = fused(again[j], keep, mean[j] * alpha)
            quotient = mean[j] / again[j] * scale
            out[t, j] = scale if again[j] == 0.0 else quotient


@njit(cache=True, nogil=True, error_model="numpy")
def _share_of_rises(x: Panel, deviation: Panel, first: int, period: int, out: Panel) -> None:
    """Wilder's average of the deviations of rows where `x` rose, in percent of that of rows where it moved at all.

    `deviation` has values from row `first` on, `out` from row `first` + period - 1 on: 50 where both averages are zero.
    """
    rows, width = x.shape
    alpha = 1.0 / period
    keep = 1.0 - alpha
    begin = first + period - 1
    rise, fall = np.zeros(width), np.zeros(width)
    for t in range(first, begin + 1):
        for j in range(width):
            change = x[t, j] - x[t - 1, j]
            rise[j] += deviation[t, j] if change > 0.0 else 0.0
            fall[j] += deviation[t, j] if change < 0.0 else 0.0
    rise /= period
    fall /= period
    for j in range(width):
        total = rise[j] + fall[j]
        share = 100.0 * (rise[j] / total)  # before the choice, which then takes no branch
        out[begin, j] = 50.0 if total == 0.0 else share
    if width == 1:
        a, b = rise[0], fall[0]
        for t in range(begin + 1, rows):
            change, part = x[t, 0] - x[t - 1, 0], deviation[t, 0] * alpha
            a = fused(a, keep, part if change > 0.0 else 0.0)
            b = fused(b, keep, part if change < 0.0 else 0.0)
            total = a + b
            share = 100.0 * (a / total)
            out[t, 0] = 50.0 if total == 0.0 else share
        return
    for t in range(begin + 1, rows):
        for j in range(width):
            change, part = x[t, j] - x[t - 1, j], deviation[t, j] * alpha
            rise[j] = fused(rise[j], keep, part if change > 0.0 else 0.0)
            fall[j] = fused(fall[j], keep, part if change < 0.0 else 0.0)
            total = rise[j] + fall[j]
            share = 100.0 * (rise[j] / total)
            out[t, j] = 50.0 if total == 0.0 else share


@njit(cache=True, nogil=True, error_model="numpy")
def _reach(high: Panel, low: Panel, inward: float, out: Panel) -> None:
    """How far a bar reaches out of the one before, from row 1 on; `inward` (0 or 1) weighs how far it stays inside."""
    rows, width = high.shape
    for t in range(1, rows):
        for j in range(width):
            up, down = high[t, j] - high[t - 1, j], low[t - 1, j] - low[t, j]
            out[t, j] = larger(larger(up, down), inward * larger(-up, -down))


@njit(cache=True, nogil=True, error_model="numpy")
def _below_peak(x: Panel, fall: Panel, percent: Panel, times: Panel) -> None:
    """Distance from the highest value so far, in percent of it, and it by the value; NaN where not positive."""
    rows, width = x.shape
    peak = x[0].copy()
    for t in range(rows):
        for j in range(width):
            peak[j] = larger(x[t, j], peak[j])
            fall[t, j] = peak[j] - x[t, j]
        for j in range(width):
            share = fall[t, j] / peak[j] * 100.0
            percent[t, j] = share if peak[j] > 0.0 else np.nan
        for j in range(width):
            multiple = peak[j] / x[t, j]
            times[t, j] = multiple if x[t, j] > 0.0 else np.nan


KERNELS: Mapping[str, Kernel] = {
    "trange": trange,
    "atr": atr,
    "natr": natr,
    "adr": adr,
    "cvi": cvi,
    "massi": massi,
    "rvi": rvi,
    "historical_volatility": historical_volatility,
    "ulcer_index": ulcer_index,
    "chop": chop,
    "thermo": thermo,
    "pdist": pdist,
    "drawdown": drawdown,
}
