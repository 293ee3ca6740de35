"""Functions of one value, applied to a whole series."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.spec import Params
from worker.kernels.panels import Kernel, Panel, Scratch


def _elementwise(function: np.ufunc) -> Kernel:
    def kernel(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        function(inputs[0], out=outputs[0])

    return kernel


def _within_one(function: np.ufunc) -> Kernel:
    """Of numbers from -1 to 1; others are made NaN first, for numpy computes what is out of bounds one by one."""

    def kernel(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        _keep_within_one(inputs[0], outputs[0])
        function(outputs[0], out=outputs[0])

    return kernel


def _times(factor: float) -> Kernel:
    def kernel(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        np.multiply(inputs[0], factor, out=outputs[0])

    return kernel


def _unbounded(function: np.ufunc) -> Kernel:
    """Where a function reaches infinity it has no value."""

    def kernel(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        function(inputs[0], out=outputs[0])
        drop_infinities(outputs[0])

    return kernel


def _round(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """The nearest whole number, halves up (tulip's round, exact where that adds 0.5 and rounds twice)."""
    (x,), (out,), rest = inputs, outputs, scratch.panel()
    np.floor(x, out=out)
    np.subtract(x, out, out=rest)
    np.greater_equal(rest, 0.5, out=rest)
    out += rest


@njit(cache=True, nogil=True, error_model="numpy")
def drop_infinities(panel: Panel) -> None:
    """Make them NaN, in place: infinity minus itself is none."""
    values = panel.ravel()
    for i in range(values.size):
        values[i] += values[i] - values[i]


@njit(cache=True, nogil=True, error_model="numpy")
def _keep_within_one(x: Panel, out: Panel) -> None:
    source, kept = x.ravel(), out.ravel()
    for i in range(kept.size):
        kept[i] = source[i] if abs(source[i]) <= 1.0 else np.nan


KERNELS: Mapping[str, Kernel] = {
    "acos": _within_one(np.arccos),
    "asin": _within_one(np.arcsin),
    "atan": _elementwise(np.arctan),
    "ceil": _elementwise(np.ceil),
    "cos": _elementwise(np.cos),
    "cosh": _unbounded(np.cosh),
    "exp": _unbounded(np.exp),
    "floor": _elementwise(np.floor),
    "ln": _unbounded(np.log),
    "log10": _unbounded(np.log10),
    "sin": _elementwise(np.sin),
    "sinh": _unbounded(np.sinh),
    "sqrt": _elementwise(np.sqrt),
    "tan": _elementwise(np.tan),
    "tanh": _elementwise(np.tanh),
    "abs": _elementwise(np.abs),
    "round": _round,
    "trunc": _elementwise(np.trunc),
    "todeg": _times(180.0 / np.pi),
    "torad": _times(np.pi / 180.0),
}
