"""Oscillators around zero or one, without bounds."""

from common.catalogue.params import period, source
from common.catalogue.references import ACHELIS, CHANDE_KROLL, PANDAS_TA
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import ema_memory
from common.catalogue.units import BARS, PERCENT, POINTS, PRICE, RATIO

CCI = IndicatorSpec(
    name="cci",
    title="Commodity Channel Index",
    family="oscillators",
    description=(
        "Distance of the typical price from its mean in units of 0.015 mean deviations, so that most values lie "
        "between -100 and 100. 0 when all are the same."
    ),
    inputs=("hlc3",),
    params=(period(20),),
    outputs=(Output("cci", "Distance from the mean.", POINTS, shift=0),),
    lookback=lambda p: int(p["period"]) - 1,
    references=(
        "Donald Lambert, Commodity Channel Index: Tools for Trading Cyclic Trends (1980)",
        "https://ta-lib.org/functions/cci/",
    ),
    aliases=("commodity_channel_index",),
)


def _dpo_lookback(p: Params) -> int:
    """Of the average, and of the value half a window ago; with look-ahead the average comes from later rows."""
    back = int(p["period"]) // 2 + 1
    return max(int(p["period"]) - 1 - back, 0) if p["lookahead"] else max(int(p["period"]) - 1, back)


DPO = IndicatorSpec(
    name="dpo",
    title="Detrended Price Oscillator",
    family="oscillators",
    description=(
        "Value of period / 2 + 1 bars ago minus today's mean of the last `period` values, which leaves shorter cycles. "
        "With `lookahead` the same difference stands at the bar of that value, and the newest bars have none."
    ),
    inputs=("source",),
    params=(
        period(20),
        Param("lookahead", "bool", default=False, description="Show the difference at the value's own bar."),
        source(),
    ),
    outputs=(Output("dpo", "Value minus the mean around it.", PRICE, shift=0, gaps=True),),
    lookback=_dpo_lookback,
    lookahead=lambda p: bool(p["lookahead"]),
    references=(ACHELIS, "https://ta-lib.org/functions/dpo/"),
    aliases=("detrended_price_oscillator",),
)

FOSC = IndicatorSpec(
    name="fosc",
    title="Forecast Oscillator",
    family="oscillators",
    description=(
        "Distance of the source, in percent of it, from what the regression line through the `period` values before "
        "it foretold; 0 where the source is 0."
    ),
    inputs=("source",),
    params=(period(5, what="Window of the regression"), source()),
    outputs=(Output("fosc", "Positive above the forecast.", PERCENT),),
    lookback=lambda p: int(p["period"]),
    references=(CHANDE_KROLL, "https://ta-lib.org/functions/fosc/"),
    aliases=("forecast_oscillator",),
)

CFO = IndicatorSpec(
    name="cfo",
    title="Chande Forecast Oscillator",
    family="oscillators",
    description=(
        "Distance of the source, in percent of it, from the end of the regression line through the last `period` "
        "values, its own included; `fosc` takes the forecast of the bar before. 0 where the source is 0."
    ),
    inputs=("source",),
    params=(period(9, what="Window of the regression"), source()),
    outputs=(Output("cfo", "Positive above the line.", PERCENT),),
    lookback=lambda p: int(p["period"]) - 1,
    references=(CHANDE_KROLL, "https://www.sierrachart.com/index.php?page=doc/StudiesReference.php&ID=357"),
    aliases=("chande_forecast_oscillator",),
)

PGO = IndicatorSpec(
    name="pgo",
    title="Pretty Good Oscillator",
    family="oscillators",
    description=(
        "Distance of the close from its mean in exponential averages of the true range; 0 when nothing moved. "
        "The author buys above 3 and sells below -3."
    ),
    inputs=("high", "low", "close"),
    params=(period(14, what="Length of both averages"),),
    outputs=(Output("pgo", "Distance from the mean.", RATIO, shift=0),),
    lookback=lambda p: int(p["period"]),
    memory=lambda p: ema_memory(int(p["period"])),
    references=(
        "Mark Johnson, Pretty Good Oscillator (1999)",
        "https://library.tradingtechnologies.com/trade/chrt-ti-pretty-good-oscillator.html",
    ),
    aliases=("pretty_good_oscillator",),
)

CG = IndicatorSpec(
    name="cg",
    title="Center of Gravity",
    family="oscillators",
    description=(
        "How many bars ago the window has its centre, today counted as 1, as a negative number: it rises when the "
        "newest values weigh most. The middle of the window when the values add up to 0."
    ),
    inputs=("source",),
    params=(period(10), source("hl2")),
    outputs=(Output("cg", "Centre of the window.", BARS),),
    lookback=lambda p: int(p["period"]) - 1,
    references=("John F. Ehlers, The CG Oscillator (2002)",),
    aliases=("center_of_gravity",),
)

BRAR = IndicatorSpec(
    name="brar",
    title="BRAR",
    family="oscillators",
    description=(
        "Sums over the window of the ways up in percent of the ways down: from the open of each bar (AR) and, no less "
        "than 0 each, from the close before (BR). 0 when nothing moved, no value when nothing went down."
    ),
    inputs=("open", "high", "low", "close"),
    params=(period(26),),
    outputs=(
        Output("ar", "From the open: sentiment of the day.", PERCENT, low=0.0, shift=0, gaps=True),
        Output("br", "From the close before: willingness to buy.", PERCENT, low=0.0, shift=0, gaps=True),
    ),
    lookback=lambda p: int(p["period"]),
    references=(PANDAS_TA,),
)

RVGI = IndicatorSpec(
    name="rvgi",
    title="Relative Vigor Index",
    family="oscillators",
    description=(
        "How far bars close above their open in terms of their range: both averaged over four bars with weights 1, 2, "
        "2, 1 and added up over the window. 0 where there is no range."
    ),
    inputs=("open", "high", "low", "close"),
    params=(period(10, what="Window of the sums"),),
    outputs=(
        Output("rvgi", "From -1 (closes at the low) to 1 (at the high).", RATIO, low=-1.0, high=1.0, shift=0),
        Output("signal", "`rvgi` averaged over four bars with weights 1, 2, 2, 1.", RATIO, -1.0, 1.0, shift=0),
    ),
    lookback=lambda p: int(p["period"]) + 5,
    references=("John F. Ehlers, Relative Vigor Index (2002)",),
    aliases=("relative_vigor_index",),
)

SPECS = (CCI, DPO, FOSC, CFO, PGO, CG, BRAR, RVGI)
