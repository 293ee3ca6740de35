"""TA-Lib's functions of one value."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

# Sources inside and outside of each function's domain.
_ACROSS = ({"source": "volume"}, {"source": "hl2"})

CALLS: Mapping[str, Call] = {
    name: Call(name.upper(), grid=_ACROSS)
    for name in (
        *("acos", "asin", "atan", "ceil", "cos", "cosh", "exp", "floor", "ln", "log10"),
        *("sin", "sinh", "sqrt", "tan", "tanh"),
    )
}
