"""Parameters that many indicators share, spelled the same everywhere."""

from common.catalogue.averages import MA_TYPES
from common.catalogue.chain import canonical
from common.catalogue.spec import SOURCES, Param, Params

MAX_PERIOD = 100_000
"""TA-Lib's own upper bound for periods."""


def period(default: int, *, name: str = "period", minimum: int = 2, what: str = "Length of the window") -> Param:
    """A window length in bars."""
    return Param(name, "int", default, f"{what}, in bars.", min=minimum, max=MAX_PERIOD, unit="bars")


def source(default: str = "close", *, name: str = "source", what: str = "Series the indicator is computed on") -> Param:
    """A series of the bar, or another indicator's output."""
    description = f"{what}: a series of the bar or another indicator's output, such as rsi(14)."
    return Param(name, "source", default, description, choices=SOURCES, read_source=canonical)


def source2(default: str = "open", what: str = "The second series") -> Param:
    return source(default, name="source2", what=what)


def multiplier(default: float, *, name: str = "multiplier", what: str, unit: str = "") -> Param:
    """A factor of 0 to 100."""
    return Param(name, "float", default, f"{what}.", min=0.0, max=100.0, unit=unit)


def ma_type(default: str = "sma", *, name: str = "ma_type", what: str = "Kind of moving average") -> Param:
    return Param(name, "choice", default, f"{what}.", choices=MA_TYPES)


def fast_below_slow(p: Params, fast: str = "fast_period", slow: str = "slow_period") -> dict[str, str]:
    """The check that one period is shorter than another."""
    return {} if int(p[fast]) < int(p[slow]) else {fast: f"{p[fast]} is not below {slow} {p[slow]}"}
