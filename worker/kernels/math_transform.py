"""Functions of one value, applied to a whole series.

Numpy's where they run as vector instructions; ours where they do not, or where a second pass would look for infinities.
Ours err by less than two and a half units in the last place. They round to whole numbers by adding 1.5 * 2 ** 52, which
leaves the number in the last bits of the sum.
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


def _compiled(function: Callable[..., None], *constants: float) -> Kernel:
    """A function (input, ..., output) compiled below."""

    def kernel(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
        function(inputs[0], *constants, outputs[0])

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


def _exponent(_context: Any, _x: Any) -> Any:  # noqa: ANN401
    def emit(b: Any, word: Any, x: Any) -> Any:  # noqa: ANN401
        return b.or_(b.lshr(b.sub(x, word(_ROOT_HALF - (1023 << 52))), word(52)), word(_WHOLE))

    return _bitwise(1, emit)


def _mantissa(_context: Any, _x: Any) -> Any:  # noqa: ANN401
    def emit(b: Any, word: Any, x: Any) -> Any:  # noqa: ANN401
        return b.add(b.and_(b.sub(x, word(_ROOT_HALF)), word((1 << 52) - 1)), word(_ROOT_HALF))

    return _bitwise(1, emit)


_ROOT_HALF = 0x3FE6A09E667F3BCD
"""The bits of sqrt(1/2)."""

_WHOLE = 0x433 << 52
"""The bits of 2 ** 52: whole numbers below it lie in the last bits of a sum with it."""

exponent = cast("Callable[[float], float]", intrinsic(_exponent))
"""exponent(x): k + 1023 + 2 ** 52, where x = 2 ** k * mantissa(x) is positive and normal."""

mantissa = cast("Callable[[float], float]", intrinsic(_mantissa))
"""mantissa(x): x brought between sqrt(1/2) and sqrt(2) by a power of two."""

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
        sine[i] = negated_if_odd(smaller(larger(fused(r * z, p, r), -1.0), 1.0), rounded)
    if far:
        for i in range(sine.size):
            if abs(source[i]) > _FARTHEST:
                sine[i] = math.cos(source[i]) if shift else math.sin(source[i])


_LN_2 = (0.6931471803691238, 1.9082149292705877e-10)
"""The logarithm of 2 as a sum; the first part times any exponent is exact."""

_STEEPEST = 708.0
"""Beyond this, powers of e are left to the C library."""


@njit(cache=True, nogil=True, error_model="numpy")
def _power(x: float) -> tuple[float, float]:
    """exp(x) in two parts: 2 ** k and exp(r) - 1, where x = k * log(2) + r."""
    rounded = fused(x, 1.0 / math.log(2.0), _ROUNDER)
    k = rounded - _ROUNDER
    r = fused(k, -_LN_2[1], fused(k, -_LN_2[0], x))
    z = r * r
    even = fused(z, 2.7620075879983367e-07, 2.4801521322368692e-05)
    odd = fused(z, 2.5100375832561234e-08, 2.7557268480310024e-06)
    even = fused(z, fused(z, even, 1.3888888917196719e-03), 0.041666666666624164)
    odd = fused(z, fused(z, odd, 1.9841269863040545e-04), 8.333333333330065e-03)
    p = fused(r, fused(z, odd, 0.16666666666666669), fused(z, even, 0.5000000000000001))
    return two_to_the(rounded), fused(z, p, r)


@njit(cache=True, nogil=True, error_model="numpy")
def _exp(x: Panel, out: Panel) -> None:
    source, result = x.ravel(), out.ravel()
    far = 0
    for i in range(result.size):
        far += abs(source[i]) > _STEEPEST
        scale, p = _power(source[i])
        result[i] = fused(p, scale, scale)
    if far:
        for i in range(result.size):
            if abs(source[i]) > _STEEPEST:
                value = math.exp(source[i])
                result[i] = value if value < np.inf else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _hyperbolic(x: Panel, cosine: bool, out: Panel) -> None:
    """Hyperbolic sine or cosine."""
    source, result = x.ravel(), out.ravel()
    far = 0
    for i in range(result.size):
        size = abs(source[i])
        far += size > _STEEPEST
        scale, p = _power(size)
        scale *= 0.5
        if cosine:
            half = fused(p, scale, scale)
            result[i] = half + 0.25 / half
        else:
            half = fused(p, scale, scale - 0.5)
            result[i] = math.copysign(half + half / fused(2.0, half, 1.0), source[i])
    if far:
        for i in range(result.size):
            if abs(source[i]) > _STEEPEST:
                value = math.cosh(source[i]) if cosine else math.sinh(source[i])
                result[i] = value if abs(value) < np.inf else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _tanh(x: Panel, out: Panel) -> None:
    source, result = x.ravel(), out.ravel()
    for i in range(result.size):
        scale, p = _power(smaller(2.0 * abs(source[i]), 50.0))
        less = fused(p, scale, scale - 1.0)
        result[i] = math.copysign(less / (less + 2.0), source[i])


_LEAST = float(np.finfo(np.float64).tiny)


@njit(cache=True, nogil=True, error_model="numpy")
def _ln(x: Panel, out: Panel) -> None:
    """Natural logarithm: that of a power of two and, by its series' nearest polynomial, of what is left around 1."""
    source, result = x.ravel(), out.ravel()
    small = 0
    for i in range(result.size):
        small += source[i] < _LEAST
        k = exponent(source[i]) - (2.0**52 + 1023.0)
        f = mantissa(source[i]) - 1.0
        s = f / (2.0 + f)
        z = s * s
        p = fused(z, 0.14616449685043406, 0.15331721600556042)
        p = fused(z, fused(z, p, 0.18182889125261723), 0.2222221113479508)
        p = fused(z, fused(z, p, 0.28571428625975487), 0.39999999999899505)
        p = fused(z, p, 0.666666666666667)
        square = 0.5 * f * f
        result[i] = fused(k, _LN_2[0], f - (square - fused(s, fused(z, p, square), k * _LN_2[1])))
    if small:
        for i in range(result.size):
            if source[i] < _LEAST:
                result[i] = math.log(source[i]) if source[i] > 0.0 else np.nan


@njit(cache=True, nogil=True, error_model="numpy")
def _arc(x: Panel, cosine: bool, out: Panel) -> None:
    """Arc sine or cosine; NaN beyond 1. Angles from 30 degrees on are a right one less twice that of half the rest."""
    source, angle = x.ravel(), out.ravel()
    for i in range(angle.size):
        here = source[i]
        size = abs(here)
        small = size < 0.5  # noqa: PLR2004
        z = chosen(small, here * here, 0.5 * (1.0 - size))
        s = chosen(small, size, np.sqrt(z))
        y = z * z
        even = fused(y, 0.02875785136742157, 0.017400879442694025)
        odd = fused(y, -0.014851887071247209, 0.005457506718640357)
        even = fused(y, fused(y, even, 0.01032281435018578), 0.013971212973552933)
        odd = fused(y, fused(y, odd, 0.011479177415184906), 0.017352392720869973)
        even = fused(y, fused(y, even, 0.02237217294214989), 0.04464285714635543)
        odd = fused(y, fused(y, odd, 0.030381944138531247), 0.07499999999998433)
        p = fused(z, odd, fused(y, even, 0.16666666666666669))
        arc = fused(s * z, p, s)
        if cosine:
            signed = math.copysign(arc, here)
            wide = chosen(here > 0.0, 2.0 * arc, (_PI[0] - 2.0 * arc) + _PI[1])
            angle[i] = chosen(small, 0.5 * _PI[0] - (signed - 0.5 * _PI[1]), wide)
        else:
            wide = 0.5 * _PI[0] - (2.0 * arc - 0.5 * _PI[1])
            angle[i] = math.copysign(chosen(small, arc, wide), here)


KERNELS: Mapping[str, Kernel] = {
    "acos": _compiled(_arc, True),
    "asin": _compiled(_arc, False),
    "atan": _elementwise(np.arctan),
    "ceil": _elementwise(np.ceil),
    "cos": _compiled(_sine, 0.5),
    "cosh": _compiled(_hyperbolic, True),
    "exp": _compiled(_exp),
    "floor": _elementwise(np.floor),
    "ln": _compiled(_ln),
    "log10": _unbounded(np.log10),
    "sin": _compiled(_sine, 0.0),
    "sinh": _compiled(_hyperbolic, False),
    "sqrt": _compiled(_root),
    "tan": _elementwise(np.tan),
    "tanh": _compiled(_tanh),
    "abs": _elementwise(np.abs),
    "round": _round,
    "trunc": _elementwise(np.trunc),
    "todeg": _times(180.0 / np.pi),
    "torad": _times(np.pi / 180.0),
}
