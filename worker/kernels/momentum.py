"""Momentum indicators."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.averages import ma_lookback
from common.catalogue.spec import Params
from worker.kernels.arithmetic import fused, larger
from worker.kernels.linear_windows import less_mean, linear_mean
from worker.kernels.moving_averages import average
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.rates import distance_in_parts
from worker.kernels.recurrences import ema
from worker.kernels.windows import rolling_mean

_NOTHING = 1e-14
"""TA-Lib's zero (TA_EPSILON): less movement than this counts as none."""


def rsi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Relative Strength Index, Wilder's (TA-Lib RSI) where no other convention is asked for."""
    (x,), (out,), period = inputs, outputs, int(p["period"])
    match p.get("convention"):
        case "sma":
            changes, moved = scratch.panel()[1:], scratch.panel()[1:]
            np.subtract(x[1:], x[:-1], out=changes)
            _share_of_gains(changes, period, 0.0, out[1:], moved)
        case "ema":
            weight = 2.0 / (period + 1)
            _rsi(x, period, weight, 1.0 - weight, out)
        case _:
            weight = 1.0 / period
            _rsi(x, period, weight, (period - 1) * weight, out)


def imi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Share of the days' gains (TA-Lib IMI)."""
    (opened, close), (out,), changes = inputs, outputs, scratch.panel()
    np.subtract(close, opened, out=changes)
    _share_of_gains(changes, int(p["period"]), 50.0, out, scratch.panel())


def macd(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Line, signal and histogram (TA-Lib MACD): both averages start at the slow one's first full window."""
    (x,), (line, signal, histogram) = inputs, outputs
    fast, slow, length = int(p["fast_period"]), int(p["slow_period"]), int(p["signal_period"])
    _macd(x, fast, slow, length, 2.0 / (fast + 1), 2.0 / (slow + 1), line, signal, histogram)


def macdfix(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """MACD of 12 and 26 with Appel's rounded weights (TA-Lib MACDFIX)."""
    (x,), (line, signal, histogram) = inputs, outputs
    _macd(x, 12, 26, int(p["signal_period"]), 0.15, 0.075, line, signal, histogram)


def macdext(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """MACD of any kinds of average (TA-Lib MACDEXT): fast and slow one start at the same row."""
    (x,), (line, signal, histogram) = inputs, outputs
    fast_kind, fast = str(p["fast_ma_type"]), int(p["fast_period"])
    slow_kind, slow = str(p["slow_ma_type"]), int(p["slow_period"])
    before_fast, before_slow = ma_lookback(fast_kind, fast), ma_lookback(slow_kind, slow)
    begin = max(before_fast, before_slow)
    average(fast_kind, x[begin - before_fast :], fast, line[begin - before_fast :], scratch)
    average(slow_kind, x[begin - before_slow :], slow, histogram[begin - before_slow :], scratch)
    np.subtract(line, histogram, out=line)
    average(str(p["signal_ma_type"]), line[begin:], int(p["signal_period"]), signal[begin:], scratch)
    np.subtract(line, signal, out=histogram)


def macd_slope(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Slopes of the regression lines through the last values of each of MACD's lines."""
    (line, signal, histogram), period = outputs, int(p["period"])
    lines = scratch.panel(), scratch.panel()
    macd(inputs, p, (*lines, histogram), scratch)
    begin = int(p["slow_period"]) + int(p["signal_period"]) - 2
    for values, out in zip(lines, (line, signal), strict=True):
        # The slope is the difference of the two means, whose weights lie (period - 1) / 6 apart, over that distance.
        linear_mean(values[begin:], period, out[begin:])
        rolling_mean(values[begin:], period, histogram[begin:])
        np.subtract(out, histogram, out=out)
        np.multiply(out, 6.0 / (period - 1), out=out)
    np.subtract(line, signal, out=histogram)


def apo(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Fast less slow average (TA-Lib APO)."""
    (x,), (out,), slow, kind = inputs, outputs, scratch.panel(), str(p["ma_type"])
    average(kind, x, int(p["fast_period"]), out, scratch)
    average(kind, x, int(p["slow_period"]), slow, scratch)
    np.subtract(out, slow, out=out)


def ppo(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Fast less slow average in percent of the slow one (TA-Lib PPO)."""
    (x,), (out,), fast, kind = inputs, outputs, scratch.panel(), str(p["ma_type"])
    average(kind, x, int(p["fast_period"]), fast, scratch)
    average(kind, x, int(p["slow_period"]), out, scratch)
    distance_in_parts(fast, out, 100.0)


def ao(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Fast less slow mean of the median price (TA-Lib AO)."""
    (x,), fast = inputs, scratch.panel()
    rolling_mean(x, int(p["fast_period"]), fast)
    less_mean(fast, x, int(p["slow_period"]), outputs[0])


def ac(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """The awesome oscillator less its mean (TA-Lib AC)."""
    (x,), (out,), oscillator, begin = inputs, outputs, scratch.panel(), int(p["slow_period"]) - 1
    rolling_mean(x, int(p["fast_period"]), out)
    less_mean(out, x, begin + 1, oscillator)
    oscillator = oscillator[begin:]
    less_mean(oscillator, oscillator, int(p["signal_period"]), out[begin:])


def tsi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Changes over their sizes, both smoothed twice (TA-Lib TSI)."""
    _tsi(inputs[0], int(p["period"]), int(p["smooth_period"]), outputs[0])


def eri(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Highs and lows less the average of the close (TA-Lib ERI)."""
    (high, low, close), (bull, bear) = inputs, outputs
    ema(close, int(p["period"]), bear)
    np.subtract(high, bear, out=bull)
    np.subtract(low, bear, out=bear)


def bop(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Body over range (TA-Lib BOP)."""
    opened, high, low, close = inputs
    _bop(opened, high, low, close, outputs[0])


def qstick(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Mean body (TA-Lib QSTICK)."""
    (opened, close), bodies = inputs, scratch.panel()
    np.subtract(close, opened, out=bodies)
    rolling_mean(bodies, int(p["period"]), outputs[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _rsi(x: Panel, period: int, weight: float, keep: float, out: Panel) -> None:
    """Write 100 * gain / (gain + loss) into `out` from row `period` on; 0 where nothing moved.

    `gain` and `loss` are at first the mean of `period` changes; then each takes `keep` of itself and `weight` of the
    change.
    """
    rows, width = x.shape
    share = 1.0 / period
    gain, loss = np.zeros(width), np.zeros(width)
    for t in range(1, period + 1):
        for j in range(width):
            change = x[t, j] - x[t - 1, j]
            gain[j] += larger(change, 0.0) * share
            loss[j] += larger(-change, 0.0) * share
    for j in range(width):
        moved = gain[j] + loss[j]
        out[period, j] = 0.0 if moved < _NOTHING else 100.0 * (gain[j] / moved)
    if width == 1:
        up, down = gain[0], loss[0]
        for t in range(period + 1, rows):
            change = x[t, 0] - x[t - 1, 0]
            up = up * keep + larger(change, 0.0) * weight
            down = down * keep + larger(-change, 0.0) * weight
            moved = up + down
            out[t, 0] = 0.0 if moved < _NOTHING else 100.0 * (up / moved)
        return
    for t in range(period + 1, rows):
        for j in range(width):
            change = x[t, j] - x[t - 1, j]
            gain[j] = gain[j] * keep + larger(change, 0.0) * weight
            loss[j] = loss[j] * keep + larger(-change, 0.0) * weight
            moved = gain[j] + loss[j]
            out[t, j] = 0.0 if moved < _NOTHING else 100.0 * (gain[j] / moved)


@njit(cache=True, nogil=True, error_model="numpy")
def _share_of_gains(x: Panel, period: int, unmoved: float, out: Panel, moved: Panel) -> None:
    """100 * sum of what is above zero / sum of all sizes, over windows; `unmoved` where all is zero.

    Windows are put together as in `windows.py`. `out` and `moved` hold both sums of a window's part before the stretch
    until the stretch itself is known.
    """
    rows, width = x.shape
    gain, size = np.empty(width), np.empty(width)
    out[:period] = 0.0
    moved[:period] = 0.0
    for start in range(0, rows, period):
        end = min(start + period, rows)
        gain[:] = 0.0
        size[:] = 0.0
        for t in range(start - 1, max(start - period, 0), -1):
            into = min(t + period, end) - 1
            for j in range(width):
                gain[j] += larger(x[t, j], 0.0)
                out[into, j] = gain[j]
            for j in range(width):
                size[j] += abs(x[t, j])
                moved[into, j] = size[j]
        if end == start + period:
            out[end - 1] = 0.0
            moved[end - 1] = 0.0
        gain[:] = 0.0
        size[:] = 0.0
        for t in range(start, end):
            for j in range(width):
                size[j] += abs(x[t, j])
                moved[t, j] += size[j]
            for j in range(width):
                gain[j] += larger(x[t, j], 0.0)
                part, whole = out[t, j] + gain[j], moved[t, j]
                out[t, j] = 100.0 * (part / whole) if whole > 0.0 else unmoved


@njit(cache=True, nogil=True, error_model="numpy")
def _macd(
    x: Panel,
    fast: int,
    slow: int,
    length: int,
    of_fast: float,
    of_slow: float,
    line: Panel,
    signal: Panel,
    histogram: Panel,
) -> None:
    """Write all three from row slow - 1 + length - 1 on. Operations in TA-Lib's order (TA_INT_MACD).

    Each average starts as the mean of its first window: fast and slow one at row slow - 1, the signal `length` rows of
    `line` on. Later values move them by `of_fast`, `of_slow` and 2 / (length + 1) of their distance.
    """
    rows, width = x.shape
    first = slow - 1
    lookback = first + length - 1
    of_signal = 2.0 / (length + 1)
    near, far, mean = np.zeros(width), np.zeros(width), np.zeros(width)
    for t in range(slow):
        for j in range(width):
            far[j] += x[t, j]
        if t >= slow - fast:
            for j in range(width):
                near[j] += x[t, j]
    near /= fast
    far /= slow
    for t in range(first, lookback + 1):
        if t > first:
            for j in range(width):
                near[j] = fused(x[t, j] - near[j], of_fast, near[j])
                far[j] = fused(x[t, j] - far[j], of_slow, far[j])
        mean += near - far
    mean /= length
    for j in range(width):
        line[lookback, j] = near[j] - far[j]
        signal[lookback, j] = mean[j]
        histogram[lookback, j] = line[lookback, j] - mean[j]
    if width == 1:
        a, b, c = near[0], far[0], mean[0]
        for t in range(lookback + 1, rows):
            a = fused(x[t, 0] - a, of_fast, a)
            b = fused(x[t, 0] - b, of_slow, b)
            c = fused(a - b - c, of_signal, c)
            line[t, 0] = a - b
            signal[t, 0] = c
            histogram[t, 0] = a - b - c
        return
    for t in range(lookback + 1, rows):
        for j in range(width):
            near[j] = fused(x[t, j] - near[j], of_fast, near[j])
            far[j] = fused(x[t, j] - far[j], of_slow, far[j])
            line[t, j] = near[j] - far[j]
        for j in range(width):
            mean[j] = fused(line[t, j] - mean[j], of_signal, mean[j])
            signal[t, j] = mean[j]
            histogram[t, j] = line[t, j] - mean[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _tsi(x: Panel, period: int, smooth: int, out: Panel) -> None:
    """100 times the change over its size, both averaged over `period` and then over `smooth`; 0 where nothing moved."""
    rows, width = x.shape
    first, second = 2.0 / (period + 1), 2.0 / (smooth + 1)
    lookback = period + smooth - 1
    change, size = np.zeros(width), np.zeros(width)
    net, gross = np.zeros(width), np.zeros(width)
    for t in range(1, lookback + 1):
        for j in range(width):
            step = x[t, j] - x[t - 1, j]
            if t <= period:
                change[j] += step / period
                size[j] += abs(step) / period
            else:
                change[j] = fused(step - change[j], first, change[j])
                size[j] = fused(abs(step) - size[j], first, size[j])
            if t >= period:
                net[j] += change[j] / smooth
                gross[j] += size[j] / smooth
    for j in range(width):
        out[lookback, j] = 100.0 * (net[j] / gross[j]) if gross[j] > 0.0 else 0.0
    if width == 1:
        a, b, c, d = change[0], size[0], net[0], gross[0]
        for t in range(lookback + 1, rows):
            step = x[t, 0] - x[t - 1, 0]
            a = fused(step - a, first, a)
            b = fused(abs(step) - b, first, b)
            c = fused(a - c, second, c)
            d = fused(b - d, second, d)
            out[t, 0] = 100.0 * (c / d) if d > 0.0 else 0.0
        return
    for t in range(lookback + 1, rows):
        for j in range(width):
            change[j] = fused(x[t, j] - x[t - 1, j] - change[j], first, change[j])
            net[j] = fused(change[j] - net[j], second, net[j])
        for j in range(width):
            size[j] = fused(abs(x[t, j] - x[t - 1, j]) - size[j], first, size[j])
            gross[j] = fused(size[j] - gross[j], second, gross[j])
            part, whole = net[j], gross[j]
            out[t, j] = 100.0 * (part / whole) if whole > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _bop(opened: Panel, high: Panel, low: Panel, close: Panel, out: Panel) -> None:
    """(close - open) / (high - low), 0 where there is no range."""
    size = out.size
    o, h, l, c = opened.reshape(size), high.reshape(size), low.reshape(size), close.reshape(size)  # noqa: E741
    result = out.reshape(size)
    for i in range(size):
        span = h[i] - l[i]
        body = c[i] - o[i]
        result[i] = body / span if span > 0.0 else 0.0


KERNELS: Mapping[str, Kernel] = {
    "rsi": rsi,
    "imi": imi,
    "macd": macd,
    "macdfix": macdfix,
    "macdext": macdext,
    "macd_slope": macd_slope,
    "apo": apo,
    "ppo": ppo,
    "ao": ao,
    "ac": ac,
    "tsi": tsi,
    "eri": eri,
    "bop": bop,
    "qstick": qstick,
}
