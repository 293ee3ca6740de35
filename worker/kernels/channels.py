"""Channels of extremes and of ranges, and Bollinger Bands squeezed into them."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.averages import ma_lookback
from common.catalogue.spec import Params
from worker.kernels.bands import line_end, range_bands, spread
from worker.kernels.moving_averages import average
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.recurrences import ema
from worker.kernels.volatility import average_true_range, true_range
from worker.kernels.windows import rolling_max, rolling_mean, rolling_min, rolling_moments


def donchian(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Highest high, lowest low and what lies half way (TA-Lib DONCHIAN)."""
    (high, low), (upper, middle, lower), period = inputs, outputs, int(p["period"])
    rolling_max(high, period, upper)
    rolling_min(low, period, lower)
    _half_way(upper, lower, middle)


def kc(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Exponential average of the typical price and average true ranges from it (TA-Lib KC).

    Both start so late that their first values fall on one row, as in TA-Lib.
    """
    (x, high, low, close), (upper, middle, lower) = inputs, outputs
    period, atr_period = int(p["period"]), int(p["atr_period"])
    first = max(period - 1, atr_period)
    a, b = first - (period - 1), first - atr_period
    ema(x[a:], period, middle[a:])
    average_true_range(high[b:], low[b:], close[b:], atr_period, upper[b:])
    spread(middle, upper, float(p["multiplier"]), lower)


def keltner(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Moving average and average true ranges from it."""
    range_bands(str(p["ma_type"]), inputs, p, outputs, scratch)


def aberration(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Simple average of the typical price and one average true range from it."""
    (x, high, low, close), (upper, middle, lower, span) = inputs, outputs
    rolling_mean(x, int(p["period"]), middle)
    average_true_range(high, low, close, int(p["atr_period"]), span)
    np.add(middle, span, out=upper)
    np.subtract(middle, span, out=lower)


def fcb(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Last high and low that stood out among their neighbours."""
    (high, low), (upper, lower), around = inputs, outputs, scratch.panel()
    span = int(p["side_bars"])
    rolling_max(high, span, around)
    _last_fractal(high, around, span, 1.0, upper)
    rolling_min(low, span, around)
    _last_fractal(low, around, span, -1.0, lower)


def squeeze(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Smoothed momentum, and whether the Bollinger Bands lie within the Keltner channel."""
    close = inputs[2]
    momentum, on, off, neither = outputs
    _smooth_momentum(close, p, momentum, scratch)
    apart, deviation, span = _widths(inputs, p, scratch, int(p["bollinger_period"]), int(p["keltner_period"]))
    _tightness(
        apart, deviation, span, float(p["bollinger_multiplier"]), float(p["keltner_multiplier"]), on, off, neither
    )


def squeeze_pro(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """`squeeze` with three widths of the Keltner channel."""
    close = inputs[2]
    momentum, wide, normal, narrow, off, neither = outputs
    apart, deviation, span = _widths(inputs, p, scratch, int(p["bollinger_period"]), int(p["keltner_period"]))
    bollinger = float(p["bollinger_multiplier"])
    for on, name in ((narrow, "narrow_multiplier"), (normal, "normal_multiplier"), (wide, "wide_multiplier")):
        _tightness(apart, deviation, span, bollinger, float(p[name]), on, off, neither)  # the widest one stays
    _smooth_momentum(close, p, momentum, scratch)


def ttm_squeeze(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Carter's squeeze: the same flag, and a regression line through the distance from the middle of the market."""
    (high, low, close), (momentum, on), period, kind = inputs, outputs, int(p["period"]), str(p["ma_type"])
    apart, deviation, span = _widths(inputs, {**p, "ma_type": "sma"}, scratch, period, period)
    bollinger, keltner_width = float(p["bollinger_multiplier"]), float(p["keltner_multiplier"])
    _tightness(apart, deviation, span, bollinger, keltner_width, on, momentum, apart)
    first, highest, lowest, distance = max(ma_lookback(kind, period), period - 1), apart, deviation, span
    rolling_max(high, period, highest)
    rolling_min(low, period, lowest)
    _half_way(highest, lowest, distance)
    average(kind, close, period, highest, scratch)
    _half_way(distance, highest, lowest)
    np.subtract(close, lowest, out=distance)
    line_end(distance[first:], period, momentum[first:])


def _smooth_momentum(x: Panel, p: Params, out: Panel, scratch: Scratch) -> None:
    lag, change = int(p["momentum_period"]), scratch.panel()
    np.subtract(x[lag:], x[:-lag], out=change[lag:])
    average(str(p["ma_type"]), change[lag:], int(p["smooth_period"]), out[lag:], scratch)


def _widths(
    inputs: Sequence[Panel], p: Params, scratch: Scratch, bollinger_period: int, keltner_period: int
) -> tuple[Panel, Panel, Panel]:
    """How far the middle of the Bollinger Bands lies from that of the Keltner channel, and what makes their widths."""
    high, low, close = inputs
    kind = str(p["ma_type"])
    apart, deviation, span, middle = (scratch.panel() for _ in range(4))
    true_range(high, low, close, middle)
    average(kind, middle[1:], keltner_period, span[1:], scratch)
    rolling_moments(close, bollinger_period, apart, deviation)
    if bollinger_period == keltner_period:
        apart[:] = 0.0
    else:
        average(kind, close, bollinger_period, apart, scratch)
        average(kind, close, keltner_period, middle, scratch)
        np.subtract(apart, middle, out=apart)
    return apart, deviation, span


@njit(cache=True, nogil=True, error_model="numpy")
def _half_way(a: Panel, b: Panel, out: Panel) -> None:
    """Mean of `a` and `b`."""
    x, y, z = a.ravel(), b.ravel(), out.ravel()
    for i in range(x.size):
        z[i] = (x[i] + y[i]) / 2.0


@njit(cache=True, nogil=True, error_model="numpy")
def _last_fractal(x: Panel, around: Panel, span: int, sign: float, out: Panel) -> None:
    """Last value, `span` rows ago or earlier, beyond all `span` values on each side of it, from row 2 * `span` on.

    `around` are the extremes of windows of `span` rows; `sign` is 1 for highest, -1 for lowest values. NaN before any.
    """
    rows, width = x.shape
    last = np.full(width, np.nan)
    for t in range(2 * span, rows):
        for j in range(width):
            value = x[t - span, j] * sign
            stands_out = (value > around[t, j] * sign) & (value > around[t - span - 1, j] * sign)
            last[j] = x[t - span, j] if stands_out else last[j]
            out[t, j] = last[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _tightness(
    apart: Panel,
    deviation: Panel,
    span: Panel,
    of_deviation: float,
    of_span: float,
    within: Panel,
    beyond: Panel,
    neither: Panel,
) -> None:
    """Flags: bands of `of_deviation` deviations within, beyond, or across a channel of `of_span` ranges."""
    rows, width = apart.shape
    for t in range(rows):
        for j in range(width):
            distance, room = abs(apart[t, j]), of_span * span[t, j] - of_deviation * deviation[t, j]
            on, off = 1.0 if distance < room else 0.0, 1.0 if distance < -room else 0.0
            within[t, j] = on
            beyond[t, j] = off
            neither[t, j] = 1.0 - on - off


KERNELS: Mapping[str, Kernel] = {
    "donchian": donchian,
    "kc": kc,
    "keltner": keltner,
    "aberration": aberration,
    "fcb": fcb,
    "squeeze": squeeze,
    "squeeze_pro": squeeze_pro,
    "ttm_squeeze": ttm_squeeze,
}
