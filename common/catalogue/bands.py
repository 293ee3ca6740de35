"""Bands and channels."""

from common.catalogue.params import period, source
from common.catalogue.spec import IndicatorSpec, Output, Param
from common.tiers import TierName

BBANDS = IndicatorSpec(
    name="bbands",
    title="Bollinger Bands",
    family="bands",
    tier=TierName.PREMIUM,
    description=(
        "The simple moving average and two bands at `multiplier` population standard deviations of the same window."
    ),
    inputs=("source",),
    params=(
        period(20),
        Param("multiplier", "float", 2.0, "Width of the bands in standard deviations.", min=0.0, max=100.0),
        source(),
    ),
    outputs=(
        Output("upper", "Middle plus `multiplier` standard deviations."),
        Output("middle", "Simple moving average of the window."),
        Output("lower", "Middle minus `multiplier` standard deviations."),
    ),
    lookback=lambda p: int(p["period"]) - 1,
    stable_period=lambda p: int(p["period"]) - 1,
    references=(
        "John Bollinger, Bollinger on Bollinger Bands (2001)",
        "https://ta-lib.org/functions/bbands/",
    ),
)

SPECS = (BBANDS,)
