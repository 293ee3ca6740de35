"""Averages over a window by weights of its shape, and decays."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from common.catalogue.spec import Params
from worker.kernels.arithmetic import fused, larger
from worker.kernels.panels import Kernel, Panel, Scratch

Weights = NDArray[np.float64]
"""Of a window, from the oldest row to the latest; they add up to 1."""

_FIBONACCI = 1000
"""The weights of values longer ago are below 1e-200."""


def _fibonacci(period: int) -> Weights:
    numbers = [1.0, 1.0]
    while len(numbers) < min(period, _FIBONACCI):
        numbers.append(numbers[-1] + numbers[-2])
    return np.array(numbers)


def _pascal(period: int) -> Weights:
    """Row period - 1 of the triangle over its greatest number: quotients of neighbours, multiplied from the middle."""
    up = np.arange(1.0, period)
    steps = (period - up) / up
    middle = (period - 1) // 2
    return np.concatenate([np.cumprod(1.0 / steps[:middle][::-1])[::-1], [1.0], np.cumprod(steps[middle:])])


def _sine(period: int) -> Weights:
    return np.sin(np.arange(1, period + 1) * np.pi / (period + 1))


def _gauss(period: int, offset: float, sigma: float) -> Weights:
    distance = np.arange(period) - offset * (period - 1)
    return np.exp(-0.5 * (distance * sigma / period) ** 2)


def _weighted(shape: Callable[..., Weights], *names: str) -> Kernel:
    """The kernel of an average whose weights `shape` makes of the parameters `names`."""

    @lru_cache(32)
    def weights(*values: float) -> Weights:
        found = shape(*values)
        found /= found.sum()
        return found

    def kernel(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        weighted_mean(inputs[0], weights(*(p[name] for name in names)), outputs[0])

    return kernel


def decay(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Greater of the value and the decay before, less 1 / period (tulip decay)."""
    _decay(inputs[0], 1.0, -1.0 / int(p["period"]), outputs[0])


def edecay(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Greater of the value and the decay before, times 1 - 1 / period (tulip edecay)."""
    _decay(inputs[0], 1.0 - 1.0 / int(p["period"]), 0.0, outputs[0])


_TILE = 2048


@njit(cache=True, nogil=True, error_model="numpy")
def weighted_mean(x: Panel, weights: Weights, out: Panel) -> None:
    """Mean of each window by `weights`, from row len(weights) - 1 on. Not in place.

    Rows are contiguous, so the value of some rows ago lies a fixed number of cells before, whatever the width. Sums
    distances from the latest value, two rows at a time, in tiles that stay in the cache: a window of equal values has
    exactly that mean.
    """
    rows, width = x.shape
    last = len(weights) - 1
    cells, means = x.reshape(rows * width), out.reshape(rows * width)
    for start in range(last * width, rows * width, _TILE):
        end = min(start + _TILE, rows * width)
        mean, latest = means[start:end], cells[start:end]
        mean[:] = latest
        for k in range(last, 0, -2):
            second = max(k - 1, 0)  # the latest row itself adds nothing
            share, next_share = weights[last - k], weights[last - second]
            before = cells[start - k * width : end - k * width]
            after = cells[start - second * width : end - second * width]
            for i in range(end - start):
                mean[i] = fused(after[i] - latest[i], next_share, fused(before[i] - latest[i], share, mean[i]))


@njit(cache=True, nogil=True, error_model="numpy")
def _decay(x: Panel, keep: float, step: float, out: Panel) -> None:
    rows, width = x.shape
    out[0] = x[0]
    if width == 1:
        value = x[0, 0]
        for t in range(1, rows):
            value = larger(x[t, 0], fused(value, keep, step))
            out[t, 0] = value
        return
    for t in range(1, rows):
        for j in range(width):
            out[t, j] = larger(x[t, j], fused(out[t - 1, j], keep, step))


KERNELS: Mapping[str, Kernel] = {
    "fwma": _weighted(_fibonacci, "period"),
    "pwma": _weighted(_pascal, "period"),
    "sinwma": _weighted(_sine, "period"),
    "alma": _weighted(_gauss, "period", "offset", "sigma"),
    "decay": decay,
    "edecay": edecay,
}
