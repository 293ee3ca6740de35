"""Crossings of two series, and whether series rise or fall."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.spec import Params
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.windows import rolling_min


def _crossing(upwards: float, downwards: float) -> Kernel:
    """What to write where the first series crosses the second in each direction."""

    def kernel(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        _crossings(inputs[0], inputs[1], upwards, downwards, outputs[0])

    return kernel


@njit(cache=True, nogil=True, error_model="numpy")
def _crossings(x: Panel, y: Panel, upwards: float, downwards: float, out: Panel) -> None:
    rows, width = x.shape
    for t in range(1, rows):
        for j in range(width):
            up = (x[t, j] > y[t, j]) & (x[t - 1, j] <= y[t - 1, j])
            down = (x[t, j] < y[t, j]) & (x[t - 1, j] >= y[t - 1, j])
            out[t, j] = up * upwards + down * downwards


def increasing(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Whether the value, or with `strict` each one of the last `period`, is above the one before."""
    _rising(inputs[0], p, 1.0, outputs[0], scratch)


def decreasing(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Whether the value, or with `strict` each one of the last `period`, is below the one before."""
    _rising(inputs[0], p, -1.0, outputs[0], scratch)


def _rising(x: Panel, p: Params, sign: float, out: Panel, scratch: Scratch) -> None:
    """Of `sign` * x. With `strict` the least of the last changes decides, else their sum."""
    period = int(p["period"])
    if p["strict"]:
        change = scratch.panel()
        _change(x, 1, sign, change)
        rolling_min(change[1:], period, out[1:])
    else:
        _change(x, period, sign, out)
    np.greater(out[period:], 0.0, out=out[period:])


def long_run(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Whether the fast series rises while the slow one does not stand still (pandas-ta)."""
    _running(inputs, p, 1.0, outputs[0], scratch.panel())


def short_run(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Whether the fast series falls while the slow one does not stand still (pandas-ta)."""
    _running(inputs, p, -1.0, outputs[0], scratch.panel())


def _running(inputs: Sequence[Panel], p: Params, sign: float, out: Panel, moves: Panel) -> None:
    (fast, slow), period = inputs, int(p["period"])
    _change(fast, period, sign, out)
    np.greater(out[period:], 0.0, out=out[period:])
    np.not_equal(slow[period:], slow[:-period], out=moves[period:])
    out[period:] *= moves[period:]


def _change(x: Panel, period: int, sign: float, out: Panel) -> None:
    """Of `sign` * x over `period` rows."""
    now, then = (x[period:], x[:-period]) if sign > 0 else (x[:-period], x[period:])
    np.subtract(now, then, out=out[period:])


KERNELS: Mapping[str, Kernel] = {
    "crossover": _crossing(1.0, 0.0),
    "crossunder": _crossing(0.0, 1.0),
    "crossany": _crossing(1.0, 1.0),
    "increasing": increasing,
    "decreasing": decreasing,
    "long_run": long_run,
    "short_run": short_run,
}
