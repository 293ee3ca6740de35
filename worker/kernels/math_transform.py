"""Functions of one value, applied to a whole series.

Numpy's where they run as vector instructions; ours where they do not, or where a second pass would look for infinities.
Ours err by less than two units in the last place. They round to whole numbers by adding 1.5 * 2 ** 52, which leaves the
number in the last bits of the sum.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from common.catalogue.spec import Params
from worker.kernels.arithmetic import chosen, fused, larger, smaller
from worker.kernels.panels import Kernel, Panel, Scratch

_ROUNDER = 1.5 * 2.0**52


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


def _wave(shift: float) -> Kernel:
    """Sine of x + pi * shift, where `shift` is 0 or 1/2."""

    def kernel(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        _sine(inputs[0], shift, outputs[0])

    return kernel


def _exponential_kind(kind: int) -> Kernel:
    def kernel(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        _exponential(inputs[0], kind, outputs[0])

    return kernel


def sqrt(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Square root (TA-Lib SQRT)."""
    _root(inputs[0], outputs[0])


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


@njit(cache=True, nogil=True, error_model="numpy")
def _root(x: Panel, out: Panel) -> None:
    source, root = x.ravel(), out.ravel()
    for i in range(root.size):
        root[i] = np.sqrt(source[i])


def _bitwise(arity: int, emit: Callable[..., Any]) -> Any:  # noqa: ANN401 - numba's own types
    """An intrinsic that computes with the bits of `arity` floats."""
    word, real = ir.IntType(64), ir.DoubleType()

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.bitcast(emit(builder, word, *(builder.bitcast(each, word) for each in arguments)), real)

    return types.float64(*(types.float64,) * arity), generate


def _two_to_the(_context: Any, _rounded: Any) -> Any:  # noqa: ANN401
    return _bitwise(1, lambda b, word, k: b.add(b.shl(k, word(52)), word(1023 << 52)))


def _negated_if_odd(_context: Any, _value: Any, _rounded: Any) -> Any:  # noqa: ANN401
    return _bitwise(2, lambda b, word, value, k: b.xor(value, b.shl(k, word(63))))


two_to_the = cast("Callable[[float], float]", intrinsic(_two_to_the))
"""two_to_the(k + _ROUNDER): 2 ** k, for k from -1022 to 1023."""

negated_if_odd = cast("Callable[[float, float], float]", intrinsic(_negated_if_odd))
"""negated_if_odd(value, k + _ROUNDER): value * (-1) ** k."""

_PI = (math.pi, 1.2246467991473532e-16, -2.9947698097183397e-33)
"""Pi as a sum: its products with a whole number, taken from x one by one, leave an exact distance."""

_FARTHEST = 1e9
"""Beyond this, distances from multiples of pi are left to the C library."""


@njit(cache=True, nogil=True, error_model="numpy")
def _sine(x: Panel, shift: float, out: Panel) -> None:
    """(-1) ** k times the sine of the distance from the nearest k * pi, by its series' nearest polynomial."""
    source, sine = x.ravel(), out.ravel()
    far = 0
    for i in range(sine.size):
        here = source[i]
        far += abs(here) > _FARTHEST
        rounded = fused(here, 1.0 / _PI[0], shift) + _ROUNDER
        turns = shift - (rounded - _ROUNDER)
        r = fused(turns, _PI[2], fused(turns, _PI[1], fused(turns, _PI[0], here)))
        z = r * r
        p = fused(z, 2.7314447669863995e-15, -7.643970296798572e-13)
        p = fused(z, fused(z, p, 1.6058977312464087e-10), -2.5052107616996182e-08)
        p = fused(z, fused(z, p, 2.7557319219163234e-06), -1.9841269841254974e-04)
        p = fused(z, fused(z, p, 8.333333333333316e-03), -1.0 / 6.0)
        sine[i] = negated_if_odd(fused(r * z, p, r), rounded)
    if far:
        for i in range(sine.size):
            if abs(source[i]) > _FARTHEST:
                sine[i] = math.cos(source[i]) if shift else math.sin(source[i])


_LN_2 = (math.log(2.0), 2.3190468138462996e-17)


KERNELS: Mapping[str, Kernel] = {
    "acos": _within_one(np.arccos),
    "asin": _within_one(np.arcsin),
    "atan": _elementwise(np.arctan),
    "ceil": _elementwise(np.ceil),
    "cos": _wave(0.5),
    "cosh": _unbounded(np.cosh),
    "exp": _unbounded(np.exp),
    "floor": _elementwise(np.floor),
    "ln": _unbounded(np.log),
    "log10": _unbounded(np.log10),
    "sin": _wave(0.0),
    "sinh": _unbounded(np.sinh),
    "sqrt": sqrt,
    "tan": _elementwise(np.tan),
    "tanh": _elementwise(np.tanh),
    "abs": _elementwise(np.abs),
    "round": _round,
    "trunc": _elementwise(np.trunc),
    "todeg": _times(180.0 / np.pi),
    "torad": _times(np.pi / 180.0),
}
