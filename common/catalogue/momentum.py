"""Momentum indicators."""

from common.catalogue.averages import ma_lookback, ma_memory
from common.catalogue.params import fast_below_slow, ma_type, period, source
from common.catalogue.references import CHANDE_KROLL, WILDER
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import ema_memory, rows_to_forget, wilder_memory
from common.catalogue.units import PERCENT, POINTS, PRICE, RATIO
from common.tiers import TierName

_FAMILY = "momentum"


def _fast(default: int) -> Param:
    return period(default, name="fast_period", what="Length of the fast average")


def _slow(default: int) -> Param:
    return period(default, name="slow_period", what="Length of the slow average")


def _signal(default: int) -> Param:
    return period(default, name="signal_period", minimum=1, what="Length of the signal's average")


def _rsi_memory(p: Params) -> int:
    length = int(p["period"])
    return {"wilder": wilder_memory(length), "ema": ema_memory(length), "sma": 0}[str(p["convention"])]


RSI = IndicatorSpec(
    name="rsi",
    title="Relative Strength Index",
    family=_FAMILY,
    tier=TierName.PRO,
    description=(
        "Share of the gains in all movement, both smoothed by Wilder's average (each value moves it by 1 / period); "
        "0 when nothing moved."
    ),
    inputs=("source",),
    params=(
        period(14),
        Param(
            "convention",
            "choice",
            "wilder",
            "How gains and losses are averaged: by Wilder, exponentially by 2 / (period + 1), or simply (Cutler).",
            choices=("wilder", "ema", "sma"),
        ),
        source(),
    ),
    outputs=(Output("rsi", "From 0 (only losses) to 100 (only gains).", POINTS, low=0.0, high=100.0, shift=0),),
    lookback=lambda p: int(p["period"]),
    memory=_rsi_memory,
    references=(
        WILDER,
        "https://ta-lib.org/functions/rsi/",
    ),
)

IMI = IndicatorSpec(
    name="imi",
    title="Intraday Momentum Index",
    family=_FAMILY,
    description="Share of the gains from open to close in all movement from open to close; 50 when nothing moved.",
    inputs=("open", "close"),
    params=(period(14),),
    outputs=(Output("imi", "From 0 (only losses) to 100 (only gains).", POINTS, low=0.0, high=100.0, shift=0),),
    lookback=lambda p: int(p["period"]) - 1,
    references=(
        CHANDE_KROLL,
        "https://ta-lib.org/functions/imi/",
    ),
)

_MACD_OUTPUTS = (
    Output("macd", "Fast minus slow average.", PRICE, shift=0),
    Output("signal", "Exponential average of `macd`.", PRICE, shift=0),
    Output("histogram", "`macd` minus `signal`.", PRICE, shift=0),
)
_APPEL = "Gerald Appel, The Moving Average Convergence-Divergence Trading Method (1979)"


def _macd_lookback(p: Params) -> int:
    return int(p["slow_period"]) - 1 + int(p["signal_period"]) - 1


def _macd_memory(p: Params) -> int:
    return ema_memory(int(p["slow_period"])) + ema_memory(int(p["signal_period"]))


MACD = IndicatorSpec(
    name="macd",
    title="Moving Average Convergence/Divergence",
    family=_FAMILY,
    tier=TierName.PRO,
    description=(
        "Distance of a fast from a slow exponential average, its own exponential average (the signal), "
        "and the difference of the two. Both averages start at the slow one's first full window."
    ),
    inputs=("source",),
    params=(_fast(12), _slow(26), _signal(9), source()),
    outputs=_MACD_OUTPUTS,
    lookback=_macd_lookback,
    memory=_macd_memory,
    references=(_APPEL, "https://ta-lib.org/functions/macd/"),
    check=fast_below_slow,
)

MACDFIX = IndicatorSpec(
    name="macdfix",
    title="MACD Fix 12/26",
    family=_FAMILY,
    description=(
        "MACD of 12 and 26 with the weights as Appel rounds them: 0.15 and 0.075 for 2 / 13 and 2 / 27. "
        "Both averages start at the slow one's first full window."
    ),
    inputs=("source",),
    params=(_signal(9), source()),
    outputs=_MACD_OUTPUTS,
    lookback=lambda p: 25 + int(p["signal_period"]) - 1,
    memory=lambda p: rows_to_forget(0.075) + ema_memory(int(p["signal_period"])),
    references=(_APPEL, "https://ta-lib.org/functions/macdfix/"),
)


def _later(p: Params, fast: str, slow: str) -> int:
    """Row at which both averages have begun."""
    return max(ma_lookback(str(p[fast]), int(p["fast_period"])), ma_lookback(str(p[slow]), int(p["slow_period"])))


def _longer(p: Params, fast: str, slow: str) -> int:
    """Memory of the average that remembers longer."""
    return max(ma_memory(str(p[fast]), int(p["fast_period"])), ma_memory(str(p[slow]), int(p["slow_period"])))


_KINDS = "fast_ma_type", "slow_ma_type"

MACDEXT = IndicatorSpec(
    name="macdext",
    title="MACD with Chosen Averages",
    family=_FAMILY,
    description=(
        "MACD whose three averages may each be of any kind. The fast and the slow one start at the same bar, the first "
        "at which both can have a value."
    ),
    inputs=("source",),
    params=(
        _fast(12),
        _slow(26),
        _signal(9),
        ma_type(name="fast_ma_type", what="Kind of the fast average"),
        ma_type(name="slow_ma_type", what="Kind of the slow average"),
        ma_type(name="signal_ma_type", what="Kind of the signal's average"),
        source(),
    ),
    outputs=(
        _MACD_OUTPUTS[0],
        Output("signal", "Average of `macd`.", PRICE, shift=0),
        _MACD_OUTPUTS[2],
    ),
    lookback=lambda p: _later(p, *_KINDS) + ma_lookback(str(p["signal_ma_type"]), int(p["signal_period"])),
    memory=lambda p: _longer(p, *_KINDS) + ma_memory(str(p["signal_ma_type"]), int(p["signal_period"])),
    references=(_APPEL, "https://ta-lib.org/functions/macdext/"),
    check=fast_below_slow,
)

MACD_SLOPE = IndicatorSpec(
    name="macd_slope",
    title="MACD Regression Slope",
    family=_FAMILY,
    description="How steeply MACD's lines rise: slopes of regression lines through the last `period` values of each.",
    inputs=("source",),
    params=(_fast(12), _slow(26), _signal(9), period(9, what="Length of the regression"), source()),
    outputs=(
        Output("macd", "Slope of MACD's line, per bar.", PRICE, shift=0),
        Output("signal", "Slope of MACD's signal, per bar.", PRICE, shift=0),
        Output("histogram", "Slope of MACD's histogram, per bar.", PRICE, shift=0),
    ),
    lookback=lambda p: _macd_lookback(p) + int(p["period"]) - 1,
    memory=_macd_memory,
    references=(_APPEL, "https://twelvedata.com/docs#macd_slope"),
    check=fast_below_slow,
)

APO = IndicatorSpec(
    name="apo",
    title="Absolute Price Oscillator",
    family=_FAMILY,
    description="Distance of a fast from a slow moving average. Each starts with the series.",
    inputs=("source",),
    params=(_fast(12), _slow(26), ma_type("ema"), source()),
    outputs=(Output("apo", "Fast minus slow average.", PRICE, shift=0),),
    lookback=lambda p: _later(p, "ma_type", "ma_type"),
    memory=lambda p: _longer(p, "ma_type", "ma_type"),
    references=("https://ta-lib.org/functions/apo/",),
    check=fast_below_slow,
)

PPO = IndicatorSpec(
    name="ppo",
    title="Percentage Price Oscillator",
    family=_FAMILY,
    description=(
        "Distance of a fast from a slow moving average in percent of the slow one; 0 where that is 0. "
        "Each starts with the series."
    ),
    inputs=("source",),
    params=(_fast(12), _slow(26), ma_type("ema"), source()),
    outputs=(Output("ppo", "Fast minus slow average in percent of the slow one.", PERCENT),),
    lookback=lambda p: _later(p, "ma_type", "ma_type"),
    memory=lambda p: _longer(p, "ma_type", "ma_type"),
    references=("https://ta-lib.org/functions/ppo/",),
    check=fast_below_slow,
)

_WILLIAMS = "Bill Williams, New Trading Dimensions (1998)"

AO = IndicatorSpec(
    name="ao",
    title="Awesome Oscillator",
    family=_FAMILY,
    description="Distance of a fast from a slow simple average of the middle of each bar's range.",
    inputs=("hl2",),
    params=(_fast(5), _slow(34)),
    outputs=(Output("ao", "Fast minus slow average.", PRICE, shift=0),),
    lookback=lambda p: int(p["slow_period"]) - 1,
    references=(_WILLIAMS, "https://ta-lib.org/functions/ao/"),
    check=fast_below_slow,
    aliases=("awesome", "awesome_oscillator"),
)

AC = IndicatorSpec(
    name="ac",
    title="Accelerator Oscillator",
    family=_FAMILY,
    description="The awesome oscillator (ao) less its own simple average: whether momentum gains or loses speed.",
    inputs=("hl2",),
    params=(_fast(5), _slow(34), period(5, name="signal_period", minimum=1, what="Length of the last average")),
    outputs=(Output("ac", "Awesome oscillator minus its average.", PRICE, shift=0),),
    lookback=_macd_lookback,
    references=(_WILLIAMS, "https://ta-lib.org/functions/ac/"),
    check=fast_below_slow,
    aliases=("accelerator", "accelerator_oscillator"),
)

TSI = IndicatorSpec(
    name="tsi",
    title="True Strength Index",
    family=_FAMILY,
    description=(
        "Changes over their sizes, both smoothed by an exponential average of `period` and then by one of "
        "`smooth_period`; 0 where nothing moved."
    ),
    inputs=("source",),
    params=(
        period(25, what="Length of the first average"),
        period(13, name="smooth_period", what="Length of the second average"),
        source(),
    ),
    outputs=(Output("tsi", "From -100 (only losses) to 100 (only gains).", POINTS, low=-100.0, high=100.0, shift=0),),
    lookback=lambda p: int(p["period"]) + int(p["smooth_period"]) - 1,
    memory=lambda p: ema_memory(int(p["period"])) + ema_memory(int(p["smooth_period"])),
    references=(
        "William Blau, True Strength Index, Stocks & Commodities (November 1991)",
        "https://ta-lib.org/functions/tsi/",
    ),
)

ERI = IndicatorSpec(
    name="eri",
    title="Elder Ray Index",
    family=_FAMILY,
    description="How far buyers lift the high, and sellers press the low, from the exponential average of the close.",
    inputs=("high", "low", "close"),
    params=(period(13, what="Length of the average"),),
    outputs=(
        Output("bull", "Bull power: high minus average.", PRICE, shift=0),
        Output("bear", "Bear power: low minus average.", PRICE, shift=0),
    ),
    lookback=lambda p: int(p["period"]) - 1,
    memory=lambda p: ema_memory(int(p["period"])),
    references=("Alexander Elder, Trading for a Living (1993)", "https://ta-lib.org/functions/eri/"),
    aliases=("elder_ray",),
)

BOP = IndicatorSpec(
    name="bop",
    title="Balance of Power",
    family=_FAMILY,
    description="Way from open to close as a part of the bar's range; 0 where there is no range.",
    inputs=("open", "high", "low", "close"),
    outputs=(Output("bop", "From -1 (open high, close low) to 1.", RATIO, low=-1.0, high=1.0, shift=0),),
    references=(
        "Igor Livshin, Balance of Market Power, Stocks & Commodities (August 2001)",
        "https://ta-lib.org/functions/bop/",
    ),
)

QSTICK = IndicatorSpec(
    name="qstick",
    title="Qstick",
    family=_FAMILY,
    description="Mean of the way from open to close: above 0 days rise on average.",
    inputs=("open", "close"),
    params=(period(10, minimum=1),),
    outputs=(Output("qstick", "Mean of close minus open.", PRICE, shift=0),),
    lookback=lambda p: int(p["period"]) - 1,
    references=(
        CHANDE_KROLL,
        "https://ta-lib.org/functions/qstick/",
    ),
)

SPECS = (RSI, IMI, MACD, MACDFIX, MACDEXT, MACD_SLOPE, APO, PPO, AO, AC, TSI, ERI, BOP, QSTICK)
