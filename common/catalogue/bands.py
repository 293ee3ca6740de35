"""Bands around an average or a line."""

from common.catalogue.averages import ma_lookback, ma_memory
from common.catalogue.averages_adaptive import HOLT_WINTERS, holt_winters_check, holt_winters_memory, weight
from common.catalogue.params import ma_type, multiplier, period, source
from common.catalogue.references import ACHELIS
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import forever, rows_to_forget
from common.catalogue.units import PERCENT, PRICE, RATIO
from common.catalogue.volatility import range_convention, range_memory

_BOLLINGER = "John Bollinger, Bollinger on Bollinger Bands (2001)"


def bands(upper: str, middle: str, lower: str) -> tuple[Output, Output, Output]:
    """A middle line and one on each side of it."""
    return (
        Output("upper", upper, PRICE, shift=1),
        Output("middle", middle, PRICE, shift=1),
        Output("lower", lower, PRICE, shift=1),
    )


def _deviations(what: str, default: float = 2.0) -> Param:
    return multiplier(default, what=what, unit="standard deviations")


def _bollinger_lookback(p: Params) -> int:
    return max(ma_lookback(str(p["ma_type"]), int(p["period"])), int(p["period"]) - 1)


def average_memory(p: Params) -> int:
    """Of the moving average that the parameters name."""
    return ma_memory(str(p["ma_type"]), int(p["period"]))


BBANDS = IndicatorSpec(
    name="bbands",
    title="Bollinger Bands",
    family="bands",
    description=(
        "A moving average and two bands at `multiplier` population standard deviations of the window, "
        "which are taken from the window's mean whatever the average."
    ),
    inputs=("source",),
    params=(
        period(20),
        _deviations("Distance of the bands from the middle"),
        ma_type(what="Kind of moving average in the middle"),
        source(),
    ),
    outputs=bands(
        "Middle plus `multiplier` standard deviations.",
        "Moving average of the window.",
        "Middle minus `multiplier` standard deviations.",
    ),
    lookback=_bollinger_lookback,
    memory=average_memory,
    references=(_BOLLINGER, "https://ta-lib.org/functions/bbands/"),
    aliases=("bollinger_bands", "bollinger"),
)

PERCENT_B = IndicatorSpec(
    name="percent_b",
    title="Bollinger %b",
    family="bands",
    description=(
        "Where the source lies between the Bollinger Bands: 0 on the lower, 1 on the upper one, beyond them outside; "
        "0.5 where the bands meet."
    ),
    inputs=("source",),
    params=(
        period(20),
        Param(
            "multiplier",
            "float",
            2.0,
            "Distance of the bands from the middle.",
            min=0.01,
            max=100.0,
            unit="standard deviations",
        ),
        ma_type(what="Kind of moving average in the middle"),
        source(),
    ),
    outputs=(Output("percent_b", "Distance from the lower band by that of the bands.", RATIO, shift=0),),
    lookback=_bollinger_lookback,
    memory=average_memory,
    references=(_BOLLINGER,),
    aliases=("bollinger_percent_b", "bbp"),
)

BANDWIDTH = IndicatorSpec(
    name="bandwidth",
    title="Bollinger BandWidth",
    family="bands",
    description="Distance of the Bollinger Bands from one another in percent of the middle one; 0 where that is 0.",
    inputs=("source",),
    params=(
        period(20),
        _deviations("Distance of the bands from the middle"),
        ma_type(what="Kind of moving average in the middle"),
        source(),
    ),
    outputs=(Output("bandwidth", "Upper minus lower band by the middle one.", PERCENT),),
    lookback=_bollinger_lookback,
    memory=average_memory,
    references=(_BOLLINGER,),
    aliases=("bollinger_bandwidth", "bbw"),
)

ACCBANDS = IndicatorSpec(
    name="accbands",
    title="Acceleration Bands",
    family="bands",
    description=(
        "Means of the high raised and the low lowered by `multiplier` times the range of the bar in terms of "
        "high + low; bars whose high + low is 0 are left as they are."
    ),
    inputs=("high", "low", "close"),
    params=(period(20), multiplier(4.0, what="How much the range of a bar counts")),
    outputs=(
        Output("upper", "Mean of high times (1 + widening).", PRICE),
        Output("middle", "Mean of the close.", PRICE, shift=1),
        Output("lower", "Mean of low times (1 - widening).", PRICE),
    ),
    lookback=lambda p: int(p["period"]) - 1,
    references=("Price Headley, Big Trends in Trading (2002)", "https://ta-lib.org/functions/accbands/"),
    aliases=("acceleration_bands",),
)

MA_ENVELOPES = IndicatorSpec(
    name="ma_envelopes",
    title="Moving Average Envelopes",
    family="bands",
    description="A moving average and lines `percent` per cent above and below it.",
    inputs=("source",),
    params=(
        period(20),
        Param("percent", "float", 2.5, "Distance of the lines from the average.", min=0.0, max=100.0, unit="%"),
        ma_type(),
        source(),
    ),
    outputs=(
        Output("upper", "Average plus `percent` per cent.", PRICE),
        Output("middle", "Moving average.", PRICE, shift=1),
        Output("lower", "Average minus `percent` per cent.", PRICE),
    ),
    lookback=lambda p: ma_lookback(str(p["ma_type"]), int(p["period"])),
    memory=average_memory,
    references=("https://school.stockcharts.com/doku.php?id=technical_indicators:moving_average_envelopes",),
    aliases=("envelopes", "moving_average_envelopes"),
)

STDDEV_CHANNELS = IndicatorSpec(
    name="stddev_channels",
    title="Standard Deviation Channels",
    family="bands",
    description=(
        "End of the regression line through the window, and lines at `multiplier` population standard deviations of "
        "the window from it. Each bar has its own window; nothing is drawn backwards."
    ),
    inputs=("source",),
    params=(period(20), _deviations("Distance of the lines from the middle"), source()),
    outputs=bands(
        "Middle plus `multiplier` standard deviations.",
        "Last value of the least squares line.",
        "Middle minus `multiplier` standard deviations.",
    ),
    lookback=lambda p: int(p["period"]) - 1,
    references=("https://dotnet.stockindicators.dev/indicators/StdDevChannels/",),
    aliases=("standard_deviation_channels",),
)

TOS_STDEVALL = IndicatorSpec(
    name="tos_stdevall",
    title="Standard Deviation of All Bars",
    family="bands",
    description=(
        "The regression line through all bars and lines at one to three sample standard deviations of all bars from "
        "it. By default all bars so far; with `lookahead` one line through the whole series, as thinkorswim draws it."
    ),
    inputs=("source",),
    params=(
        Param("lookahead", "bool", default=False, description="Draw one line through all bars, later ones included."),
        source(),
    ),
    outputs=(
        Output("middle", "Regression line.", PRICE, shift=1),
        *(
            Output(f"{side}_{n}", f"{n} standard deviation{'s' * (n > 1)} {where}.", PRICE, shift=1)
            for n in (1, 2, 3)
            for side, where in (("upper", "above"), ("lower", "below"))
        ),
    ),
    lookback=lambda _p: 1,
    memory=forever,
    lookahead=lambda p: bool(p["lookahead"]),
    references=("https://toslc.thinkorswim.com/center/reference/thinkScript/Functions/Statistical/StDevAll",),
)

HWC = IndicatorSpec(
    name="hwc",
    title="Holt-Winters Channel",
    family="bands",
    description=(
        "The Holt-Winters moving average (hwma) and lines at `multiplier` deviations of the series from it; weights "
        "with which it would swing ever wider are refused."
    ),
    inputs=("source",),
    params=(
        *HOLT_WINTERS,
        weight("deviation", 0.1, "square of a distance in the deviation"),
        _deviations("Distance of the lines from the middle", 1.0),
        source(),
    ),
    outputs=bands(
        "Middle plus `multiplier` deviations.",
        "Level plus trend plus half the acceleration.",
        "Middle minus `multiplier` deviations.",
    ),
    memory=lambda p: holt_winters_memory(p) + rows_to_forget(float(p["deviation_weight"])),
    references=("https://www.mql5.com/en/code/20857",),
    check=holt_winters_check,
    aliases=("holt_winters_channel",),
)


def _starc_lookback(p: Params) -> int:
    return max(int(p["period"]) - 1, int(p["atr_period"]))


STARC_BANDS = IndicatorSpec(
    name="starc_bands",
    title="STARC Bands",
    family="bands",
    description=(
        "Stoller Average Range Channel: a short simple average and lines at `multiplier` average true ranges from it."
    ),
    inputs=("source", "high", "low", "close"),
    params=(
        period(6, what="Length of the simple average"),
        period(15, name="atr_period", minimum=1, what="Length of the average true range"),
        multiplier(2.0, what="Distance of the lines from the middle", unit="average true ranges"),
        range_convention(),
        source(),
    ),
    outputs=bands(
        "Middle plus `multiplier` average true ranges.",
        "Simple moving average.",
        "Middle minus `multiplier` average true ranges.",
    ),
    lookback=_starc_lookback,
    memory=lambda p: range_memory(str(p["convention"]), int(p["atr_period"])),
    references=(f"Manning Stoller, in {ACHELIS}",),
    aliases=("starc",),
)

SPECS = (
    BBANDS,
    PERCENT_B,
    BANDWIDTH,
    ACCBANDS,
    MA_ENVELOPES,
    STDDEV_CHANNELS,
    TOS_STDEVALL,
    HWC,
    STARC_BANDS,
)
