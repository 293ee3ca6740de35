"""Stops that follow the price."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.averages import ma_lookback
from common.catalogue.spec import Params
from worker.kernels.arithmetic import chosen, fused, larger, smaller
from worker.kernels.moving_averages import average
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.price_transform import heikin_ashi
from worker.kernels.volatility import average_true_range, true_range
from worker.kernels.windows import rolling_max, rolling_mean, rolling_min


def sar(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Wilder's parabolic stop and reverse (TA-Lib SAR)."""
    (high, low), step, limit = inputs, float(p["acceleration"]), float(p["maximum"])
    _parabolic(high, low, (0.0, 0.0, step, step, limit, step, step, limit), False, outputs[0])


def sarext(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """The same with all it can be started and driven with, negative while short (TA-Lib SAREXT)."""
    high, low = inputs
    _parabolic(high, low, tuple(float(p[name]) for name in _SAREXT_NUMBERS), True, outputs[0])


_SAREXT_NUMBERS = (
    "start_value",
    "offset_on_reverse",
    *(f"acceleration_{what}{side}" for side in ("long", "short") for what in ("init_", "", "max_")),
)


def supertrend(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Bands around the middle of the bar that only tighten (TA-Lib SUPERTREND)."""
    (high, low, close), (line, trend) = inputs, outputs
    _supertrend(high, low, close, int(p["period"]), float(p["multiplier"]), line, trend)


def supertrend_heikin_ashi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """The same of Heikin-Ashi bars."""
    (opened, high, low, close), (line, trend) = inputs, outputs
    ha_high, ha_low, ha_close = scratch.panel(), scratch.panel(), scratch.panel()
    heikin_ashi(opened, high, low, close, line, ha_high, ha_low, ha_close)
    _supertrend(ha_high, ha_low, ha_close, int(p["period"]), float(p["multiplier"]), line, trend)


def chandelier_exit(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Hung below the highest high and above the lowest low."""
    (high, low, close), (long, short), span = inputs, outputs, scratch.panel()
    period = int(p["period"])
    average_true_range(high, low, close, period, span)
    span = span[period:]
    span *= float(p["multiplier"])
    rolling_max(high, period, long)
    rolling_min(low, period, short)
    long[period:] -= span
    short[period:] += span


def chande_kroll_stop(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """The highest of the stops below highest highs, the lowest of those above lowest lows."""
    (high, low, close), (long, short), span, first = inputs, outputs, scratch.panel(), scratch.panel()
    period, stop_period = int(p["period"]), int(p["stop_period"])
    if p["convention"] == "sma":
        true_range(high, low, close, first)
        rolling_mean(first[1:], period, span[1:])
    else:
        average_true_range(high, low, close, period, span)
    rows = slice(period, None)
    span = span[rows]
    span *= float(p["multiplier"])
    rolling_max(high, period, first)
    first[rows] -= span
    rolling_max(first[rows], stop_period, long[rows])
    rolling_min(low, period, first)
    first[rows] += span
    rolling_min(first[rows], stop_period, short[rows])


def atr_stop(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Bands around the close, or outside the bar, that only tighten."""
    (high, low, close), (stop, trend), atr = inputs, outputs, scratch.panel()
    average_true_range(high, low, close, int(p["period"]), atr)
    above, below = (high, low) if p["prices"] == "high_low" else (close, close)
    _atr_stop(above, below, close, atr, int(p["period"]), float(p["multiplier"]), stop, trend)


def volatility_stop(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Wilder's stop behind the best close of a trade."""
    (high, low, close), (stop, trend, reversal), atr = inputs, outputs, scratch.panel()
    average_true_range(high, low, close, int(p["period"]), atr)
    _volatility_stop(close, atr, int(p["period"]), float(p["multiplier"]), stop, trend, reversal)


def pmax(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Bands around a moving average that only tighten."""
    (x, high, low, close), (stop, trend), mean, atr = inputs, outputs, scratch.panel(), scratch.panel()
    period, ma_period, kind = int(p["period"]), int(p["ma_period"]), str(p["ma_type"])
    average_true_range(high, low, close, period, atr)
    average(kind, x, ma_period, mean, scratch)
    first = max(period, ma_lookback(kind, ma_period))
    _profit_maximizer(mean, atr, first, float(p["multiplier"]), stop, trend)


def hilo(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """The average of the lows or of the highs, whichever is behind the price."""
    (high, low, close), (line, trend), above, below = inputs, outputs, scratch.panel(), scratch.panel()
    kind, high_period, low_period = str(p["ma_type"]), int(p["high_period"]), int(p["low_period"])
    average(kind, high, high_period, above, scratch)
    average(kind, low, low_period, below, scratch)
    first = max(ma_lookback(kind, high_period), ma_lookback(kind, low_period))
    _activator(close, above, below, first, line, trend)


@njit(cache=True, nogil=True, error_model="numpy")
def _parabolic(high: Panel, low: Panel, numbers: tuple[float, ...], signed: bool, out: Panel) -> None:
    """Write the stop from row 1 on, where `signed` says so times -1 while short; `numbers` are _SAREXT_NUMBERS.

    A short position is a long one in a mirror: with prices times `side`, -1 while short, the stop is below and the
    extreme above, so both are one case. In the mirror, `near` is the price on the side of the stop, `far` the other.
    """
    rows, width = high.shape
    start, offset, first_long, step_long, limit_long, first_short, step_short, limit_short = numbers
    first_long, step_long = smaller(first_long, limit_long), smaller(step_long, limit_long)
    first_short, step_short = smaller(first_short, limit_short), smaller(step_short, limit_short)
    side, stop, extreme, factor = np.empty(width), np.empty(width), np.empty(width), np.empty(width)
    for j in range(width):
        fell, rose = low[0, j] - low[1, j], high[1, j] - high[0, j]
        up = start > 0.0 or (start == 0.0 and not (fell > 0.0 and fell > rose))
        side[j] = 1.0 if up else -1.0
        before = low[0, j] if up else high[0, j]
        stop[j] = side[j] * (before if start == 0.0 else abs(start))
        extreme[j] = high[1, j] if up else -low[1, j]
        factor[j] = first_long if up else first_short
    if width == 1:
        s, level, e, f = side[0], stop[0], extreme[0], factor[0]
        near_before, far_before = (low[1, 0], high[1, 0]) if s > 0.0 else (-high[1, 0], -low[1, 0])
        for t in range(1, rows):
            near, far = (low[t, 0], high[t, 0]) if s > 0.0 else (-high[t, 0], -low[t, 0])
            if near <= level:
                level = larger(far, e)
                level += level * (s * offset)
                out[t, 0] = -level if signed else s * level
                f = first_short if s > 0.0 else first_long
                e = near
                level = -larger(larger(fused(f, e - level, level), far_before), far)
                s, e = -s, -e
                near_before, far_before = -far, -near
                continue
            out[t, 0] = level if signed else s * level
            if far > e:
                e = far
                f = smaller(f + (step_long if s > 0.0 else step_short), limit_long if s > 0.0 else limit_short)
            level = smaller(smaller(fused(f, e - level, level), near_before), near)
            near_before, far_before = near, far
        return
    for t in range(1, rows):
        last = max(t - 1, 1)
        for j in range(width):
            s, level, e, f = side[j], stop[j], extreme[j], factor[j]
            up = s > 0.0
            near, far = chosen(up, low[t, j], -high[t, j]), chosen(up, high[t, j], -low[t, j])
            near_before, far_before = (
                chosen(up, low[last, j], -high[last, j]),
                chosen(up, high[last, j], -low[last, j]),
            )
            hit = near <= level
            best = larger(far, e)
            grown = smaller(f + chosen(up, step_long, step_short), chosen(up, limit_long, limit_short))
            f = chosen(hit, chosen(up, first_short, first_long), chosen(far > e, grown, f))
            level = chosen(hit, best + best * (s * offset), level)
            e = chosen(hit, near, best)
            moved = fused(f, e - level, level)
            inside, outside = smaller(smaller(moved, near_before), near), larger(larger(moved, far_before), far)
            turned = chosen(hit, -1.0, 1.0)
            out[t, j] = level * chosen(signed, turned, s)
            stop[j] = turned * chosen(hit, outside, inside)
            extreme[j] = turned * e
            factor[j] = f
            side[j] = turned * s


@njit(cache=True, nogil=True, error_model="numpy")
def _supertrend(
    high: Panel, low: Panel, close: Panel, period: int, multiplier: float, line: Panel, trend: Panel
) -> None:
    """Write the band behind the price and the trend from row `period` on.

    Each band moves towards the price, and away from it only after a close beyond the band.
    """
    rows, width = high.shape
    alpha = 1.0 / period
    atr, upper, lower = np.zeros(width), np.empty(width), np.empty(width)
    for t in range(1, period + 1):
        for j in range(width):
            atr[j] += larger(high[t, j], close[t - 1, j]) - smaller(low[t, j], close[t - 1, j])
    for j in range(width):
        atr[j] /= period
        middle = (high[period, j] + low[period, j]) / 2.0
        upper[j] = middle + multiplier * atr[j]
        lower[j] = middle - multiplier * atr[j]
        line[period, j] = lower[j]
        trend[period, j] = 1.0
    if width == 1:
        mean, above, below, side = atr[0], upper[0], lower[0], 1.0
        before = close[period, 0]
        for t in range(period + 1, rows):
            span = larger(high[t, 0], before) - smaller(low[t, 0], before)
            mean = fused(span - mean, alpha, mean)
            middle = (high[t, 0] + low[t, 0]) / 2.0
            ceiling, floor = middle + multiplier * mean, middle - multiplier * mean
            above = ceiling if before > above else smaller(ceiling, above)
            below = floor if before < below else larger(floor, below)
            before = close[t, 0]
            side = (-1.0 if before < below else 1.0) if side > 0.0 else (1.0 if before > above else -1.0)
            line[t, 0] = below if side > 0.0 else above
            trend[t, 0] = side
        return
    for t in range(period + 1, rows):
        for j in range(width):
            before = close[t - 1, j]
            span = larger(high[t, j], before) - smaller(low[t, j], before)
            atr[j] = fused(span - atr[j], alpha, atr[j])
            middle = (high[t, j] + low[t, j]) / 2.0
            band = multiplier * atr[j]
            ceiling, floor = middle + band, middle - band
            above = chosen(before > upper[j], ceiling, smaller(ceiling, upper[j]))
            below = chosen(before < lower[j], floor, larger(floor, lower[j]))
            now = close[t, j]
            up = trend[t - 1, j] > 0.0
            side = chosen(up, chosen(now < below, -1.0, 1.0), chosen(now > above, 1.0, -1.0))
            line[t, j] = chosen(side > 0.0, below, above)
            trend[t, j] = side
            upper[j] = above
            lower[j] = below


@njit(cache=True, nogil=True, error_model="numpy")
def _atr_stop(
    above: Panel, below: Panel, close: Panel, atr: Panel, first: int, multiplier: float, stop: Panel, trend: Panel
) -> None:
    """Write the band behind the close and the trend from row `first` on.

    The bands are `multiplier` times `atr` over `above` and under `below`, and move as those of `_supertrend`. The trend
    turns on a close at the band; it starts with the direction of the close.
    """
    rows, width = close.shape
    upper, lower = np.full(width, np.inf), np.full(width, -np.inf)
    for j in range(width):
        trend[first - 1, j] = 1.0 if close[first, j] >= close[first - 1, j] else -1.0
    for t in range(first, rows):
        for j in range(width):
            before, now, band = close[t - 1, j], close[t, j], multiplier * atr[t, j]
            ceiling, floor = above[t, j] + band, below[t, j] - band
            ceiling = chosen(before > upper[j], ceiling, smaller(ceiling, upper[j]))
            floor = chosen(before < lower[j], floor, larger(floor, lower[j]))
            falls = now <= chosen(trend[t - 1, j] > 0.0, floor, ceiling)
            stop[t, j] = chosen(falls, ceiling, floor)
            trend[t, j] = chosen(falls, -1.0, 1.0)
            upper[j] = ceiling
            lower[j] = floor


@njit(cache=True, nogil=True, error_model="numpy")
def _volatility_stop(
    close: Panel, atr: Panel, period: int, multiplier: float, stop: Panel, trend: Panel, reversal: Panel
) -> None:
    """Write all three from row period + 1 on; the stop of a row is set by the rows before it.

    The first trade is in the direction of the first `period` closes. As in `_parabolic`, a short trade is a long one in
    a mirror.
    """
    rows, width = close.shape
    side, best = np.empty(width), np.empty(width)
    for j in range(width):
        side[j] = 1.0 if close[period - 1, j] > close[0, j] else -1.0
        best[j] = side[j] * close[0, j]
    for t in range(1, period + 1):
        for j in range(width):
            best[j] = larger(side[j] * close[t, j], best[j])
    for t in range(period + 1, rows):
        for j in range(width):
            s, level = side[j], best[j] - multiplier * atr[t - 1, j]
            price = s * close[t, j]
            hit = price < level
            turned = chosen(hit, -1.0, 1.0)
            stop[t, j] = s * level
            trend[t, j] = s
            reversal[t, j] = chosen(hit, 1.0, 0.0)
            best[j] = turned * chosen(hit, price, larger(price, best[j]))
            side[j] = turned * s


@njit(cache=True, nogil=True, error_model="numpy")
def _profit_maximizer(mean: Panel, atr: Panel, first: int, multiplier: float, stop: Panel, trend: Panel) -> None:
    """Write the band behind the average and the trend from row `first` on: `mean` is what moves the bands and trend."""
    rows, width = mean.shape
    upper, lower = np.empty(width), np.empty(width)
    for j in range(width):
        upper[j] = mean[first, j] + multiplier * atr[first, j]
        lower[j] = mean[first, j] - multiplier * atr[first, j]
        stop[first, j] = lower[j]
        trend[first, j] = 1.0
    for t in range(first + 1, rows):
        for j in range(width):
            now, band = mean[t, j], multiplier * atr[t, j]
            rises, falls = now > upper[j], now < lower[j]
            up = trend[t - 1, j] > 0.0
            side = chosen(up, chosen(falls, -1.0, 1.0), chosen(rises, 1.0, -1.0))
            ceiling = chosen(now < upper[j], smaller(now + band, upper[j]), now + band)
            floor = chosen(now > lower[j], larger(now - band, lower[j]), now - band)
            stop[t, j] = chosen(side > 0.0, floor, ceiling)
            trend[t, j] = side
            upper[j] = ceiling
            lower[j] = floor


@njit(cache=True, nogil=True, error_model="numpy")
def _activator(close: Panel, above: Panel, below: Panel, first: int, line: Panel, trend: Panel) -> None:
    """Write both from row first + 1 on; NaN until a close has left the averages of the row before."""
    rows, width = close.shape
    trend[first] = np.nan
    for t in range(first + 1, rows):
        for j in range(width):
            rises, falls = close[t, j] > above[t - 1, j], close[t, j] < below[t - 1, j]
            side = chosen(rises, 1.0, chosen(falls, -1.0, trend[t - 1, j]))
            trend[t, j] = side
            line[t, j] = chosen(side > 0.0, below[t, j], chosen(side < 0.0, above[t, j], np.nan))


KERNELS: Mapping[str, Kernel] = {
    "sar": sar,
    "sarext": sarext,
    "supertrend": supertrend,
    "supertrend_heikin_ashi": supertrend_heikin_ashi,
    "chandelier_exit": chandelier_exit,
    "chande_kroll_stop": chande_kroll_stop,
    "atr_stop": atr_stop,
    "volatility_stop": volatility_stop,
    "pmax": pmax,
    "hilo": hilo,
}
