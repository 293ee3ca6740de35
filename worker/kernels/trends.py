"""Signs of a trend."""

from collections.abc import Mapping, Sequence

from numba import njit

from common.catalogue.averages import ma_lookback
from common.catalogue.spec import Params
from worker.kernels.arithmetic import smaller
from worker.kernels.moving_averages import average
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.windows import rolling_mean

COMPARED = 4
"""Bars back to the close a TD setup compares with."""
LONGEST = 13.0
"""Where the count of a TD setup ends."""


def amat(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Direction of a fast average while a slow one moves."""
    (x,), fast, slow = inputs, scratch.panel(), scratch.panel()
    kind, fast_period, slow_period = str(p["ma_type"]), int(p["fast_period"]), int(p["slow_period"])
    average(kind, x, fast_period, fast, scratch)
    average(kind, x, slow_period, slow, scratch)
    first = max(ma_lookback(kind, fast_period), ma_lookback(kind, slow_period))
    _runs(fast[first:], slow[first:], int(p["run_period"]), outputs[0][first:])


def ttm_trend(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Side of the average of the middles the close is on."""
    (close, middle), (out,), mean = inputs, outputs, scratch.panel()
    rolling_mean(middle, int(p["period"]), mean)
    _side(close, mean, out)


def td_seq(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """DeMark's setup counts."""
    _setup(inputs[0], *outputs)


@njit(cache=True, nogil=True, error_model="numpy")
def _side(x: Panel, of: Panel, out: Panel) -> None:
    """Write 1 where `x` is above, -1 where it is below, else 0."""
    rows, width = x.shape
    for t in range(rows):
        for j in range(width):
            a, b = x[t, j], of[t, j]
            out[t, j] = 1.0 if a > b else (-1.0 if a < b else 0.0)


@njit(cache=True, nogil=True, error_model="numpy")
def _runs(fast: Panel, slow: Panel, period: int, out: Panel) -> None:
    """Write 1 where `fast` is above its value `period` rows before, -1 where below, 0 where `slow` has not moved."""
    rows, width = fast.shape
    for t in range(period, rows):
        for j in range(width):
            now, before = fast[t, j], fast[t - period, j]
            side = 1.0 if now > before else (-1.0 if now < before else 0.0)
            out[t, j] = 0.0 if slow[t, j] == slow[t - period, j] else side


@njit(cache=True, nogil=True, error_model="numpy")
def _setup(x: Panel, up: Panel, down: Panel) -> None:
    """Write how many rows in a row `x` has been above, or below, its value COMPARED rows before."""
    rows, width = x.shape
    up[COMPARED - 1] = 0.0
    down[COMPARED - 1] = 0.0
    for t in range(COMPARED, rows):
        for j in range(width):
            now, before = x[t, j], x[t - COMPARED, j]
            rising, falling = smaller(up[t - 1, j] + 1.0, LONGEST), smaller(down[t - 1, j] + 1.0, LONGEST)
            up[t, j] = rising if now > before else 0.0
            down[t, j] = falling if now < before else 0.0


KERNELS: Mapping[str, Kernel] = {"amat": amat, "ttm_trend": ttm_trend, "td_seq": td_seq}
