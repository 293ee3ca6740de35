"""Arithmetic that numba does not offer by itself: single instructions. For compiled code alone."""

from collections.abc import Callable
from typing import Any, cast

from numba import types
from numba.extending import intrinsic

_Function = Callable[[Any, Any, tuple[Any, ...]], Any]


def _instruction(arity: int, emit: _Function) -> Any:  # noqa: ANN401 - numba's own types
    """An intrinsic of `arity` floats that returns one."""
    signature = types.float64(*(types.float64,) * arity)

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return emit(builder, _signature, arguments)

    return signature, generate


def _fused(_context: Any, _a: Any, _b: Any, _c: Any) -> Any:  # noqa: ANN401
    return _instruction(3, lambda builder, _, arguments: builder.fma(*arguments))


def _larger(_context: Any, _a: Any, _b: Any) -> Any:  # noqa: ANN401
    return _instruction(2, lambda b, _, xy: b.select(b.fcmp_ordered(">", *xy), *xy))


def _smaller(_context: Any, _a: Any, _b: Any) -> Any:  # noqa: ANN401
    return _instruction(2, lambda b, _, xy: b.select(b.fcmp_ordered("<", *xy), *xy))


def _chosen(_context: Any, _test: Any, _a: Any, _b: Any) -> Any:  # noqa: ANN401
    signature = types.float64(types.boolean, types.float64, types.float64)
    return signature, lambda _context, builder, _signature, arguments: builder.select(*arguments)


fused = cast("Callable[[float, float, float], float]", intrinsic(_fused))
"""fused(a, b, c): a * b + c, rounded once.

TA-Lib's wheels compute their exponential averages so; with it ours have the same bits, and differences of averages
agree even where they cross zero.
"""

larger = cast("Callable[[float, float], float]", intrinsic(_larger))
"""larger(a, b): a if a > b else b, without a branch (which would become a masked store, several times slower)."""

smaller = cast("Callable[[float, float], float]", intrinsic(_smaller))
"""smaller(a, b): a if a < b else b, without a branch."""

chosen = cast("Callable[[bool, float, float], float]", intrinsic(_chosen))
"""chosen(test, a, b): a if test else b, without a branch: both are computed."""
