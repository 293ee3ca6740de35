"""Averages weighted by volume, and averages of volume itself."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from common.catalogue.spec import Params
from worker.kernels.arithmetic import larger
from worker.kernels.moving_averages import average
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.weighted_windows import weighted_mean
from worker.kernels.windows import rolling_max, rolling_mean, rolling_min

_PERIODS = {"month": "datetime64[M]", "year": "datetime64[Y]"}
_AFTER_FRIDAY = 5
"""Weeks end on Friday, as weekly bars do; day 1 was one."""
"""Days from a Monday to 1970-01-01."""
_ROUNDING = 1e-9
"""Bins of a profile that differ by less than this part of the fullest one are equal."""


def vwma(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Volume weighted moving average (TA-Lib VWMA)."""
    weighted_mean(inputs[0], inputs[1], int(p["period"]), 1.0, np.nan, scratch.panel(), outputs[0])


def vwmacd(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Line, signal and histogram of volume weighted averages."""
    (x, volume), (line, signal, histogram) = inputs, outputs
    first, length = int(p["slow_period"]) - 1, int(p["signal_period"])
    slow, totals = histogram, scratch.panel()
    weighted_mean(x, volume, int(p["fast_period"]), 1.0, np.nan, totals, line)
    weighted_mean(x, volume, first + 1, 1.0, np.nan, totals, slow)
    np.subtract(line[first:], slow[first:], out=line[first:])
    weighted_mean(line[first:], volume[first:], length, 1.0, np.nan, totals[first:], signal[first:])
    start = first + length - 1
    np.subtract(line[start:], signal[start:], out=histogram[start:])


def vwap(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Volume weighted average price since the anchor (TA-Lib VWAP)."""
    price, volume, date = inputs
    _vwap(price, volume, date, *_numbering(date, str(p["anchor"])), outputs[0])


def vwap_bands(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Volume weighted average price since the anchor, with its weighted standard deviation around it."""
    (price, volume, date), (upper, middle, lower) = inputs, outputs
    width = upper
    _vwap_moments(price, volume, date, *_numbering(date, str(p["anchor"])), middle, width)
    width *= float(p["multiplier"])
    np.subtract(middle, width, out=lower)
    np.add(middle, width, out=upper)


def pvo(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Percentage volume oscillator (TA-Lib PVO)."""
    kind, fast, slow = str(p["ma_type"]), scratch.panel(), scratch.panel()
    average(kind, inputs[0], int(p["fast_period"]), fast, scratch)
    average(kind, inputs[0], int(p["slow_period"]), slow, scratch)
    _percentage(fast, slow, outputs[0])


def vosc(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Volume oscillator: the percentage oscillator of simple averages."""
    first, fast, slow = int(p["slow_period"]) - 1, scratch.panel(), scratch.panel()
    rolling_mean(inputs[0], int(p["fast_period"]), fast)
    rolling_mean(inputs[0], first + 1, slow)
    _percentage(fast[first:], slow[first:], outputs[0][first:])


def rvol(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Relative volume (TA-Lib RVOL)."""
    (volume,), length, mean = inputs, int(p["period"]), scratch.panel()
    rolling_mean(volume, length, mean)
    quotient(volume[length:], mean[length - 1 : -1], 1.0, np.nan, outputs[0][length:])


def average_volume(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Mean volume of each window."""
    rolling_mean(inputs[0], int(p["period"]), outputs[0])


def volume_profile(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Point of control and value area of each window."""
    (high, low, volume), (control, top, bottom), length = inputs, outputs, int(p["period"])
    rolling_max(high, length, top)
    rolling_min(low, length, bottom)
    _profile(high, low, volume, length, int(p["bins"]), float(p["value_area"]) / 100.0, control, top, bottom)


def _numbering(date: Panel, anchor: str) -> tuple[NDArray[np.int64], float]:
    """A number for each day from the first one on, which is returned as well; equal within a stretch of one average.

    Negative before the anchor, empty when there is none.
    """
    if anchor == "all":
        return np.empty(0, np.int64), 0.0
    first, last = date.min(), date.max()
    days = np.arange(int(first), int(last) + 1)
    match anchor:
        case "session":
            numbers = days - days[0]
        case "week":
            numbers = (days + _AFTER_FRIDAY) // 7
            numbers -= numbers[0]
        case "month" | "year":
            numbers = days.astype("datetime64[D]").astype(_PERIODS[anchor]).astype(np.int64)
            numbers -= numbers[0]
        case _:
            numbers = np.where(days < np.datetime64(anchor, "D").astype(np.int64), -1, 0)
    return numbers, float(first)


@njit(cache=True, nogil=True, error_model="numpy")
def quotient(x: Panel, y: Panel, scale: float, empty: float, out: Panel) -> None:
    """`scale` times x / y, `empty` where y is 0."""
    a, b, result = x.ravel(), y.ravel(), out.ravel()
    for i in range(len(a)):
        share = a[i] / b[i] * scale
        result[i] = share if b[i] != 0.0 else empty


@njit(cache=True, nogil=True, error_model="numpy")
def _percentage(fast: Panel, slow: Panel, out: Panel) -> None:
    """Distance from `slow` in percent of it, 0 where that is 0."""
    a, b, result = fast.ravel(), slow.ravel(), out.ravel()
    for i in range(len(a)):
        share = (a[i] - b[i]) / b[i] * 100.0
        result[i] = share if b[i] != 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _restart(
    t: int,
    date: Panel,
    numbers: NDArray[np.int64],
    first: float,
    current: NDArray[np.float64],
    total: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> None:
    """Start anew at row t where it has another number than the row before; before the anchor the sums are NaN."""
    for j in range(len(current)):
        number = numbers[int(date[t, j] - first)]
        if number != current[j]:
            current[j] = number
            total[j] = 0.0
            sums[:, j] = 0.0 if number >= 0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _vwap(price: Panel, volume: Panel, date: Panel, numbers: NDArray[np.int64], first: float, out: Panel) -> None:
    rows, width = price.shape
    if width == 1 and not len(numbers):
        money = shares = 0.0
        for t in range(rows):
            money += price[t, 0] * volume[t, 0]
            shares += volume[t, 0]
            mean = money / shares
            out[t, 0] = mean if shares > 0.0 else np.nan
        return
    current, total, sums = np.full(width, -2.0), np.zeros(width), np.zeros((1, width))
    for t in range(rows):
        if len(numbers):
            _restart(t, date, numbers, first, current, total, sums)
        for j in range(width):
            sums[0, j] += price[t, j] * volume[t, j]
            total[j] += volume[t, j]
        for j in range(width):
            mean = sums[0, j] / total[j]
            out[t, j] = mean if total[j] > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _vwap_moments(
    price: Panel, volume: Panel, date: Panel, numbers: NDArray[np.int64], first: float, mean: Panel, deviation: Panel
) -> None:
    """Weighted mean and population standard deviation since the anchor, by West's update (1979)."""
    rows, width = price.shape
    current, total, part, sums = np.full(width, -2.0), np.zeros(width), np.zeros(width), np.zeros((2, width))
    for t in range(rows):
        if len(numbers):
            _restart(t, date, numbers, first, current, total, sums)
        for j in range(width):
            total[j] += volume[t, j]
            share = volume[t, j] / total[j]
            part[j] = share if total[j] > 0.0 else 0.0
        for j in range(width):
            distance = price[t, j] - sums[0, j]
            sums[0, j] += distance * part[j]
            sums[1, j] += volume[t, j] * distance * (price[t, j] - sums[0, j])
        for j in range(width):
            variance = sums[1, j] / total[j]
            mean[t, j] = sums[0, j] if total[j] > 0.0 else np.nan
            deviation[t, j] = np.sqrt(larger(variance, 0.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _profile(
    high: Panel,
    low: Panel,
    volume: Panel,
    period: int,
    bins: int,
    share: float,
    control: Panel,
    top: Panel,
    bottom: Panel,
) -> None:
    """`top` and `bottom` hold each window's highest high and lowest low, and give way to the value area.

    Column by column, so that a profile stays in the first cache. A bar costs the same however many bins it spans:
    `held` gets what lies in its first and last ones, `whole` where, on the way down, the even flow of those between
    begins and ends. Bin k stands at k + 1: beyond both ends there is one more.
    """
    rows, width = high.shape
    highs, lows, volumes = np.empty(rows), np.empty(rows), np.empty(rows)
    held, whole = np.empty(bins + 2), np.empty(bins + 2)
    first, last = np.empty(period, np.int64), np.empty(period, np.int64)
    in_first, in_last, between = np.empty(period), np.empty(period), np.empty(period)
    for j in range(width):
        for t in range(rows):
            highs[t], lows[t], volumes[t] = high[t, j], low[t, j], volume[t, j]
        for t in range(period - 1, rows):
            floor, reach, begin = bottom[t, j], top[t, j] - bottom[t, j], t - period + 1
            scale = bins / reach if reach > 0.0 else 0.0
            for i in range(period):
                start, stop = (lows[begin + i] - floor) * scale, (highs[begin + i] - floor) * scale
                head, tail = min(int(start), bins - 1), min(int(stop), bins - 1)
                flow = volumes[begin + i] / (stop - start)
                first[i], last[i] = head + 1, tail + 1
                in_first[i] = flow * (head + 1 - start) if tail > head else volumes[begin + i]
                in_last[i] = flow * (stop - tail) if tail > head else 0.0
                between[i] = flow if tail > head + 1 else 0.0
            held[:] = 0.0
            whole[:] = 0.0
            for i in range(period):
                held[first[i]] += in_first[i]
                held[last[i]] += in_last[i]
                whole[last[i] - 1] += between[i]
                whole[first[i]] -= between[i]
            control[t, j], top[t, j], bottom[t, j] = _value_area(held, whole, share, top[t, j], floor)


@njit(cache=True, nogil=True, error_model="numpy")
def _value_area(
    held: NDArray[np.float64], whole: NDArray[np.float64], share: float, top: float, bottom: float
) -> tuple[float, float, float]:
    """Point of control and both ends of the value area.

    Neighbours that the same bars span hold the same, but for the rounding, which must not choose between them.
    """
    bins = len(held) - 2
    flow = total = most = 0.0
    for k in range(bins, 0, -1):
        flow += whole[k]
        held[k] += flow
        total += held[k]
        most = larger(held[k], most)
    if not total > 0.0:
        return np.nan, np.nan, np.nan
    slack = _ROUNDING * most
    fullest = -bins
    for k in range(1, bins + 1):
        if held[k] >= most - slack and abs(2 * k - 1 - bins) < abs(2 * fullest - 1 - bins):
            fullest = k
    held[0] = held[bins + 1] = -np.inf
    lower = upper = fullest
    inside = held[fullest]
    while inside < share * total - slack and upper - lower < bins - 1:
        above, below = held[upper + 1], held[lower - 1]
        rises = above - below >= (-slack if upper - fullest <= fullest - lower else slack)
        upper += 1 if rises else 0
        lower -= 0 if rises else 1
        inside += above if rises else below
    height = (top - bottom) / bins
    return bottom + (fullest - 0.5) * height, bottom + upper * height, bottom + (lower - 1) * height


KERNELS: Mapping[str, Kernel] = {
    "vwma": vwma,
    "vwmacd": vwmacd,
    "vwap": vwap,
    "vwap_bands": vwap_bands,
    "pvo": pvo,
    "vosc": vosc,
    "rvol": rvol,
    "average_volume": average_volume,
    "volume_profile": volume_profile,
}
