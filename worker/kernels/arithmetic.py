"""Arithmetic that numba does not offer by itself."""

from collections.abc import Callable
from typing import Any, cast

from numba import types
from numba.extending import intrinsic


def _fused(_context: Any, _a: Any, _b: Any, _c: Any) -> Any:  # noqa: ANN401 - numba's own types
    def generate(_target: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), generate


fused = cast("Callable[[float, float, float], float]", intrinsic(_fused))
"""fused(a, b, c): a * b + c, rounded once. For compiled code alone.

TA-Lib's wheels compute their exponential averages so; with it ours have the same bits, and differences of averages
agree even where they cross zero.
"""
