"""Parameters that many indicators share, spelled the same everywhere."""

from common.catalogue.spec import SOURCES, Param

MAX_PERIOD = 100_000
"""TA-Lib's own upper bound for periods."""


def period(default: int, *, name: str = "period", minimum: int = 2, what: str = "Length of the window") -> Param:
    """A window length in bars."""
    return Param(name, "int", default, f"{what}, in bars.", min=minimum, max=MAX_PERIOD)


def source(default: str = "close") -> Param:
    """The series of the bar to compute on."""
    return Param("source", "choice", default, "Series of the bar the indicator is computed on.", choices=SOURCES)
