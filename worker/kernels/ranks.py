"""Windows in the order of their values."""

import math
from collections.abc import Sequence

import numpy as np
from numba import njit

from common.catalogue.spec import Params
from worker.kernels.arithmetic import chosen, larger, smaller
from worker.kernels.panels import Panel, Scratch

_BLOCK = 512
"""Cells a pass works on at once: so few that they stay in the first cache, so many that loops are worth starting."""


def percentile(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Value that a share of the window does not exceed: one of its values (TA-Lib PERCENTILE), or between two."""
    period, share = int(p["period"]), float(p["percentile"])
    if p["convention"] == "nearest":
        rank = min(max(math.ceil(share * period / 100.0), 1), period) - 1.0
    else:
        rank = share * (period - 1) / 100.0
    _of_rank(inputs[0], period, rank, outputs[0], scratch.panel())


def median(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Value in the middle of the window, or the middle of the two there (pandas-ta median)."""
    period = int(p["period"])
    _of_rank(inputs[0], period, (period - 1) / 2.0, outputs[0], scratch.panel())


@njit(cache=True, nogil=True, error_model="numpy")
def _of_rank(x: Panel, period: int, rank: float, out: Panel, window: Panel) -> None:
    """Value of each window at `rank`, counted from 0 in ascending order; between two values where it has a fraction.

    The window is kept in order. Taking `old` out and putting `new` in leaves at each place one of three: the value
    there, its neighbour, or `new`; which, comparisons say without a branch.
    """
    rows, width = x.shape
    below = int(rank)
    above = min(below + 1, period - 1)
    share = rank - below
    if width == 1:
        ordered = np.full((2, period + 2), np.inf)  # between infinities
        ordered[0, 0] = ordered[1, 0] = -np.inf
        now = 0
        for t in range(rows):
            before, after = ordered[now], ordered[1 - now]
            old, new = x[t - period, 0] if t >= period else np.inf, x[t, 0]
            for k in range(period):
                left, here, right = before[k], before[k + 1], before[k + 2]
                low = left if left < old else here
                high = here if here < old else right
                after[k + 1] = smaller(larger(new, low), high)
            now = 1 - now
            low, high = after[below + 1], after[above + 1]
            out[t, 0] = low + (high - low) * share
        return
    lower, old, new = np.empty(width), np.empty(width), np.empty(width)
    window[:period] = np.inf
    for t in range(rows):
        for j in range(width):
            lower[j] = -np.inf
            old[j] = x[t - period, j] if t >= period else np.inf
            new[j] = x[t, j]
        for k in range(0, period - 2, 2):  # two places at once: half the loads
            one, two, three = window[k], window[k + 1], window[k + 2]
            for j in range(width):
                least, gone, come = lower[j], old[j], new[j]
                left, here, right = one[j], two[j], three[j]
                low = left if left < gone else here
                high = here if here < gone else right
                one[j] = smaller(larger(come, least), low)
                two[j] = smaller(larger(come, low), high)
                lower[j] = high
        if period % 2 == 0:
            one, two = window[period - 2], window[period - 1]
            for j in range(width):
                least, gone, come = lower[j], old[j], new[j]
                left, here = one[j], two[j]
                low = left if left < gone else here
                one[j] = smaller(larger(come, least), low)
                lower[j] = low
        for j in range(width):
            window[period - 1, j] = larger(new[j], lower[j])
        for j in range(width):
            low, high = window[below, j], window[above, j]
            out[t, j] = low + (high - low) * share


def percentrank(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Share of the `period` values before that lie below the value (TA-Lib PERCENTRANK)."""
    _shares_below(inputs[0], int(p["period"]), outputs[0])


@njit(cache=True, nogil=True, error_model="numpy")
def _shares_below(x: Panel, period: int, out: Panel) -> None:
    """In percent. Works on blocks of whole rows: one symbol's column is as good as a panel."""
    rows, width = x.shape
    values, results = x.ravel(), out.ravel()
    height = max(_BLOCK // width, 1)
    count = np.empty(height * width)
    for first in range(period, rows, height):
        cells = (min(first + height, rows) - first) * width
        here = first * width
        now = values[here : here + cells]
        count[:] = 0.0
        for back in range(4, period + 1, 4):  # four rows at once: counting takes less time than loading
            one = values[here - back * width : here - back * width + cells]
            two = values[here - (back - 1) * width : here - (back - 1) * width + cells]
            three = values[here - (back - 2) * width : here - (back - 2) * width + cells]
            four = values[here - (back - 3) * width : here - (back - 3) * width + cells]
            for i in range(cells):
                limit, below = now[i], count[i]
                below = chosen(one[i] < limit, below + 1.0, below)
                below = chosen(two[i] < limit, below + 1.0, below)
                below = chosen(three[i] < limit, below + 1.0, below)
                count[i] = chosen(four[i] < limit, below + 1.0, below)
        for back in range(period - period % 4 + 1, period + 1):
            then = values[here - back * width : here - back * width + cells]
            for i in range(cells):
                count[i] = chosen(then[i] < now[i], count[i] + 1.0, count[i])
        for i in range(cells):
            results[here + i] = count[i] / period * 100.0
