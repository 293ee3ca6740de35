"""Rates of change, and what is made of them."""

from common.catalogue.averages import ma_lookback, ma_memory
from common.catalogue.params import ma_type, period, source
from common.catalogue.references import PANDAS_TA
from common.catalogue.spec import IndicatorSpec, Output, Params
from common.catalogue.stability import ema_memory, rows_to_forget
from common.catalogue.units import PERCENT, PRICE, RATIO

_FAMILY = "momentum"
_FOUR = (1, 2, 3, 4)


def _rate(
    name: str, title: str, description: str, output: Output, *, reference: str = "", aliases: tuple[str, ...] = ()
) -> IndicatorSpec:
    """A spec of a value against that of `period` bars before; those of TA-Lib reach back ten by default."""
    return IndicatorSpec(
        name=name,
        title=title,
        family=_FAMILY,
        description=description,
        inputs=("source",),
        params=(period(1 if reference else 10, minimum=1, what="How far back"), source()),
        outputs=(output,),
        lookback=lambda p: int(p["period"]),
        references=(reference or f"https://ta-lib.org/functions/{name}/",),
        aliases=aliases,
    )


MOM = _rate(
    "mom",
    "Momentum",
    "Difference from the value `period` bars before.",
    Output("mom", "Value less the value before.", PRICE, shift=0),
)
ROC = _rate(
    "roc",
    "Rate of Change",
    "Change from the value `period` bars before in percent of it; 0 where that is 0.",
    Output("roc", "Change in percent.", PERCENT),
)
ROCP = _rate(
    "rocp",
    "Rate of Change, in Parts",
    "Change from the value `period` bars before as a part of it: 0.01 is one percent; 0 where that is 0. "
    "With a `period` of 1, the simple return of each bar.",
    Output("rocp", "Change over the value before.", RATIO),
    aliases=("percent_return",),
)
ROCR = _rate(
    "rocr",
    "Rate of Change Ratio",
    "Value over the value `period` bars before; 0 where that is 0.",
    Output("rocr", "1 where nothing changed.", RATIO),
)
ROCR100 = _rate(
    "rocr100",
    "Rate of Change Ratio, Times 100",
    "Value in percent of the value `period` bars before; 0 where that is 0.",
    Output("rocr100", "100 where nothing changed.", PERCENT),
)
LAG = _rate(
    "lag",
    "Lag",
    "The value `period` bars before.",
    Output("lag", "Value before.", PRICE, shift=1),
    reference="https://tulipindicators.org/lag",
)
LOG_RETURN = _rate(
    "log_return",
    "Logarithmic Return",
    "Natural logarithm of the value over the value `period` bars before; none where one of them is not positive.",
    Output("log_return", "Return over the bars, which adds up over time.", RATIO, gaps=True),
    reference="https://en.wikipedia.org/wiki/Rate_of_return#Logarithmic_or_continuously_compounded_return",
)

ROC_WB = IndicatorSpec(
    name="roc_wb",
    title="Rate of Change with Bands",
    family=_FAMILY,
    description=(
        "Rate of change in percent, its exponential average, and bands around zero at the root of the mean square of "
        "its last `deviation_period` values."
    ),
    inputs=("source",),
    params=(
        period(20, minimum=1, what="How far back"),
        period(3, name="smooth_period", minimum=1, what="Length of the average"),
        period(20, name="deviation_period", minimum=1, what="Length of the bands' window"),
        source(),
    ),
    outputs=(
        Output("roc", "Change in percent.", PERCENT),
        Output("ema", "Exponential average of `roc`.", PERCENT),
        Output("upper", "Root mean square of `roc`.", PERCENT, low=0.0),
        Output("lower", "The upper band below zero.", PERCENT, high=0.0),
    ),
    lookback=lambda p: int(p["period"]) + max(int(p["smooth_period"]), int(p["deviation_period"])) - 1,
    memory=lambda p: ema_memory(int(p["smooth_period"])),
    references=("Vitali Apirine, Rate of Change with Bands, Stocks & Commodities (March 2021)",),
)

BIAS = IndicatorSpec(
    name="bias",
    title="Bias",
    family=_FAMILY,
    description=(
        "Distance of a series from its moving average as a part of the average: 0.01 is one percent above; 0 from an "
        "average of 0."
    ),
    inputs=("source",),
    params=(period(26, what="Length of the average"), ma_type(), source()),
    outputs=(Output("bias", "Distance over the average.", RATIO),),
    lookback=lambda p: ma_lookback(str(p["ma_type"]), int(p["period"])),
    memory=lambda p: ma_memory(str(p["ma_type"]), int(p["period"])),
    references=(PANDAS_TA,),
)


ER = IndicatorSpec(
    name="er",
    title="Kaufman Efficiency Ratio",
    family=_FAMILY,
    description=(
        "How straight a series goes: the distance from `period` bars ago over the sum of the changes since; "
        "1 where nothing moved."
    ),
    inputs=("source",),
    params=(period(10), source()),
    outputs=(Output("er", "From 0 (back where it was) to 1 (straight).", RATIO, low=0.0, high=1.0, shift=0),),
    lookback=lambda p: int(p["period"]),
    references=("Perry J. Kaufman, Smarter Trading (1995)", "https://ta-lib.org/functions/er/"),
)

VHF = IndicatorSpec(
    name="vhf",
    title="Vertical Horizontal Filter",
    family=_FAMILY,
    description=(
        "Whether a series trends or moves sideways: the span of the last `period` values over the sum of the last "
        "`period` changes; 0 where nothing moved."
    ),
    inputs=("source",),
    params=(period(28), source()),
    outputs=(Output("vhf", "From 0 (sideways) to 1 (straight).", RATIO, low=0.0, high=1.0, shift=0),),
    lookback=lambda p: int(p["period"]),
    references=(
        "Adam White, The Vertical Horizontal Filter, Futures (August 1991)",
        "https://ta-lib.org/functions/vhf/",
    ),
)


def _kst_lookback(p: Params) -> int:
    first = max(int(p[f"roc_period_{n}"]) + int(p[f"smooth_period_{n}"]) for n in _FOUR) - 1
    return first + int(p["signal_period"]) - 1


KST = IndicatorSpec(
    name="kst",
    title="Know Sure Thing",
    family=_FAMILY,
    description=(
        "Four rates of change in percent, from short to long, each smoothed by a simple average, added up with weights "
        "1 to 4; the signal is a simple average of the sum."
    ),
    inputs=("source",),
    params=(
        *(
            period(default, name=f"roc_period_{n}", minimum=1, what=f"How far back rate {n} looks")
            for n, default in zip(_FOUR, (10, 15, 20, 30), strict=True)
        ),
        *(
            period(default, name=f"smooth_period_{n}", minimum=1, what=f"Length of the average of rate {n}")
            for n, default in zip(_FOUR, (10, 10, 10, 15), strict=True)
        ),
        period(9, name="signal_period", minimum=1, what="Length of the signal's average"),
        source(),
    ),
    outputs=(
        Output("kst", "Weighted sum of the smoothed rates.", PERCENT),
        Output("signal", "Simple average of `kst`.", PERCENT),
    ),
    lookback=_kst_lookback,
    references=("Martin J. Pring, Summed Rate of Change (KST), Stocks & Commodities (September 1992)",),
)


def _pmo_memory(p: Params) -> int:
    smoothing = rows_to_forget(2 / int(p["period"])) + rows_to_forget(2 / int(p["smooth_period"]))
    return smoothing + ema_memory(int(p["signal_period"]))


PMO = IndicatorSpec(
    name="pmo",
    title="Price Momentum Oscillator",
    family=_FAMILY,
    description=(
        "Ten times the rate of change of each bar in percent, smoothed twice, each value moving the averages by "
        "2 / period and 2 / smooth_period; the signal is an exponential average of it."
    ),
    inputs=("source",),
    params=(
        period(35, what="Length of the first average"),
        period(20, name="smooth_period", what="Length of the second average"),
        period(10, name="signal_period", minimum=1, what="Length of the signal's average"),
        source(),
    ),
    outputs=(
        Output("pmo", "Smoothed rate of change.", PERCENT),
        Output("signal", "Exponential average of `pmo`.", PERCENT),
    ),
    lookback=lambda p: int(p["period"]) + int(p["smooth_period"]) + int(p["signal_period"]) - 2,
    memory=_pmo_memory,
    references=(
        "Carl Swenlin, DecisionPoint Price Momentum Oscillator",
        "https://school.stockcharts.com/doku.php?id=technical_indicators:dppmo",
    ),
)

COPPOCK = IndicatorSpec(
    name="coppock",
    title="Coppock Curve",
    family=_FAMILY,
    description="Weighted average of the sum of two rates of change in percent.",
    inputs=("source",),
    params=(
        period(10, minimum=1, what="Length of the average"),
        period(11, name="fast_period", minimum=1, what="How far back the first rate looks"),
        period(14, name="slow_period", minimum=1, what="How far back the second rate looks"),
        source(),
    ),
    outputs=(Output("coppock", "Smoothed sum of the two rates.", PERCENT),),
    lookback=lambda p: max(int(p["fast_period"]), int(p["slow_period"])) + int(p["period"]) - 1,
    references=("E.S.C. Coppock, Barron's (15 October 1962)", "https://ta-lib.org/functions/coppock/"),
)

_HUTSON = "Jack K. Hutson, Good TRIX, Stocks & Commodities (July 1983)"


def _trix_lookback(p: Params) -> int:
    return 3 * (int(p["period"]) - 1) + 1


def _trix_memory(p: Params) -> int:
    return ema_memory(int(p["period"]), 3)


TRIX = IndicatorSpec(
    name="trix",
    title="TRIX",
    family=_FAMILY,
    description="Change per bar, in percent, of an exponential average taken three times, each time of the one before.",
    inputs=("source",),
    params=(period(30, minimum=1, what="Length of each average"), source()),
    outputs=(Output("trix", "Change in percent.", PERCENT),),
    lookback=_trix_lookback,
    memory=_trix_memory,
    references=(_HUTSON, "https://ta-lib.org/functions/trix/"),
)

TRIXH = IndicatorSpec(
    name="trixh",
    title="TRIX with Signal and Histogram",
    family=_FAMILY,
    description="TRIX, a moving average of it (the signal), and the difference of the two.",
    inputs=("source",),
    params=(
        period(18, minimum=1, what="Length of each of TRIX's averages"),
        period(9, name="signal_period", minimum=1, what="Length of the signal's average"),
        ma_type(name="signal_ma_type", what="Kind of the signal's average"),
        source(),
    ),
    outputs=(
        Output("trix", "Change in percent.", PERCENT),
        Output("signal", "Average of `trix`.", PERCENT),
        Output("histogram", "`trix` minus `signal`.", PERCENT),
    ),
    lookback=lambda p: _trix_lookback(p) + ma_lookback(str(p["signal_ma_type"]), int(p["signal_period"])),
    memory=lambda p: _trix_memory(p) + ma_memory(str(p["signal_ma_type"]), int(p["signal_period"])),
    references=(_HUTSON,),
)

SPECS = (
    *(MOM, ROC, ROCP, ROCR, ROCR100, LAG, LOG_RETURN),
    *(ROC_WB, BIAS, ER, VHF, KST, PMO, COPPOCK, TRIX, TRIXH),
)
