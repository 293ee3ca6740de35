"""Directional movement, Aroon and the vortex.

Windows are put together as in `windows.py`; what that leaves in the rows before the lookback means nothing. The sums
are of values of one sign: nothing cancels.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from common.catalogue.spec import Params
from worker.kernels.arithmetic import fused, larger, smaller
from worker.kernels.panels import Kernel, Panel, Scratch

Series = NDArray[np.float64]


def _movements(*sides: bool) -> Kernel:
    """Smoothed movements (TA-Lib PLUS_DM, MINUS_DM), an output for each of `sides`: upward where it is true."""

    def kernel(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        high, low = inputs
        for upward, out in zip(sides, outputs, strict=True):
            _movement(high, low, int(p["period"]), upward, out)

    return kernel


def _indicators(*sides: bool) -> Kernel:
    """Movements in percent of the true range (TA-Lib PLUS_DI, MINUS_DI), as above."""

    def kernel(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        high, low, close = inputs
        for upward, out in zip(sides, outputs, strict=True):
            _indicator(high, low, close, int(p["period"]), upward, out)

    return kernel


def dx(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Directional index (TA-Lib DX)."""
    high, low = inputs
    _index(high, low, int(p["period"]), 1, outputs[0])


def adx(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Wilder's average of the directional index (TA-Lib ADX)."""
    (high, low), period = inputs, int(p["period"])
    _index(high, low, period, period, outputs[0])


def adxr(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Mean of the ADX and that of `period` - 1 rows before (TA-Lib ADXR)."""
    (high, low), (out,), period, average = inputs, outputs, int(p["period"]), scratch.panel()
    _index(high, low, period, period, average)
    now, before = average[period - 1 :], average[: len(average) - period + 1]
    np.add(now, before, out=out[period - 1 :])
    np.multiply(out, 0.5, out=out)


def aroon(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """How lately the low and the high of the window were (TA-Lib AROON)."""
    (high, low), (down, up), period, best = inputs, outputs, int(p["period"]), scratch.panel()
    _lateness(low, -1.0, period, down, best)
    _lateness(high, 1.0, period, up, best)


def aroonosc(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Aroon's up less its down line (TA-Lib AROONOSC)."""
    up, down = outputs[0], scratch.panel()
    aroon(inputs, p, (down, up), scratch)
    np.subtract(up, down, out=up)


def vortex(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Vortex movements over the true range (TA-Lib VORTEX)."""
    (high, low, close), (plus, minus) = inputs, outputs
    _vortex(high, low, close, int(p["period"]), plus, minus, scratch.panel())


@njit(cache=True, nogil=True, error_model="numpy")
def _excess(this: float, other: float) -> float:
    """A movement counts where it is the larger of the two and not against its direction."""
    return larger(this, 0.0) if this > other else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _movement(high: Panel, low: Panel, period: int, upward: bool, out: Panel) -> None:
    """Movements of the first `period` - 1 rows added up; then each row takes 1 / `period` away and adds its own."""
    rows, width = high.shape
    keep = 1.0 - 1.0 / period
    first = max(period - 1, 1)
    state = np.zeros(width)
    for t in range(1, first + 1):
        for j in range(width):
            up, down = high[t, j] - high[t - 1, j], low[t - 1, j] - low[t, j]
            state[j] += _excess(up, down) if upward else _excess(down, up)
    out[first] = state
    if width == 1:
        one = state[0]
        for t in range(first + 1, rows):
            up, down = high[t, 0] - high[t - 1, 0], low[t - 1, 0] - low[t, 0]
            one = fused(one, keep, _excess(up, down) if upward else _excess(down, up))
            out[t, 0] = one
        return
    for t in range(first + 1, rows):
        for j in range(width):
            up, down = high[t, j] - high[t - 1, j], low[t - 1, j] - low[t, j]
            state[j] = fused(state[j], keep, _excess(up, down) if upward else _excess(down, up))
            out[t, j] = state[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _indicator(
    high: Panel,
    low: Panel,
    close: Panel,
    period: int,
    upward: bool,
    out: Panel,
) -> None:
    """100 * movement / true range, both smoothed as in `_movement`, from row `period` on; 0 without a range."""
    rows, width = high.shape
    keep = 1.0 - 1.0 / period
    moved, span = np.zeros(width), np.zeros(width)
    for t in range(1, period):
        for j in range(width):
            up, down = high[t, j] - high[t - 1, j], low[t - 1, j] - low[t, j]
            moved[j] += _excess(up, down) if upward else _excess(down, up)
            span[j] += larger(high[t, j], close[t - 1, j]) - smaller(low[t, j], close[t - 1, j])
    if width == 1:
        a, b = moved[0], span[0]
        for t in range(period, rows):
            h, l, before = high[t, 0], low[t, 0], close[t - 1, 0]  # noqa: E741
            up, down = h - high[t - 1, 0], low[t - 1, 0] - l
            a = fused(a, keep, _excess(up, down) if upward else _excess(down, up))
            b = fused(b, keep, larger(h, before) - smaller(l, before))
            out[t, 0] = 100.0 * (a / b) if b > 0.0 else 0.0
        return
    for t in range(period, rows):
        for j in range(width):
            h, l, before = high[t, j], low[t, j], close[t - 1, j]  # noqa: E741
            up, down = h - high[t - 1, j], low[t - 1, j] - l
            moved[j] = fused(moved[j], keep, _excess(up, down) if upward else _excess(down, up))
            span[j] = fused(span[j], keep, larger(h, before) - smaller(l, before))
            out[t, j] = 100.0 * (moved[j] / span[j]) if span[j] > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _index(high: Panel, low: Panel, period: int, smoothing: int, out: Panel) -> None:
    """Wilder's average over `smoothing` rows of 100 * |plus - minus| / (plus + minus), from row period + smoothing - 1.

    `plus` and `minus` are movements: the true range both DI are divided by cancels. A row without movement changes
    nothing.
    """
    rows, width = high.shape
    keep, weight = 1.0 - 1.0 / period, 1.0 / smoothing
    hold = 1.0 - weight
    first = period + smoothing - 1
    plus, minus, index = np.zeros(width), np.zeros(width), np.zeros(width)
    for t in range(1, first + 1):
        decay = keep if t >= period else 1.0
        for j in range(width):
            up, down = high[t, j] - high[t - 1, j], low[t - 1, j] - low[t, j]
            plus[j] = fused(plus[j], decay, _excess(up, down))
            minus[j] = fused(minus[j], decay, _excess(down, up))
            moved = plus[j] + minus[j]
            index[j] += 100.0 * (abs(plus[j] - minus[j]) / moved) if t >= period and moved > 0.0 else 0.0
    index *= weight
    out[first] = index
    if width == 1:
        a, b, mean = plus[0], minus[0], index[0]
        for t in range(first + 1, rows):
            up, down = high[t, 0] - high[t - 1, 0], low[t - 1, 0] - low[t, 0]
            a = fused(a, keep, _excess(up, down))
            b = fused(b, keep, _excess(down, up))
            moved = a + b
            mean = mean * hold + 100.0 * (abs(a - b) / moved) * weight if moved > 0.0 else mean
            out[t, 0] = mean
        return
    for t in range(first + 1, rows):
        for j in range(width):
            up, down = high[t, j] - high[t - 1, j], low[t - 1, j] - low[t, j]
            a = fused(plus[j], keep, _excess(up, down))
            b = fused(minus[j], keep, _excess(down, up))
            plus[j], minus[j], moved = a, b, a + b
            index[j] = index[j] * hold + 100.0 * (abs(a - b) / moved) * weight if moved > 0.0 else index[j]
            out[t, j] = index[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _lateness(x: Panel, sign: float, period: int, out: Panel, best: Panel) -> None:
    """100 for an extreme in this row down to 0 for one `period` rows ago, from row `period` on; of equals the later.

    The extreme is the greatest value where `sign` is 1, the least where it is -1. `out` holds the row of a window's
    extreme before the stretch and `best` its value, until the stretch itself is known.
    """
    rows, width = x.shape
    length = period + 1
    scale = 100.0 / period
    value, row = np.empty(width), np.empty(width)
    best[:length] = -np.inf
    for start in range(0, rows, length):
        end = min(start + length, rows)
        if width == 1:
            top, at = -np.inf, 0.0
            for t in range(start - 1, max(start - length, 0), -1):
                here = sign * x[t, 0]
                at = float(t) if here > top else at
                top = larger(here, top)
                if t + period < end:
                    best[t + period, 0] = top
                    out[t + period, 0] = at
            if end == start + length:
                best[end - 1, 0] = -np.inf
            top, at = -np.inf, 0.0
            for t in range(start, end):
                here = sign * x[t, 0]
                at = float(t) if here >= top else at
                top = larger(here, top)
                out[t, 0] = scale * (period - (t - (at if top >= best[t, 0] else out[t, 0])))
            continue
        value[:] = -np.inf
        for t in range(start - 1, max(start - length, 0), -1):
            now = float(t)
            for j in range(width):
                here = sign * x[t, j]
                top, at = value[j], row[j]
                row[j] = now if here > top else at
                value[j] = larger(here, top)
            if t + period < end:
                best[t + period] = value
                out[t + period] = row
        if end == start + length:
            best[end - 1] = -np.inf
        value[:] = -np.inf
        for t in range(start, end):
            now = float(t)
            for j in range(width):
                here = sign * x[t, j]
                top, at = value[j], row[j]
                row[j] = now if here >= top else at
                value[j] = larger(here, top)
            for j in range(width):
                at, before = row[j], out[t, j]
                out[t, j] = scale * (period - (now - (at if value[j] >= best[t, j] else before)))


@njit(cache=True, nogil=True, error_model="numpy")
def _vortex(high: Panel, low: Panel, close: Panel, period: int, plus: Panel, minus: Panel, span: Panel) -> None:
    """Sums of |high - low before| and of |low - high before| over those of the true range; 0 without a range."""
    rows, width = high.shape
    for panel in (plus, minus, span):
        panel[: period + 1] = 0.0
    if width == 1:
        bars = high.reshape(rows), low.reshape(rows), close.reshape(rows)
        _vortex_of_one(bars, period, plus.reshape(rows), minus.reshape(rows), span.reshape(rows))
        return
    rise, fall, reach = np.empty(width), np.empty(width), np.empty(width)
    for start in range(1, rows, period):
        end = min(start + period, rows)
        rise[:] = 0.0
        fall[:] = 0.0
        reach[:] = 0.0
        for t in range(start - 1, max(start - period, 0), -1):
            into = min(t + period, end) - 1
            for j in range(width):
                rise[j] += abs(high[t, j] - low[t - 1, j])
                plus[into, j] = rise[j]
            for j in range(width):
                fall[j] += abs(low[t, j] - high[t - 1, j])
                minus[into, j] = fall[j]
            for j in range(width):
                reach[j] += larger(high[t, j], close[t - 1, j]) - smaller(low[t, j], close[t - 1, j])
                span[into, j] = reach[j]
        if end == start + period:
            plus[end - 1] = 0.0
            minus[end - 1] = 0.0
            span[end - 1] = 0.0
        rise[:] = 0.0
        fall[:] = 0.0
        reach[:] = 0.0
        for t in range(start, end):
            for j in range(width):
                reach[j] += larger(high[t, j], close[t - 1, j]) - smaller(low[t, j], close[t - 1, j])
                span[t, j] += reach[j]
            for j in range(width):
                rise[j] += abs(high[t, j] - low[t - 1, j])
                part, whole = plus[t, j] + rise[j], span[t, j]
                plus[t, j] = part / whole if whole > 0.0 else 0.0
            for j in range(width):
                fall[j] += abs(low[t, j] - high[t - 1, j])
                part, whole = minus[t, j] + fall[j], span[t, j]
                minus[t, j] = part / whole if whole > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _vortex_of_one(bars: tuple[Series, Series, Series], period: int, plus: Series, minus: Series, span: Series) -> None:
    """The same operations on one column. A stretch is walked from both ends at once, so that sums need not wait."""
    high, low, close = bars
    rows = len(high)
    rises, falls, reaches = np.empty(rows), np.empty(rows), np.empty(rows)
    for i in range(rows - 1):
        rises[i + 1] = abs(high[i + 1] - low[i])
        falls[i + 1] = abs(low[i + 1] - high[i])
        reaches[i + 1] = larger(high[i + 1], close[i]) - smaller(low[i + 1], close[i])
    for start in range(1, rows, period):
        end = start + period
        a = b = c = x = y = z = 0.0
        for i in range(period - 1 if end < rows else 0):
            t, back, into = start + i, end - 1 - i, min(end + period - 2 - i, rows - 1)
            a += rises[t]
            b += falls[t]
            c += reaches[t]
            plus[t] += a
            minus[t] += b
            span[t] += c
            x, y, z = x + rises[back], y + falls[back], z + reaches[back]
            plus[into], minus[into], span[into] = x, y, z
        if end + period - 1 < rows:
            plus[end + period - 1] = minus[end + period - 1] = span[end + period - 1] = 0.0
        for t in range(end - 1 if end < rows else start, min(end, rows)):
            a += rises[t]
            b += falls[t]
            c += reaches[t]
            plus[t] += a
            minus[t] += b
            span[t] += c
    for i in range(rows):
        part, whole = plus[i], span[i]
        plus[i] = part / whole if whole > 0.0 else 0.0
    for i in range(rows):
        part, whole = minus[i], span[i]
        minus[i] = part / whole if whole > 0.0 else 0.0


KERNELS: Mapping[str, Kernel] = {
    "plus_dm": _movements(True),
    "minus_dm": _movements(False),
    "dm": _movements(True, False),
    "plus_di": _indicators(True),
    "minus_di": _indicators(False),
    "di": _indicators(True, False),
    "dx": dx,
    "adx": adx,
    "adxr": adxr,
    "aroon": aroon,
    "aroonosc": aroonosc,
    "vortex": vortex,
}
