"""Functions of one value, applied to a whole series."""

from math import pi

from common.catalogue.params import source
from common.catalogue.spec import IndicatorSpec, Output
from common.catalogue.units import OTHER, PRICE, Unit

_TALIB = "https://ta-lib.org/functions/{}/"
_TULIP = "https://tulipindicators.org/{}"


def _function(  # noqa: PLR0917 - the columns of the tables below
    name: str,
    title: str,
    description: str,
    low: float | None = None,
    high: float | None = None,
    partial: str = "",
    *,
    unit: Unit = OTHER,
    reference: str = _TALIB,
) -> IndicatorSpec:
    """A function of each value by itself; `partial` says where it has no value."""
    return IndicatorSpec(
        name=name,
        title=title,
        family="math transform",
        description=f"{description}{f'; no value {partial}' if partial else ''}.",
        inputs=("source",),
        params=(source(),),
        outputs=(Output(name, f"{title} of the value.", unit, low, high, gaps=bool(partial)),),
        references=(reference.format(name),),
    )


_OUTSIDE = "outside of -1 to 1"
_TOO_LARGE = "where it is too large for a number"

SPECS = (
    _function("acos", "Arc Cosine", "The angle in radians that has the value as its cosine", 0.0, pi, _OUTSIDE),
    _function("asin", "Arc Sine", "The angle in radians that has the value as its sine", -pi / 2, pi / 2, _OUTSIDE),
    _function("atan", "Arc Tangent", "The angle in radians that has the value as its tangent", -pi / 2, pi / 2),
    _function("ceil", "Ceiling", "The least whole number that is not below the value"),
    _function("cos", "Cosine", "The cosine of the value in radians", -1.0, 1.0),
    _function("cosh", "Hyperbolic Cosine", "The hyperbolic cosine of the value", 1.0, None, _TOO_LARGE),
    _function("exp", "Exponential", "e to the power of the value", 0.0, None, _TOO_LARGE),
    _function("floor", "Floor", "The greatest whole number that is not above the value"),
    _function("ln", "Natural Logarithm", "The logarithm of the value to base e", None, None, "up to 0"),
    _function("log10", "Decimal Logarithm", "The logarithm of the value to base 10", None, None, "up to 0"),
    _function("sin", "Sine", "The sine of the value in radians", -1.0, 1.0),
    _function("sinh", "Hyperbolic Sine", "The hyperbolic sine of the value", None, None, _TOO_LARGE),
    _function("sqrt", "Square Root", "The square root of the value", 0.0, None, "below 0"),
    _function("tan", "Tangent", "The tangent of the value in radians"),
    _function("tanh", "Hyperbolic Tangent", "The hyperbolic tangent of the value", -1.0, 1.0),
    _function("abs", "Absolute Value", "The value without its sign", 0.0, unit=PRICE, reference=_TULIP),
    _function("round", "Nearest Whole Number", "The whole number next to the value, halves up", reference=_TULIP),
    _function("trunc", "Whole Part", "The value without its fraction, towards 0", reference=_TULIP),
    _function("todeg", "Degrees", "The value, an angle in radians, in degrees", reference=_TULIP),
    _function("torad", "Radians", "The value, an angle in degrees, in radians", reference=_TULIP),
)
