"""Functions of one value against Python's own, where TA-Lib has none or real prices lie outside of its domain."""

import math
from collections.abc import Callable
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from common.catalogue import CATALOGUE
from worker import kernels

HARD = [-1e6, -3.5, -2.5, -1.0, -0.5, -0.2, -0.0, 0.0, 0.2, 0.49999999999999994, 0.5, 1.0, 2.5, 2**52 + 1.0, 1e300]


def halves_up(x: float) -> float:
    return float(Decimal(x).to_integral_value(ROUND_HALF_UP if x > 0 else ROUND_HALF_DOWN))


FUNCTIONS: dict[str, Callable[[float], float]] = {
    **{name: getattr(math, name) for name in ("acos", "asin", "atan", "ceil", "cos", "cosh", "exp", "floor", "log10")},
    **{name: getattr(math, name) for name in ("sin", "sinh", "sqrt", "tan", "tanh", "trunc")},
    "ln": math.log,
    "abs": abs,
    "round": halves_up,
    "todeg": lambda x: x * 180 / math.pi,
    "torad": lambda x: x * math.pi / 180,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_python(name: str) -> None:
    (found,) = kernels.run(name, [np.array(HARD)[:, None]], CATALOGUE[name].defaults)
    for x, value in zip(HARD, found[:, 0], strict=True):
        try:
            expected = float(FUNCTIONS[name](x))
        except (ValueError, OverflowError):
            expected = math.nan
        np.testing.assert_allclose(value, expected, rtol=1e-12, err_msg=f"{name}({x})")
