"""Oscillators with a scale of their own: the place of a price in its range, the balance of gains and losses."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from common.catalogue.averages import ma_lookback
from common.catalogue.spec import Params
from worker.kernels import momentum, ranks
from worker.kernels.arithmetic import fused, larger, smaller
from worker.kernels.moving_averages import average
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.ranges import place_in_range
from worker.kernels.ultimate_oscillator import ultosc
from worker.kernels.volatility import ratio
from worker.kernels.windows import rolling_max, rolling_mean, rolling_min

Row = NDArray[np.float64]

_NOTHING = 1e-14
"""TA-Lib's zero (TA_EPSILON): less than this counts as nothing."""


def stoch(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Stochastic, smoothed twice (TA-Lib STOCH)."""
    k, d = outputs
    _smoothed_place(inputs, p, k, d, scratch.panel(), scratch)


def kdj(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Stochastic and how far its first line is ahead of its second (TA-Lib KDJ)."""
    k, d, j = outputs
    _smoothed_place(inputs, p, k, d, j, scratch)
    _ahead(k, d, j)


@njit(cache=True, nogil=True, error_model="numpy")
def _ahead(k: Panel, d: Panel, out: Panel) -> None:
    first, second, third = k.ravel(), d.ravel(), out.ravel()
    for i in range(third.size):
        third[i] = (first[i] - second[i]) * 2.0 + first[i]


def _smoothed_place(inputs: Sequence[Panel], p: Params, k: Panel, d: Panel, raw: Panel, scratch: Scratch) -> None:
    high, low, close = inputs
    window, smooth, kind = int(p["k_period"]), int(p["smooth_period"]), str(p["smooth_ma_type"])
    place_in_range(high, low, close, window, 0, raw, k)
    begin = window - 1
    average(kind, raw[begin:], smooth, k[begin:], scratch)
    begin += ma_lookback(kind, smooth)
    average(str(p["d_ma_type"]), k[begin:], int(p["d_period"]), d[begin:], scratch)


def stochf(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Stochastic and its average (TA-Lib STOCHF)."""
    high, low, close = inputs
    _place_and_average(high, low, close, p, outputs, scratch)


def stochrsi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Place of the RSI in its own range, and its average (TA-Lib STOCHRSI)."""
    strength, begin = scratch.panel(), int(p["period"])
    momentum.rsi(inputs, p, (strength,), scratch)
    x = strength[begin:]
    _place_and_average(x, x, x, p, [out[begin:] for out in outputs], scratch)


def _place_and_average(
    high: Panel, low: Panel, x: Panel, p: Params, outputs: Sequence[Panel], scratch: Scratch
) -> None:
    k, d = outputs
    window = int(p["k_period"])
    place_in_range(high, low, x, window, 0, k, d)
    average(str(p["d_ma_type"]), k[window - 1 :], int(p["d_period"]), d[window - 1 :], scratch)


def willr(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Distance from the top of the range (TA-Lib WILLR)."""
    high, low, close = inputs
    place_in_range(high, low, close, int(p["period"]), 1, outputs[0], scratch.panel())


def cmo(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Chande's Momentum Oscillator of Wilder's averages (TA-Lib CMO)."""
    _balance(inputs[0], int(p["period"]), outputs[0])


def cmou(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Chande's Momentum Oscillator of plain sums (TA-Lib CMOU)."""
    _balance_of_window(inputs[0], int(p["period"]), outputs[0])


def smi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Blau's Stochastic Momentum Index and its signal (TA-Lib SMI)."""
    high, low, close = inputs
    line, signal = outputs
    window = int(p["period"])
    rolling_max(high, window, line)
    rolling_min(low, window, signal)
    begin = window - 1
    slow, fast, length = int(p["slow_period"]), int(p["fast_period"]), int(p["signal_period"])
    _distance_from_middle(close[begin:], slow, fast, length, line[begin:], signal[begin:])


def psl(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Share of rising values."""
    (x,), (out,), rises = inputs, outputs, scratch.panel()
    period = int(p["period"])
    np.greater(x[1:], x[:-1], out=rises[1:])
    rolling_mean(rises[1:], period, out[1:])
    out[period:] *= 100.0


def connors_rsi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Mean of the RSI, the RSI of the streak and the percent rank of the last return."""
    (x,), (out,), steps, part = inputs, outputs, scratch.panel(), scratch.panel()
    momentum.rsi(inputs, p, outputs, scratch)
    _streak(x, steps)
    momentum.rsi((steps[1:],), {"period": int(p["streak_period"])}, (part[1:],), scratch)
    out += part
    np.subtract(x[1:], x[:-1], out=steps[1:])
    ratio(steps[1:], x[:-1], 1.0, 0.0, steps[1:])
    ranks.percentrank((steps[1:],), {"period": int(p["rank_period"])}, (part[1:],), scratch)
    out += part
    out *= 1.0 / 3.0


@njit(cache=True, nogil=True, error_model="numpy")
def _balance(x: Panel, period: int, out: Panel) -> None:
    """100 * (gain - loss) / (gain + loss) of Wilder's averages, from row `period` on; 0 where nothing moved."""
    rows, width = x.shape
    weight = 1.0 / period
    keep = (period - 1) * weight
    gain, loss = np.zeros(width), np.zeros(width)
    for t in range(1, period + 1):
        for j in range(width):
            change = x[t, j] - x[t - 1, j]
            gain[j] += larger(change, 0.0) * weight
            loss[j] += larger(-change, 0.0) * weight
    for j in range(width):
        moved = gain[j] + loss[j]
        out[period, j] = 0.0 if moved < _NOTHING else 100.0 * ((gain[j] - loss[j]) / moved)
    if width == 1:
        up, down = gain[0], loss[0]
        for t in range(period + 1, rows):
            change = x[t, 0] - x[t - 1, 0]
            up = up * keep + larger(change, 0.0) * weight
            down = down * keep + larger(-change, 0.0) * weight
            moved = up + down
            balance = 100.0 * ((up - down) / moved)
            out[t, 0] = 0.0 if moved < _NOTHING else balance
        return
    for t in range(period + 1, rows):
        for j in range(width):
            change = x[t, j] - x[t - 1, j]
            gain[j] = gain[j] * keep + larger(change, 0.0) * weight
            loss[j] = loss[j] * keep + larger(-change, 0.0) * weight
            moved = gain[j] + loss[j]
            balance = 100.0 * ((gain[j] - loss[j]) / moved)
            out[t, j] = 0.0 if moved < _NOTHING else balance


@njit(cache=True, nogil=True, error_model="numpy")
def _balance_of_window(x: Panel, period: int, out: Panel) -> None:
    """100 * change over the window / sum of the single changes' sizes, from row `period` on; 0 where nothing moved."""
    rows, width = x.shape
    way = np.empty(width)
    for start in range(1, rows, period):
        end = min(start + period, rows)
        first = max(start - period, 0)
        if width == 1:
            a = 0.0
            for t in range(start - 1, first, -1):
                a += abs(x[t, 0] - x[t - 1, 0])
                if t + period - 1 < end:
                    out[t + period - 1, 0] = a
            if end == start + period:
                out[end - 1, 0] = 0.0
            a = 0.0
            for t in range(start, end):
                a += abs(x[t, 0] - x[t - 1, 0])
                moved = a + out[t, 0]
                balance = 100.0 * (x[t, 0] - x[max(t - period, 0), 0]) / moved
                out[t, 0] = 0.0 if moved == 0.0 else balance
            continue
        way[:] = 0.0
        for t in range(start - 1, first, -1):
            for j in range(width):
                way[j] += abs(x[t, j] - x[t - 1, j])
            if t + period - 1 < end:
                out[t + period - 1] = way
        if end == start + period:
            out[end - 1] = 0.0
        way[:] = 0.0
        for t in range(start, end):
            before = max(t - period, 0)
            for j in range(width):
                way[j] += abs(x[t, j] - x[t - 1, j])
                moved = way[j] + out[t, j]
                balance = 100.0 * (x[t, j] - x[before, j]) / moved
                out[t, j] = 0.0 if moved == 0.0 else balance


@njit(cache=True, nogil=True, error_model="numpy")
def _distance_from_middle(x: Panel, slow: int, fast: int, length: int, line: Panel, signal: Panel) -> None:
    """Averaged distance from the middle of the range in percent of half the averaged range; 0 where there is none.

    `line` comes with the highest and `signal` with the lowest values. Each average starts as the mean of its first
    window, one after the other (TA-Lib SMI); both lines from row slow - 1 + fast - 1 + length - 1 on.
    """
    rows, width = x.shape
    of_slow, of_fast, of_signal = 2.0 / (slow + 1), 2.0 / (fast + 1), 2.0 / (length + 1)
    second = slow - 1
    third = second + fast - 1
    lookback = third + length - 1
    far, far_again, span, span_again, mean = (
        np.zeros(width),
        np.zeros(width),
        np.zeros(width),
        np.zeros(width),
        np.zeros(width),
    )
    for t in range(lookback + 1):
        for j in range(width):
            distance, size = x[t, j] - (line[t, j] + signal[t, j]) * 0.5, line[t, j] - signal[t, j]
            if t < slow:
                far[j] += distance / slow
                span[j] += size / slow
            else:
                far[j] = fused(distance - far[j], of_slow, far[j])
                span[j] = fused(size - span[j], of_slow, span[j])
            if t >= second:
                if t < slow - 1 + fast:
                    far_again[j] += far[j] / fast
                    span_again[j] += span[j] / fast
                else:
                    far_again[j] = fused(far[j] - far_again[j], of_fast, far_again[j])
                    span_again[j] = fused(span[j] - span_again[j], of_fast, span_again[j])
            if t >= third:
                line[t, j] = _percent(far_again[j], span_again[j] * 0.5)
                mean[j] += line[t, j] / length
    signal[lookback] = mean
    if width == 1:
        a, b, c, d, e = far[0], far_again[0], span[0], span_again[0], mean[0]
        for t in range(lookback + 1, rows):
            highest, lowest = line[t, 0], signal[t, 0]
            a = fused(x[t, 0] - (highest + lowest) * 0.5 - a, of_slow, a)
            c = fused(highest - lowest - c, of_slow, c)
            b = fused(a - b, of_fast, b)
            d = fused(c - d, of_fast, d)
            place = _percent(b, d * 0.5)
            e = fused(place - e, of_signal, e)
            line[t, 0], signal[t, 0] = place, e
        return
    for t in range(lookback + 1, rows):
        for j in range(width):
            span[j] = fused(line[t, j] - signal[t, j] - span[j], of_slow, span[j])
            span_again[j] = fused(span[j] - span_again[j], of_fast, span_again[j])
        for j in range(width):
            line[t, j] = x[t, j] - (line[t, j] + signal[t, j]) * 0.5
        for j in range(width):
            far[j] = fused(line[t, j] - far[j], of_slow, far[j])
            far_again[j] = fused(far[j] - far_again[j], of_fast, far_again[j])
        for j in range(width):
            line[t, j] = _percent(far_again[j], span_again[j] * 0.5)
            mean[j] = fused(line[t, j] - mean[j], of_signal, mean[j])
            signal[t, j] = mean[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _percent(part: float, whole: float) -> float:
    """`part` in percent of `whole`, 0 of nothing."""
    share = 100.0 * part / whole
    return share if whole > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _streak(x: Panel, out: Panel) -> None:
    """How many rows in a row `x` has risen (positive) or fallen (negative), from row 1 on; 0 where it stayed."""
    rows, width = x.shape
    run = np.zeros(width)
    for t in range(1, rows):
        for j in range(width):
            up, down = larger(run[j], 0.0) + 1.0, smaller(run[j], 0.0) - 1.0
            change = x[t, j] - x[t - 1, j]
            run[j] = up if change > 0.0 else (down if change < 0.0 else 0.0)
            out[t, j] = run[j]


KERNELS: Mapping[str, Kernel] = {
    "stoch": stoch,
    "stochf": stochf,
    "stochrsi": stochrsi,
    "kdj": kdj,
    "willr": willr,
    "cmo": cmo,
    "cmou": cmou,
    "ultosc": ultosc,
    "smi": smi,
    "psl": psl,
    "connors_rsi": connors_rsi,
}
