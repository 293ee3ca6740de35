"""Price transforms: one price out of a bar's four, and bars of averages."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit
from numpy.typing import NDArray

from common.catalogue.spec import Params
from worker.kernels.arithmetic import larger, smaller
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.windows import rolling_max, rolling_min

Series = NDArray[np.float64]
"""One symbol's column of a panel."""


def avgprice(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Mean of open, high, low and close (TA-Lib AVGPRICE)."""
    opened, high, low, close = inputs
    _mean(high, low, close, opened, 1.0, outputs[0])


def medprice(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Middle of high and low (TA-Lib MEDPRICE)."""
    (high, low), (out,) = inputs, outputs
    np.add(high, low, out=out)
    out *= 0.5


def typprice(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Mean of high, low and close (TA-Lib TYPPRICE)."""
    high, low, close = inputs
    _mean(high, low, close, close, 0.0, outputs[0])


def wclprice(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Mean of high, low and twice the close (TA-Lib WCLPRICE)."""
    high, low, close = inputs
    _mean(high, low, close, close, 1.0, outputs[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _mean(high: Panel, low: Panel, close: Panel, fourth: Panel, weight: float, out: Panel) -> None:
    """Mean of three prices and a fourth one of some weight, summed in TA-Lib's order."""
    a, b, c, d, mean = high.ravel(), low.ravel(), close.ravel(), fourth.ravel(), out.ravel()
    for i in range(mean.size):
        mean[i] = (a[i] + b[i] + c[i] + d[i] * weight) / (3.0 + weight)


def midpoint(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Middle of the greatest and the least value of the window (TA-Lib MIDPOINT)."""
    _middle(inputs[0], inputs[0], int(p["period"]), outputs[0], scratch)


def midprice(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Middle of the highest high and the lowest low of the window (TA-Lib MIDPRICE)."""
    _middle(inputs[0], inputs[1], int(p["period"]), outputs[0], scratch)


def _middle(high: Panel, low: Panel, period: int, out: Panel, scratch: Scratch) -> None:
    if out.shape[1] == 1:
        _middle_of_one(high.ravel(), low.ravel(), period, out.ravel())
        return
    least = scratch.panel()
    rolling_max(high, period, out)
    rolling_min(low, period, least)
    known = out[period - 1 :]
    known += least[period - 1 :]
    known *= 0.5


@njit(cache=True, nogil=True, error_model="numpy")
def extremes_of_one(high: Series, low: Series, period: int, top: Series, bottom: Series) -> None:
    """Greatest `high` and least `low` of each window of one symbol.

    Windows are twice as long with each pass, and passes over time run as vector instructions. Extremes are exact, so
    there are the same bits as from `windows.rolling_max`.
    """
    rows = len(high)
    tops, bottoms = np.empty((2, rows)), np.empty((2, rows))
    tops[0], bottoms[0] = high, low
    now, span = 0, 1
    while span < period:
        step = min(span, period - span)
        after, early, late = tops[1 - now, step:], tops[now, : rows - step], tops[now, step:]
        for i in range(rows - step):
            after[i] = larger(late[i], early[i])
        after, early, late = bottoms[1 - now, step:], bottoms[now, : rows - step], bottoms[now, step:]
        for i in range(rows - step):
            after[i] = smaller(late[i], early[i])
        now, span = 1 - now, span + step
    top[:], bottom[:] = tops[now], bottoms[now]


@njit(cache=True, nogil=True, error_model="numpy")
def _middle_of_one(high: Series, low: Series, period: int, out: Series) -> None:
    bottom = np.empty(len(out))
    extremes_of_one(high, low, period, out, bottom)
    for t in range(len(out)):
        out[t] = (out[t] + bottom[t]) * 0.5


def ha(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Heikin-Ashi bars (TA-Lib HA)."""
    heikin_ashi(*inputs, *outputs)


@njit(cache=True, nogil=True, error_model="numpy")
def heikin_ashi(
    opened: Panel,
    high: Panel,
    low: Panel,
    close: Panel,
    ha_open: Panel,
    ha_high: Panel,
    ha_low: Panel,
    ha_close: Panel,
) -> None:
    """Write the Heikin-Ashi bars: the open is the middle of the body before, the close the mean of the bar's prices."""
    rows, width = high.shape
    if rows == 0:
        return
    middle = np.empty(width)  # of the body before
    for j in range(width):
        middle[j] = (opened[0, j] + close[0, j]) / 2.0
    if width == 1:
        start = middle[0]
        for t in range(rows):
            end = (opened[t, 0] + high[t, 0] + low[t, 0] + close[t, 0]) / 4.0
            ha_open[t, 0] = start
            ha_close[t, 0] = end
            ha_high[t, 0] = larger(end, larger(start, high[t, 0]))
            ha_low[t, 0] = smaller(end, smaller(start, low[t, 0]))
            start = (start + end) / 2.0
        return
    for t in range(rows):
        for j in range(width):
            end = (opened[t, j] + high[t, j] + low[t, j] + close[t, j]) / 4.0
            ha_open[t, j] = middle[j]
            ha_close[t, j] = end
            middle[j] = (middle[j] + end) / 2.0
        for j in range(width):
            ha_high[t, j] = larger(ha_close[t, j], larger(ha_open[t, j], high[t, j]))
            ha_low[t, j] = smaller(ha_close[t, j], smaller(ha_open[t, j], low[t, j]))


KERNELS: Mapping[str, Kernel] = {
    "avgprice": avgprice,
    "medprice": medprice,
    "typprice": typprice,
    "wclprice": wclprice,
    "midpoint": midpoint,
    "midprice": midprice,
    "ha": ha,
}
