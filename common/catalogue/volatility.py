"""Volatility."""

from common.catalogue.averages import ma_lookback, ma_memory
from common.catalogue.params import ma_type, multiplier, period, source
from common.catalogue.references import ACHELIS, WILDER
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import ema_memory, forever, wilder_memory
from common.catalogue.statistics import deviation_convention
from common.catalogue.units import FLAG, PERCENT, POINTS, PRICE, RATIO

_BAR = ("high", "low", "close")


def range_convention(what: str = "Average of the true range") -> Param:
    """How the true range is averaged."""
    text = f"{what}: Wilder's (each value moves it by 1 / period), exponential (by 2 / (period + 1)) or simple."
    return Param("convention", "choice", "wilder", text, choices=("wilder", "ema", "sma"))


def range_memory(convention: str, length: int) -> int:
    """Rows until the seed of an average true range weighs less than 1e-6."""
    return wilder_memory(length) if convention == "wilder" else ma_memory(convention, length)


TRANGE = IndicatorSpec(
    name="trange",
    title="True Range",
    family="volatility",
    description="Span of a bar and the close before it: the range of the day, its opening gap included.",
    inputs=_BAR,
    outputs=(
        Output("trange", "Higher of high and last close minus lower of low and last close.", PRICE, 0.0, shift=0),
    ),
    lookback=lambda _p: 1,
    references=(WILDER, "https://ta-lib.org/functions/trange/"),
    aliases=("tr", "true_range"),
)

ATR = IndicatorSpec(
    name="atr",
    title="Average True Range",
    family="volatility",
    description=(
        "Average of the true range. Wilder's average is what the author and TA-Lib use; "
        "some charts take a simple or an exponential one."
    ),
    inputs=_BAR,
    params=(period(14, minimum=1, what="Length of the average"), range_convention()),
    outputs=(Output("atr", "Average true range.", PRICE, 0.0, shift=0),),
    lookback=lambda p: int(p["period"]),
    memory=lambda p: range_memory(str(p["convention"]), int(p["period"])),
    references=(WILDER, "https://ta-lib.org/functions/atr/"),
    aliases=("average_true_range",),
)

NATR = IndicatorSpec(
    name="natr",
    title="Normalized Average True Range",
    family="volatility",
    description="Wilder's average true range in percent of the close, so that symbols compare; 0 where the close is 0.",
    inputs=_BAR,
    params=(period(14, what="Length of the average"),),
    outputs=(Output("natr", "Average true range by close.", PERCENT, 0.0),),
    lookback=lambda p: int(p["period"]),
    memory=lambda p: wilder_memory(int(p["period"])),
    references=(
        "John Forman, Cross-Market Evaluations with Normalized Average True Range (2006)",
        "https://ta-lib.org/functions/natr/",
    ),
)

ADR = IndicatorSpec(
    name="adr",
    title="Average Day Range",
    family="volatility",
    description="Mean of high minus low over the window; gaps between bars do not count.",
    inputs=("high", "low"),
    params=(period(14, minimum=1),),
    outputs=(Output("adr", "Mean range of a bar.", PRICE, 0.0, shift=0),),
    lookback=lambda p: int(p["period"]) - 1,
    references=("https://ta-lib.org/functions/adr/",),
    aliases=("average_day_range", "average_daily_range"),
)

CVI = IndicatorSpec(
    name="cvi",
    title="Chaikin's Volatility",
    family="volatility",
    description=(
        "Change of the exponential average of high minus low over `change_period` bars, in percent; "
        "0 where it starts from 0."
    ),
    inputs=("high", "low"),
    params=(
        period(10, what="Length of the average"),
        period(10, name="change_period", minimum=1, what="Distance over which the change is taken"),
    ),
    outputs=(Output("cvi", "Change of the average range.", PERCENT, -100.0, shift=0),),
    lookback=lambda p: int(p["period"]) - 1 + int(p["change_period"]),
    memory=lambda p: ema_memory(int(p["period"])),
    references=(
        f"Marc Chaikin, in {ACHELIS}",
        "https://ta-lib.org/functions/cvi/",
    ),
    aliases=("chaikin_volatility", "chaikins_volatility"),
)

MASSI = IndicatorSpec(
    name="massi",
    title="Mass Index",
    family="volatility",
    description=(
        "Sum over the window of the exponential average of high minus low by that average's own average. "
        "A range that widens lifts it above `slow_period`, which is also its value where nothing moves."
    ),
    inputs=("high", "low"),
    params=(
        period(9, name="fast_period", what="Length of the two averages"),
        period(25, name="slow_period", what="Length of the sum"),
    ),
    outputs=(Output("massi", "Sum of the ratios.", POINTS, 0.0, shift=0),),
    lookback=lambda p: 2 * (int(p["fast_period"]) - 1) + int(p["slow_period"]) - 1,
    memory=lambda p: ema_memory(int(p["fast_period"]), 2),
    references=("Donald Dorsey, The Mass Index (1992)", "https://ta-lib.org/functions/massi/"),
    aliases=("mass", "mass_index"),
)

RVI = IndicatorSpec(
    name="rvi",
    title="Relative Volatility Index",
    family="volatility",
    description=(
        "RSI of volatility: the standard deviation of each window counts as rise or fall by the direction of its last "
        "change, both smoothed by Wilder's average; 50 when nothing moved."
    ),
    inputs=("source",),
    params=(
        period(14, minimum=1, what="Length of the averages"),
        period(10, name="deviation_period", what="Window of the standard deviation"),
        source(),
    ),
    outputs=(Output("rvi", "From 0 (only falls) to 100 (only rises).", POINTS, 0.0, 100.0, shift=0),),
    lookback=lambda p: int(p["deviation_period"]) - 1 + int(p["period"]) - 1,
    memory=lambda p: wilder_memory(int(p["period"])),
    references=("Donald Dorsey, The Relative Volatility Index (1993)", "https://ta-lib.org/functions/rvi/"),
    aliases=("relative_volatility_index",),
)

HISTORICAL_VOLATILITY = IndicatorSpec(
    name="historical_volatility",
    title="Historical Volatility",
    family="volatility",
    description=(
        "Standard deviation of the returns of the window in percent, brought to a year by the root of "
        "`periods_per_year`: set that to 52 for weekly and 12 for monthly bars. With `convention` population it is 100 "
        "times pandas-ta's `avolume`, and with `returns` simple as well 100 times tulip's `volatility`. No value where "
        "the source is not positive."
    ),
    inputs=("source",),
    params=(
        period(20, what="Number of returns"),
        Param("periods_per_year", "float", 252.0, "Bars of a year.", min=1.0, max=1e6, unit="bars"),
        Param("returns", "choice", "log", "Logarithmic or simple returns.", choices=("log", "simple")),
        deviation_convention("sample"),
        source(),
    ),
    outputs=(Output("historical_volatility", "Deviation of returns over a year.", PERCENT, 0.0, gaps=True),),
    lookback=lambda p: int(p["period"]),
    references=(
        "John Hull, Options, Futures, and Other Derivatives (1989), Estimating Volatility from Historical Data",
    ),
    aliases=("hvol", "hv", "volatility", "avolume"),
)

ULCER_INDEX = IndicatorSpec(
    name="ulcer_index",
    title="Ulcer Index",
    family="volatility",
    description=(
        "Root of the mean square of the drops, in percent, from the highest value of the last `period` bars: "
        "volatility that counts losses alone."
    ),
    inputs=("source",),
    params=(period(14), source()),
    outputs=(Output("ulcer_index", "Quadratic mean of the drops.", PERCENT, 0.0),),
    lookback=lambda p: 2 * (int(p["period"]) - 1),
    references=("Peter Martin and Byron McCann, The Investor's Guide to Fidelity Funds (1989)",),
    aliases=("ui", "ulcer"),
)

CHOP = IndicatorSpec(
    name="chop",
    title="Choppiness Index",
    family="volatility",
    description=(
        "Way gone (the sum of true ranges) in terms of the range covered, on a logarithmic scale: "
        "near 100 sideways, near 0 in a trend. 100 where nothing moved."
    ),
    inputs=_BAR,
    params=(
        period(14),
        Param(
            "extremes",
            "choice",
            "high_low",
            "Range covered: of highs and lows, or of true highs and lows, which keeps it at most 100.",
            choices=("high_low", "true_range"),
        ),
    ),
    outputs=(
        Output(
            "chop", "From 0 (a straight line) to 100; a gap before the window may lead beyond.", POINTS, 0.0, shift=0
        ),
    ),
    lookback=lambda p: int(p["period"]),
    references=("E. W. Dreiss, The Choppiness Index (1993)",),
    aliases=("choppiness", "choppiness_index"),
)


def _quiet_below_explosive(p: Params) -> dict[str, str]:
    quiet, explosive = float(p["quiet_multiplier"]), float(p["explosive_multiplier"])
    if quiet <= explosive:
        return {}
    return {"quiet_multiplier": f"{quiet:g} is above explosive_multiplier {explosive:g}"}


def _thermo_lookback(p: Params) -> int:
    return 1 + ma_lookback(str(p["ma_type"]), int(p["period"]))


THERMO = IndicatorSpec(
    name="thermo",
    title="Elder's Market Thermometer",
    family="volatility",
    description=(
        "How far a bar reaches out of the one before it, up or down, next to its average: by default the market is "
        "quiet below the average and explosive above three times the average."
    ),
    inputs=("high", "low"),
    params=(
        period(22, what="Length of the average"),
        multiplier(1.0, name="quiet_multiplier", what="Averages below which the market is quiet"),
        multiplier(3.0, name="explosive_multiplier", what="Averages above which the market is explosive"),
        ma_type("ema"),
        Param(
            "convention",
            "choice",
            "elder",
            "Bars within the one before count as 0 (elder), or as the larger change of high and low (absolute).",
            choices=("elder", "absolute"),
        ),
    ),
    outputs=(
        Output("thermo", "Reach of the bar.", PRICE, 0.0, shift=0),
        Output("average", "Its moving average.", PRICE, shift=0),
        Output("quiet", "1 below `quiet_multiplier` averages.", FLAG, 0.0, 1.0, shift=0),
        Output("explosive", "1 above `explosive_multiplier` averages.", FLAG, 0.0, 1.0, shift=0),
    ),
    lookback=_thermo_lookback,
    memory=lambda p: ma_memory(str(p["ma_type"]), int(p["period"])),
    references=("Alexander Elder, Come into My Trading Room (2002)",),
    check=_quiet_below_explosive,
    aliases=("thermometer", "market_thermometer"),
)

PDIST = IndicatorSpec(
    name="pdist",
    title="Price Distance",
    family="volatility",
    description="Way the price goes at least: twice the range plus the opening gap less the body of the bar.",
    inputs=("open", "high", "low", "close"),
    outputs=(Output("pdist", "2 (high - low) + |open - last close| - |close - open|.", PRICE, 0.0, shift=0),),
    lookback=lambda _p: 1,
    references=("https://www.prorealcode.com/prorealtime-indicators/pricedistance/",),
    aliases=("price_distance",),
)

DRAWDOWN = IndicatorSpec(
    name="drawdown",
    title="Drawdown",
    family="volatility",
    description=(
        "Distance below the highest value since the series began. Percent and logarithm have no value "
        "where the source is not positive."
    ),
    inputs=("source",),
    params=(source(),),
    outputs=(
        Output("drawdown", "Highest value so far minus the value.", PRICE, 0.0, shift=0),
        Output("percent", "The same in percent of the highest value.", PERCENT, 0.0, gaps=True),
        Output("logarithm", "Logarithm of the highest value by the value.", RATIO, 0.0, gaps=True),
    ),
    memory=forever,
    references=("https://www.investopedia.com/terms/d/drawdown.asp",),
)

SPECS = (
    TRANGE,
    ATR,
    NATR,
    ADR,
    CVI,
    MASSI,
    RVI,
    HISTORICAL_VOLATILITY,
    ULCER_INDEX,
    CHOP,
    THERMO,
    PDIST,
    DRAWDOWN,
)
