"""Averages weighted by volume, and averages of volume itself."""

from common.catalogue.averages import ma_lookback, ma_memory
from common.catalogue.params import fast_below_slow, ma_type, multiplier, period, source
from common.catalogue.references import ACHELIS, PANDAS_TA
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.units import PERCENT, PRICE, RATIO, VOLUME

VWMA = IndicatorSpec(
    name="vwma",
    title="Volume Weighted Moving Average",
    family="volume",
    description="The mean of the last `period` values, weighted by volume; none where nothing was traded.",
    inputs=("source", "volume"),
    params=(period(20), source()),
    outputs=(Output("vwma", "Weighted mean of the window.", PRICE, shift=1, gaps=True),),
    lookback=lambda p: int(p["period"]) - 1,
    references=("https://ta-lib.org/functions/vwma/",),
)

VWMACD = IndicatorSpec(
    name="vwmacd",
    title="Volume Weighted MACD",
    family="volume",
    description=(
        "Distance of a fast from a slow volume weighted average, the volume weighted average of that (the signal), and "
        "the difference of the two; none where nothing was traded in a window."
    ),
    inputs=("source", "volume"),
    params=(
        period(12, name="fast_period", what="Length of the fast average"),
        period(26, name="slow_period", what="Length of the slow average"),
        period(9, name="signal_period", minimum=1, what="Length of the signal's average"),
        source(),
    ),
    outputs=(
        Output("vwmacd", "Fast minus slow average.", PRICE, shift=0, gaps=True),
        Output("signal", "Volume weighted average of `vwmacd`.", PRICE, shift=0, gaps=True),
        Output("histogram", "`vwmacd` minus `signal`.", PRICE, shift=0, gaps=True),
    ),
    lookback=lambda p: int(p["slow_period"]) + int(p["signal_period"]) - 2,
    references=(
        "Buff P. Dormeier, Investing with Volume Analysis (2011)",
        PANDAS_TA,
    ),
    check=fast_below_slow,
)

_DAYS_OF = {"session": 0, "week": 6, "month": 30, "year": 365}
"""Bars before its own that a daily bar's average may hold, by anchor."""

_ANCHOR = Param(
    "anchor",
    "choice",
    "all",
    (
        "Where the average starts: at the first bar of all, anew with each session (a daily bar alone), week (after "
        "Friday), month or year, or at the first bar from a date on; there is no value before."
    ),
    choices=("all", "session", "week", "month", "year"),
    or_date=True,
)


def _anchored_memory(p: Params) -> int | None:
    return _DAYS_OF.get(str(p["anchor"]))


VWAP = IndicatorSpec(
    name="vwap",
    title="Volume Weighted Average Price",
    family="volume",
    description=(
        "The typical price paid per share since the anchor: the mean weighted by volume. It starts at the first bar by "
        "default, as TA-Lib's does; choose a month or a date for daily bars of which only part are of interest. "
        "None before anything was traded."
    ),
    inputs=("hlc3", "volume", "date"),
    params=(_ANCHOR,),
    outputs=(Output("vwap", "Average price since the anchor.", PRICE, shift=1, gaps=True),),
    memory=_anchored_memory,
    references=(
        "Stephen A. Berkowitz, Dennis E. Logue and Eugene A. Noser, The Total Cost of Transactions on the NYSE (1988)",
        "https://ta-lib.org/functions/vwap/",
    ),
)

VWAP_BANDS = IndicatorSpec(
    name="vwap_bands",
    title="Volume Weighted Average Price Bands",
    family="volume",
    description=(
        "Bands around the volume weighted average price, as many standard deviations of the typical price (weighted by "
        "volume as well) away as `multiplier` says. None before anything was traded since the anchor."
    ),
    inputs=("hlc3", "volume", "date"),
    params=(multiplier(1.0, what="Distance of the bands in standard deviations"), _ANCHOR),
    outputs=(
        Output("upper", "Average plus the distance.", PRICE, shift=1, gaps=True),
        Output("middle", "Average price since the anchor.", PRICE, shift=1, gaps=True),
        Output("lower", "Average minus the distance.", PRICE, shift=1, gaps=True),
    ),
    memory=_anchored_memory,
    references=("Brian Shannon, Maximum Trading Gains with Anchored VWAP (2023)",),
)


def _pvo_lookback(p: Params) -> int:
    kind = str(p["ma_type"])
    return max(ma_lookback(kind, int(p["fast_period"])), ma_lookback(kind, int(p["slow_period"])))


def _pvo_memory(p: Params) -> int:
    kind = str(p["ma_type"])
    return max(ma_memory(kind, int(p["fast_period"])), ma_memory(kind, int(p["slow_period"])))


PVO = IndicatorSpec(
    name="pvo",
    title="Percentage Volume Oscillator",
    family="volume",
    description="Distance of a fast from a slow average of volume, in percent of the slow one; 0 where that is 0.",
    inputs=("volume",),
    params=(
        period(12, name="fast_period", what="Length of the fast average"),
        period(26, name="slow_period", what="Length of the slow average"),
        ma_type("ema"),
    ),
    outputs=(Output("pvo", "Above 0 while volume grows.", PERCENT),),
    lookback=_pvo_lookback,
    memory=_pvo_memory,
    references=("https://ta-lib.org/functions/pvo/",),
    check=fast_below_slow,
)

VOSC = IndicatorSpec(
    name="vosc",
    title="Volume Oscillator",
    family="volume",
    description="Distance of a fast from a slow mean of volume, in percent of the slow one; 0 where that is 0.",
    inputs=("volume",),
    params=(
        period(14, name="fast_period", minimum=1, what="Length of the fast average"),
        period(28, name="slow_period", what="Length of the slow average"),
    ),
    outputs=(Output("vosc", "Above 0 while volume grows.", PERCENT, low=-100.0),),
    lookback=lambda p: int(p["slow_period"]) - 1,
    references=(
        ACHELIS,
        "https://tulipindicators.org/vosc",
    ),
    check=fast_below_slow,
)

RVOL = IndicatorSpec(
    name="rvol",
    title="Relative Volume",
    family="volume",
    description="The bar's volume over the mean volume of the `period` bars before it; none where that is 0.",
    inputs=("volume",),
    params=(period(20, minimum=1),),
    outputs=(Output("rvol", "1 is usual volume, 2 twice as much.", RATIO, low=0.0, gaps=True),),
    lookback=lambda p: int(p["period"]),
    references=("https://ta-lib.org/functions/rvol/",),
)

AVERAGE_VOLUME = IndicatorSpec(
    name="average_volume",
    title="Average Volume",
    family="volume",
    description="The mean volume of the last `period` bars.",
    inputs=("volume",),
    params=(period(20),),
    outputs=(Output("average_volume", "Mean volume.", VOLUME, low=0.0),),
    lookback=lambda p: int(p["period"]) - 1,
    references=("https://ta-lib.org/functions/sma/",),
)

VOLUME_PROFILE = IndicatorSpec(
    name="volume_profile",
    title="Volume Profile",
    family="volume",
    description=(
        "At which prices the last `period` bars were traded: their range is cut into `bins` of equal height, and each "
        "bar's volume spread evenly from its low to its high (into one bin where these are equal). The value area "
        "grows from the fullest bin (of equals the one nearest the middle of the range, then the lower) by the fuller "
        "of its two neighbours (of equals the nearer, then the upper) until it holds its share of the volume. None "
        "where nothing was traded."
    ),
    inputs=("high", "low", "volume"),
    params=(
        period(20),
        Param("bins", "int", 24, "Bins the range of the window is cut into.", min=2, max=500),
        Param("value_area", "float", 70.0, "Share of the volume in the value area.", min=1.0, max=100.0, unit="%"),
    ),
    outputs=(
        Output("point_of_control", "Middle of the bin with the most volume.", PRICE, shift=1, gaps=True),
        Output("value_area_high", "Upper end of the value area.", PRICE, shift=1, gaps=True),
        Output("value_area_low", "Lower end of the value area.", PRICE, shift=1, gaps=True),
    ),
    lookback=lambda p: int(p["period"]) - 1,
    references=("J. Peter Steidlmayer and Steven B. Hawkins, Steidlmayer on Markets (2nd ed. 2003)",),
    aliases=("vp",),
)

SPECS = (VWMA, VWMACD, VWAP, VWAP_BANDS, PVO, VOSC, RVOL, AVERAGE_VOLUME, VOLUME_PROFILE)
