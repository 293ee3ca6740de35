"""Straight lines through windows by least squares."""

from common.catalogue.params import period, source
from common.catalogue.references import CHANDE_KROLL, PANDAS_TA
from common.catalogue.spec import IndicatorSpec, Output
from common.catalogue.units import ANGLE, PRICE, RATIO

_FAMILY = "regression"


def _line(name: str, title: str, description: str, output: Output, *, aliases: tuple[str, ...] = ()) -> IndicatorSpec:
    """One number of the line through the last `period` values."""
    return IndicatorSpec(
        name=name,
        title=title,
        family=_FAMILY,
        description=description,
        inputs=("source",),
        params=(period(14), source()),
        outputs=(output,),
        lookback=lambda p: int(p["period"]) - 1,
        references=(f"https://ta-lib.org/functions/{name}/",),
        aliases=aliases,
    )


LINEARREG = _line(
    "linearreg",
    "Linear Regression",
    "The line of least squares through the window, at its last row.",
    Output("linearreg", "The line at the last row of the window.", PRICE, shift=1),
    aliases=("linreg", "epma", "lsma"),
)

LINEARREG_INTERCEPT = _line(
    "linearreg_intercept",
    "Linear Regression Intercept",
    "The line of least squares through the window, at its first row.",
    Output("linearreg_intercept", "The line at the first row of the window.", PRICE, shift=1),
    aliases=("linearregintercept", "linregintercept"),
)

LINEARREG_SLOPE = _line(
    "linearreg_slope",
    "Linear Regression Slope",
    "How much the line of least squares through the window rises per row.",
    Output("linearreg_slope", "Rise of the line per row.", PRICE, shift=0),
    aliases=("linearregslope", "linregslope"),
)

LINEARREG_ANGLE = _line(
    "linearreg_angle",
    "Linear Regression Angle",
    "The angle of the line of least squares through the window, one unit of price being as long as one row.",
    Output("linearreg_angle", "Angle in degrees, above 0 for a rising line.", ANGLE, low=-90.0, high=90.0, shift=0),
    aliases=("linearregangle", "linregangle"),
)

TSF = _line(
    "tsf",
    "Time Series Forecast",
    "The line of least squares through the window, prolonged by one row.",
    Output("tsf", "The line at the row after the window.", PRICE, shift=1),
)

SLOPE = IndicatorSpec(
    name="slope",
    title="Slope",
    family=_FAMILY,
    description=(
        "The change over `period` rows divided by their number, from the first and the last value alone, as in "
        "pandas-ta; the `slope` of Stock.Indicators, which takes all values into account, is linearreg_slope."
    ),
    inputs=("source",),
    params=(period(1, minimum=1, what="How far back to compare"), source()),
    outputs=(Output("slope", "Change per row.", PRICE, shift=0),),
    lookback=lambda p: int(p["period"]),
    references=(PANDAS_TA,),
)

R_SQUARED = IndicatorSpec(
    name="r_squared",
    title="Coefficient of Determination",
    family=_FAMILY,
    description=(
        "How much of the window's variance the line of least squares through it explains; 0 where nothing moved."
    ),
    inputs=("source",),
    params=(period(14), source()),
    outputs=(Output("r_squared", "From 0 (no trend) to 1 (a straight line).", RATIO, low=0.0, high=1.0, shift=0),),
    lookback=lambda p: int(p["period"]) - 1,
    references=(CHANDE_KROLL,),
)

SPECS = (LINEARREG, LINEARREG_INTERCEPT, LINEARREG_SLOPE, LINEARREG_ANGLE, TSF, SLOPE, R_SQUARED)
