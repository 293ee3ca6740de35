"""Oscillators with a scale of their own."""

from common.catalogue.averages import ma_lookback, ma_memory
from common.catalogue.params import ma_type, period, source
from common.catalogue.references import CHANDE_KROLL
from common.catalogue.spec import IndicatorSpec, Output, Params
from common.catalogue.stability import ema_memory, wilder_memory
from common.catalogue.units import POINTS

_BAR = ("high", "low", "close")
_LANE = "George C. Lane, Lane's Stochastics (1984)"
_K_PERIOD = period(14, name="k_period", minimum=1, what="Window of the range")
_D_PERIOD = period(3, name="d_period", minimum=1, what="Length of the average that gives %D")
_D_TYPE = ma_type(name="d_ma_type", what="Kind of moving average that gives %D")


def _smoothed_lookback(p: Params, *steps: str) -> int:
    """Rows of the window of the range and of the averages after it."""
    window = int(p["k_period"]) - 1
    return window + sum(ma_lookback(str(p[f"{step}_ma_type"]), int(p[f"{step}_period"])) for step in steps)


def _smoothed_memory(p: Params, *steps: str) -> int:
    return sum(ma_memory(str(p[f"{step}_ma_type"]), int(p[f"{step}_period"])) for step in steps)


STOCH = IndicatorSpec(
    name="stoch",
    title="Stochastic Oscillator",
    family="oscillators",
    description=(
        "Where the close stands in the range of the last bars, 0 at the lowest low and 100 at the highest high, "
        "smoothed twice. A window without a range counts as 0."
    ),
    inputs=_BAR,
    params=(
        _K_PERIOD,
        period(3, name="smooth_period", minimum=1, what="Length of the average that gives %K"),
        _D_PERIOD,
        ma_type(name="smooth_ma_type", what="Kind of moving average that gives %K"),
        _D_TYPE,
    ),
    outputs=(
        Output("k", "%K: smoothed place of the close in its range.", POINTS, shift=0),
        Output("d", "%D: average of `k`.", POINTS, shift=0),
    ),
    lookback=lambda p: _smoothed_lookback(p, "smooth", "d"),
    memory=lambda p: _smoothed_memory(p, "smooth", "d"),
    references=(_LANE, "https://ta-lib.org/functions/stoch/"),
    aliases=("stochastic",),
)

STOCHF = IndicatorSpec(
    name="stochf",
    title="Stochastic Fast",
    family="oscillators",
    description=(
        "Where the close stands in the range of the last bars, 0 at the lowest low and 100 at the highest high, "
        "and its average. A window without a range counts as 0."
    ),
    inputs=_BAR,
    params=(_K_PERIOD, _D_PERIOD, _D_TYPE),
    outputs=(
        Output("k", "%K: place of the close in its range.", POINTS, low=0.0, high=100.0, shift=0),
        Output("d", "%D: average of `k`.", POINTS, shift=0),
    ),
    lookback=lambda p: _smoothed_lookback(p, "d"),
    memory=lambda p: _smoothed_memory(p, "d"),
    references=(_LANE, "https://ta-lib.org/functions/stochf/"),
    aliases=("stochastic_fast",),
)

STOCHRSI = IndicatorSpec(
    name="stochrsi",
    title="Stochastic RSI",
    family="oscillators",
    description=(
        "Where the RSI stands in its own range of the last bars, from 0 to 100, and its average. "
        "The authors take one length for the RSI and the range; a window without a range counts as 0."
    ),
    inputs=("source",),
    params=(period(14, what="Length of the RSI"), _K_PERIOD, _D_PERIOD, _D_TYPE, source()),
    outputs=(
        Output("k", "Place of the RSI in its range.", POINTS, low=0.0, high=100.0, shift=0),
        Output("d", "Average of `k`.", POINTS, shift=0),
    ),
    lookback=lambda p: int(p["period"]) + _smoothed_lookback(p, "d"),
    memory=lambda p: wilder_memory(int(p["period"])) + _smoothed_memory(p, "d"),
    references=(CHANDE_KROLL, "https://ta-lib.org/functions/stochrsi/"),
    aliases=("stoch_rsi",),
)

KDJ = IndicatorSpec(
    name="kdj",
    title="KDJ",
    family="oscillators",
    description="Stochastic with a third line, which leads the other two: 3 k - 2 d. Smoothed by Wilder's average.",
    inputs=_BAR,
    params=(
        period(9, name="k_period", minimum=1, what="Window of the range"),
        period(3, name="smooth_period", minimum=1, what="Length of the average that gives K"),
        period(3, name="d_period", minimum=1, what="Length of the average that gives D"),
        ma_type("rma", name="smooth_ma_type", what="Kind of moving average that gives K"),
        ma_type("rma", name="d_ma_type", what="Kind of moving average that gives D"),
    ),
    outputs=(
        Output("k", "Smoothed place of the close in its range.", POINTS, shift=0),
        Output("d", "Average of `k`.", POINTS, shift=0),
        Output("j", "3 k - 2 d, which leaves the scale of 0 to 100.", POINTS, shift=0),
    ),
    lookback=STOCH.lookback,
    memory=STOCH.memory,
    references=(_LANE, "https://ta-lib.org/functions/kdj/"),
)

WILLR = IndicatorSpec(
    name="willr",
    title="Williams %R",
    family="oscillators",
    description=(
        "Distance of the close from the highest high in percent of the range of the last bars. "
        "A window without a range counts as 0."
    ),
    inputs=_BAR,
    params=(period(14, what="Window of the range"),),
    outputs=(
        Output("willr", "From -100 (at the lowest low) to 0 (at the highest high).", POINTS, -100.0, 0.0, shift=0),
    ),
    lookback=lambda p: int(p["period"]) - 1,
    references=(
        "Larry Williams, How I Made One Million Dollars Last Year Trading Commodities (1973)",
        "https://ta-lib.org/functions/willr/",
    ),
    aliases=("williams_r",),
)

CMO = IndicatorSpec(
    name="cmo",
    title="Chande Momentum Oscillator",
    family="oscillators",
    description=(
        "Gains minus losses in percent of all movement, both smoothed by Wilder's average as in TA-Lib; "
        "the author's plain sums are `cmou`. 0 when nothing moved."
    ),
    inputs=("source",),
    params=(period(14), source()),
    outputs=(Output("cmo", "From -100 (only losses) to 100 (only gains).", POINTS, -100.0, 100.0, shift=0),),
    lookback=lambda p: int(p["period"]),
    memory=lambda p: wilder_memory(int(p["period"])),
    references=(CHANDE_KROLL, "https://ta-lib.org/functions/cmo/"),
)

CMOU = IndicatorSpec(
    name="cmou",
    title="Chande Momentum Oscillator, unsmoothed",
    family="oscillators",
    description=(
        "Gains minus losses of the last `period` changes in percent of all movement, as its author defined it. "
        "0 when nothing moved."
    ),
    inputs=("source",),
    params=(period(14, what="Number of changes"), source()),
    outputs=(Output("cmou", "From -100 (only losses) to 100 (only gains).", POINTS, -100.0, 100.0, shift=0),),
    lookback=lambda p: int(p["period"]),
    references=(CHANDE_KROLL, "https://ta-lib.org/functions/cmou/"),
)

ULTOSC = IndicatorSpec(
    name="ultosc",
    title="Ultimate Oscillator",
    family="oscillators",
    description=(
        "Share of the buying pressure (close minus true low) in the true range over three windows, the shortest "
        "weighing four times, the middle one twice. The lengths may stand in any order."
    ),
    inputs=_BAR,
    params=(
        period(7, name="fast_period", minimum=1, what="Short window"),
        period(14, name="medium_period", minimum=1, what="Middle window"),
        period(28, name="slow_period", minimum=1, what="Long window"),
    ),
    outputs=(Output("ultosc", "From 0 (only selling) to 100 (only buying).", POINTS, 0.0, 100.0, shift=0),),
    lookback=lambda p: max(int(p[name]) for name in ("fast_period", "medium_period", "slow_period")),
    references=("Larry Williams, The Ultimate Oscillator (1985)", "https://ta-lib.org/functions/ultosc/"),
    aliases=("uo", "ultimate"),
)

SMI = IndicatorSpec(
    name="smi",
    title="Stochastic Momentum Index",
    family="oscillators",
    description=(
        "Distance of the close from the middle of the range of the last bars in percent of half that range, both "
        "smoothed by two exponential averages one after the other; 0 where there is no range."
    ),
    inputs=_BAR,
    params=(
        period(13, what="Window of the range"),
        period(2, name="fast_period", what="Length of the second average"),
        period(25, name="slow_period", what="Length of the first average"),
        period(9, name="signal_period", minimum=1, what="Length of the signal's average"),
    ),
    outputs=(
        Output("smi", "From -100 (at the lowest low) to 100 (at the highest high).", POINTS, -100.0, 100.0, shift=0),
        Output("signal", "Exponential average of `smi`.", POINTS, -100.0, 100.0, shift=0),
    ),
    lookback=lambda p: sum(int(p[name]) - 1 for name in ("period", "fast_period", "slow_period", "signal_period")),
    memory=lambda p: sum(ema_memory(int(p[name])) for name in ("fast_period", "slow_period", "signal_period")),
    references=("William Blau, Momentum, Direction, and Divergence (1995)", "https://ta-lib.org/functions/smi/"),
    aliases=("stochastic_momentum_index",),
)

PSL = IndicatorSpec(
    name="psl",
    title="Psychological Line",
    family="oscillators",
    description="Percent of the last `period` bars on which the source rose.",
    inputs=("source",),
    params=(period(12, what="Number of changes"), source()),
    outputs=(Output("psl", "From 0 (never rose) to 100 (always rose).", POINTS, low=0.0, high=100.0, shift=0),),
    lookback=lambda p: int(p["period"]),
    references=("https://www.quantshare.com/item-851-psychological-line",),
    aliases=("psychological_line",),
)

CONNORS_RSI = IndicatorSpec(
    name="connors_rsi",
    title="Connors RSI",
    family="oscillators",
    description=(
        "Mean of three: the RSI, the RSI of the streak (bars in a row that closed up, counted negative when down), "
        "and the percentage of the last `rank_period` returns that are less than today's."
    ),
    inputs=("source",),
    params=(
        period(3, what="Length of the RSI"),
        period(2, name="streak_period", what="Length of the RSI of the streak"),
        period(100, name="rank_period", what="Number of returns to rank among"),
        source(),
    ),
    outputs=(Output("connors_rsi", "From 0 (oversold) to 100 (overbought).", POINTS, low=0.0, high=100.0),),
    lookback=lambda p: max(int(p["period"]), int(p["streak_period"]) + 1, int(p["rank_period"]) + 1),
    memory=lambda p: wilder_memory(max(int(p["period"]), int(p["streak_period"]))),
    references=("Larry Connors and Cesar Alvarez, An Introduction to ConnorsRSI (2012)",),
    aliases=("crsi",),
)

SPECS = (
    STOCH,
    STOCHF,
    STOCHRSI,
    KDJ,
    WILLR,
    CMO,
    CMOU,
    ULTOSC,
    SMI,
    PSL,
    CONNORS_RSI,
)
