"""Moving averages."""

from common.catalogue.params import period, source
from common.catalogue.spec import IndicatorSpec, Output
from common.catalogue.stability import rows_to_forget
from common.tiers import TierName

SMA = IndicatorSpec(
    name="sma",
    title="Simple Moving Average",
    family="moving averages",
    tier=TierName.FREE,
    description="The mean of the last `period` values.",
    inputs=("source",),
    params=(period(20), source()),
    outputs=(Output("sma", "Mean of the window, in units of the source."),),
    lookback=lambda p: int(p["period"]) - 1,
    stable_period=lambda p: int(p["period"]) - 1,
    references=("https://ta-lib.org/functions/sma/",),
)

EMA = IndicatorSpec(
    name="ema",
    title="Exponential Moving Average",
    family="moving averages",
    tier=TierName.FREE,
    description=(
        "Each value moves the average by 2 / (period + 1) of its distance; "
        "the first average is the mean of the first `period` values."
    ),
    inputs=("source",),
    params=(period(20), source()),
    outputs=(Output("ema", "Exponential average, in units of the source."),),
    lookback=lambda p: int(p["period"]) - 1,
    stable_period=lambda p: int(p["period"]) - 1 + rows_to_forget(2 / (int(p["period"]) + 1)),
    references=("https://ta-lib.org/functions/ema/",),
)

SPECS = (SMA, EMA)
