"""Oscillators made of filters, regressions and states."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.spec import Params
from worker.kernels import momentum, regression, volatility
from worker.kernels.arithmetic import fused, larger, smaller
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.recurrences import ema
from worker.kernels.windows import rolling_max, rolling_min, rolling_moments

_NOTHING = 1e-14
"""TA-Lib's zero (TA_EPSILON): a range or a movement that small beside the values counts as none."""

_CUT_FROM, _CUT_TO = 0.99, 0.999
"""Ehlers keeps values away from 1, where the Fisher transform is infinite."""


def stc(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Stochastic of the smoothed stochastic of a MACD, smoothed (Schaff)."""
    (x,), (out,) = inputs, outputs
    slow_average, highest, lowest = scratch.panel(), scratch.panel(), scratch.panel()
    slow, window, weight = int(p["slow_period"]), int(p["cycle_period"]), float(p["smoothing"])
    ema(x, int(p["fast_period"]), out)
    ema(x, slow, slow_average)
    begin = slow - 1
    np.subtract(out[begin:], slow_average[begin:], out=out[begin:])
    size = slow_average
    for _ in range(2):
        rolling_max(out[begin:], window, highest[begin:])
        rolling_min(out[begin:], window, lowest[begin:])
        begin += window - 1
        _smooth_place(out[begin:], highest[begin:], lowest[begin:], size[begin:], weight, out[begin:])
        size = highest


def fisher(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Fisher transform of the smoothed place of the price in its range (Ehlers)."""
    (x,), (line, signal), window = inputs, outputs, int(p["period"])
    rolling_max(x, window, line)
    rolling_min(x, window, signal)
    _fisher(x, window - 1, line, signal)


def rsx(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Jurik's smoothed RSI."""
    _rsx(inputs[0], 3.0 / (int(p["period"]) + 2), outputs[0])


def lrsi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """RSI of the four stages of a Laguerre filter (Ehlers)."""
    _laguerre_rsi(inputs[0], float(p["gamma"]), outputs[0])


def inertia(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """End of the regression line through the Relative Volatility Index, mean of those of highs and lows (Dorsey)."""
    (high, low), (out,), a, b = inputs, outputs, scratch.panel(), scratch.panel()
    deviations, smooth = int(p["deviation_period"]), int(p["rvi_period"])
    lengths: Params = {"period": smooth, "deviation_period": deviations}
    volatility.rvi((high,), lengths, (a,), scratch)
    volatility.rvi((low,), lengths, (b,), scratch)
    a += b
    a *= 0.5
    begin = deviations + smooth - 2
    regression.linearreg((a[begin:],), p, (out[begin:],), scratch)


def cti(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Correlation with a rising line (Ehlers): the slope in deviations of the values by those of the rows."""
    (x,), (out,), mean, deviation = inputs, outputs, scratch.panel(), scratch.panel()
    period = int(p["period"])
    rolling_moments(x, period, mean, deviation)
    regression.linearreg_slope(inputs, p, outputs, scratch)
    known = out[period - 1 :]
    volatility.ratio(known, deviation[period - 1 :], ((period * period - 1) / 12.0) ** 0.5, 0.0, known)
    np.clip(known, -1.0, 1.0, out=known)


def po(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Place of the close between projection bands (Widner)."""
    (high, low, close), rise, fall = inputs, scratch.panel(), scratch.panel()
    regression.linearreg_slope((high,), p, (rise,), scratch)
    regression.linearreg_slope((low,), p, (fall,), scratch)
    _place_in_projection(high, low, close, rise, fall, int(p["period"]), outputs[0])


def qqe(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Smoothed RSI and a level that trails it at the distance of its average movement (Ignatov)."""
    line, level, trend = outputs
    period, smooth = int(p["period"]), int(p["smooth_period"])
    length = 2 * period - 1
    momentum.rsi(inputs, p, (level,), scratch)
    ema(level[period:], smooth, line[period:])
    first = period + smooth
    np.subtract(line[first:], line[first - 1 : -1], out=level[first:])
    np.abs(level[first:], out=level[first:])
    ema(level[first:], length, level[first:])
    first += length - 1
    ema(level[first:], length, level[first:])
    first += length - 1
    _trail(line, first, float(p["multiplier"]), level, trend)


def ebsw(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Ehlers' Even Better Sinewave."""
    turn = 2.0 * np.pi / int(p["period"])
    width = 2.0**0.5 * np.pi / int(p["smooth_period"])
    decay = np.exp(-width)
    keep = (1.0 - np.sin(turn)) / np.cos(turn)
    _even_better_sinewave(inputs[0], float(keep), float(2.0 * decay * np.cos(width)), float(-decay * decay), outputs[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _smooth_place(x: Panel, highest: Panel, lowest: Panel, size: Panel, weight: float, out: Panel) -> None:
    """Place of `x` in its range in percent, smoothed; the last one where the range is nothing beside `size`.

    May work in place. Starts with the first place itself, 0 where there is none.
    """
    rows, width = x.shape
    place, smooth = np.zeros(width), np.zeros(width)
    for t in range(rows):
        step = weight if t > 0 else 1.0
        for j in range(width):
            span = highest[t, j] - lowest[t, j]
            found = 100.0 * ((x[t, j] - lowest[t, j]) / span)
            place[j] = found if span > _NOTHING * abs(size[t, j]) else place[j]
            smooth[j] = fused(place[j] - smooth[j], step, smooth[j])
            out[t, j] = smooth[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _fisher(x: Panel, first: int, line: Panel, signal: Panel) -> None:
    """`line` comes with the highest and `signal` with the lowest values. In the middle where there is no range."""
    rows, width = x.shape
    value, before = np.zeros(width), np.zeros(width)
    for t in range(first, rows):
        for j in range(width):
            span = line[t, j] - signal[t, j]
            place = (x[t, j] - signal[t, j]) / span - 0.5 if span > 0.0 else 0.0
            moved = 0.66 * place + 0.67 * value[j]
            value[j] = _CUT_TO if moved > _CUT_FROM else (-_CUT_TO if moved < -_CUT_FROM else moved)
            signal[t, j] = before[j]
            before[j] = 0.5 * np.log((1.0 + value[j]) / (1.0 - value[j])) + 0.5 * before[j]
            line[t, j] = before[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _rsx(x: Panel, alpha: float, out: Panel) -> None:
    """Changes and their sizes, each through three filters one after the other; 50 where nothing moves any more.

    A filter is 1.5 of an exponential average less 0.5 of its own average.
    """
    rows, width = x.shape
    keep = 1.0 - alpha
    change, size = np.zeros((6, width)), np.zeros((6, width))
    out[0] = 50.0
    for t in range(1, rows):
        for j in range(width):
            a = x[t, j] - x[t - 1, j]
            b = abs(a)
            for k in range(0, 6, 2):
                change[k, j] = keep * change[k, j] + alpha * a
                change[k + 1, j] = keep * change[k + 1, j] + alpha * change[k, j]
                a = 1.5 * change[k, j] - 0.5 * change[k + 1, j]
                size[k, j] = keep * size[k, j] + alpha * b
                size[k + 1, j] = keep * size[k + 1, j] + alpha * size[k, j]
                b = 1.5 * size[k, j] - 0.5 * size[k + 1, j]
            place = larger(smaller(50.0 * (a / b + 1.0), 100.0), 0.0)
            out[t, j] = place if b > 1e-12 * abs(x[t, j]) else 50.0


@njit(cache=True, nogil=True, error_model="numpy")
def _laguerre_rsi(x: Panel, gamma: float, out: Panel) -> None:
    """Share of the steps up among the steps between the stages; 0 where there are none.

    Written so that stages that have reached the price stay there to the bit.
    """
    rows, width = x.shape
    stage = np.empty((4, width))
    for k in range(4):
        stage[k] = x[0]
    out[0] = 0.0
    for t in range(1, rows):
        for j in range(width):
            a, b, c, d = stage[0, j], stage[1, j], stage[2, j], stage[3, j]
            stage[0, j] = fused(a - x[t, j], gamma, x[t, j])
            stage[1, j] = fused(b - stage[0, j], gamma, a)
            stage[2, j] = fused(c - stage[1, j], gamma, b)
            stage[3, j] = fused(d - stage[2, j], gamma, c)
            first, second, third = stage[0, j] - stage[1, j], stage[1, j] - stage[2, j], stage[2, j] - stage[3, j]
            up = larger(first, 0.0) + larger(second, 0.0) + larger(third, 0.0)
            moved = abs(first) + abs(second) + abs(third)
            share = up / moved
            out[t, j] = share if moved > _NOTHING * abs(x[t, j]) else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _place_in_projection(high: Panel, low: Panel, x: Panel, rise: Panel, fall: Panel, period: int, out: Panel) -> None:
    """Place of `x` in percent between the highest high and the lowest low, each moved on by its slope."""
    rows, width = x.shape
    top, bottom = np.empty(width), np.empty(width)
    for t in range(period - 1, rows):
        top[:] = high[t]
        bottom[:] = low[t]
        for k in range(1, period):
            for j in range(width):
                top[j] = larger(fused(rise[t, j], float(k), high[t - k, j]), top[j])
            for j in range(width):
                bottom[j] = smaller(fused(fall[t, j], float(k), low[t - k, j]), bottom[j])
        for j in range(width):
            span = top[j] - bottom[j]
            place = 100.0 * ((x[t, j] - bottom[j]) / span)
            out[t, j] = place if span > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _trail(line: Panel, first: int, factor: float, level: Panel, trend: Panel) -> None:
    """`level` comes with the average movement. It follows the line at `factor` of that, and never moves away from it.

    Starts below the line. The line crossing it changes sides.
    """
    rows, width = line.shape
    for j in range(width):
        level[first, j] = line[first, j] - factor * level[first, j]
        trend[first, j] = 1.0
    for t in range(first + 1, rows):
        for j in range(width):
            last, now, before = level[t - 1, j], line[t, j], line[t - 1, j]
            below, above = now - factor * level[t, j], now + factor * level[t, j]
            below = larger(below, last) if before > last else below
            above = smaller(above, last) if before < last else above
            level[t, j] = below if now > last else (above if now < last else last)
            trend[t, j] = 1.0 if now > last else (-1.0 if now < last else trend[t - 1, j])


@njit(cache=True, nogil=True, error_model="numpy")
def _even_better_sinewave(x: Panel, keep: float, again: float, twice: float, out: Panel) -> None:
    """High pass, super smoother (`again` and `twice` weigh its last two values), then mean by root mean square.

    Both filters start at 0; 0 where nothing moves.
    """
    rows, width = x.shape
    new = 1.0 - again - twice
    pass_, last, older = np.zeros(width), np.zeros(width), np.zeros(width)
    out[0] = 0.0
    for t in range(1, rows):
        for j in range(width):
            fast = 0.5 * (1.0 + keep) * (x[t, j] - x[t - 1, j]) + keep * pass_[j]
            smooth = new * (fast + pass_[j]) / 2.0 + again * last[j] + twice * older[j]
            wave = (smooth + last[j] + older[j]) / 3.0
            power = (smooth * smooth + last[j] * last[j] + older[j] * older[j]) / 3.0
            found = larger(smaller(wave / np.sqrt(power), 1.0), -1.0)
            out[t, j] = found if power > 0.0 else 0.0
            pass_[j], older[j], last[j] = fast, last[j], smooth


KERNELS: Mapping[str, Kernel] = {
    "stc": stc,
    "fisher": fisher,
    "rsx": rsx,
    "lrsi": lrsi,
    "inertia": inertia,
    "cti": cti,
    "po": po,
    "qqe": qqe,
    "ebsw": ebsw,
}
