"""Stops that follow the price."""

from common.catalogue.averages import ma_lookback
from common.catalogue.params import ma_type, multiplier, period, source
from common.catalogue.references import CHANDE_KROLL, WILDER
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import forever, wilder_memory
from common.catalogue.units import FLAG, PRICE

_HLC = ("high", "low", "close")
_ATR_PERIOD = "Length of the average true range"
_RANGES = "Distance from the price, in average true ranges"


def _trend(description: str, *, gaps: bool = False) -> Output:
    return Output("trend", description, FLAG, low=-1.0, high=1.0, shift=0, gaps=gaps)


def _rate(name: str, default: float, description: str) -> Param:
    return Param(name, "float", default, description, min=0.0, max=1.0)


SAR = IndicatorSpec(
    name="sar",
    title="Parabolic SAR",
    family="stops",
    description=(
        "A stop that moves towards the extreme price of the trade by a share of the distance, which grows with each "
        "new extreme; where the price meets it, the trade is reversed."
    ),
    inputs=("high", "low"),
    params=(
        _rate("acceleration", 0.02, "Share of the distance at first, and by how much it grows; at most `maximum`."),
        _rate("maximum", 0.2, "Greatest share of the distance."),
    ),
    outputs=(Output("sar", "The stop: below the price while long, above while short.", PRICE, shift=1),),
    lookback=lambda _p: 1,
    memory=forever,
    references=(WILDER, "https://ta-lib.org/functions/sar/"),
    aliases=("psar", "parabolic_sar"),
)

SAREXT = IndicatorSpec(
    name="sarext",
    title="Parabolic SAR - Extended",
    family="stops",
    description=(
        "The parabolic SAR with a start of one's own, an offset where it reverses, and rates of its own for long and "
        "short; negative while short."
    ),
    inputs=("high", "low"),
    params=(
        Param(
            "start_value",
            "float",
            0.0,
            "First stop: long where positive, short at its amount where negative; 0 takes it from the first two bars.",
            min=-1e12,
            max=1e12,
            unit="price",
        ),
        _rate("offset_on_reverse", 0.0, "Share of the stop by which it is moved away where it reverses."),
        *(
            param
            for side in ("long", "short")
            for param in (
                _rate(f"acceleration_init_{side}", 0.02, f"Share of the distance at first, while {side}."),
                _rate(f"acceleration_{side}", 0.02, f"By how much the share grows with a new extreme, while {side}."),
                _rate(f"acceleration_max_{side}", 0.2, f"Greatest share of the distance, while {side}."),
            )
        ),
    ),
    outputs=(Output("sarext", "The stop while long, the stop times -1 while short.", PRICE),),
    lookback=lambda _p: 1,
    memory=forever,
    references=(WILDER, "https://ta-lib.org/functions/sarext/"),
)

_BANDS = (period(10, what=_ATR_PERIOD), multiplier(3.0, what="Distance of the bands, in average true ranges"))

SUPERTREND = IndicatorSpec(
    name="supertrend",
    title="Supertrend",
    family="stops",
    description=(
        "Bands some average true ranges around the middle of the bar that move towards the price only; the trend turns "
        "where the close leaves them. It starts rising."
    ),
    inputs=_HLC,
    params=_BANDS,
    outputs=(
        Output("supertrend", "The lower band in a rising trend, the upper one in a falling trend.", PRICE, shift=1),
        _trend("1 rising, -1 falling."),
    ),
    lookback=lambda p: int(p["period"]),
    memory=forever,
    references=("Olivier Seban, Supertrend", "https://ta-lib.org/functions/supertrend/"),
)

SUPERTREND_HEIKIN_ASHI = IndicatorSpec(
    name="supertrend_heikin_ashi",
    title="Supertrend of Heikin-Ashi Bars",
    family="stops",
    description="The supertrend computed on Heikin-Ashi bars, which are smoother and turn it less often.",
    inputs=("open", *_HLC),
    params=_BANDS,
    outputs=SUPERTREND.outputs,
    lookback=SUPERTREND.lookback,
    memory=forever,
    references=("https://twelvedata.com/docs#supertrend-heikinashicandles",),
    aliases=("supertrend_heikinashicandles",),
)

CHANDELIER_EXIT = IndicatorSpec(
    name="chandelier_exit",
    title="Chandelier Exit",
    family="stops",
    description="Stops hung some average true ranges below the highest high and above the lowest low of the window.",
    inputs=_HLC,
    params=(period(22, what="Length of the window and of the average true range"), multiplier(3.0, what=_RANGES)),
    outputs=(
        Output("long", "Stop of a long position.", PRICE, shift=1),
        Output("short", "Stop of a short position.", PRICE, shift=1),
    ),
    lookback=lambda p: int(p["period"]),
    memory=lambda p: wilder_memory(int(p["period"])),
    references=(
        "Charles Le Beau and David W. Lucas, Technical Traders Guide to Computer Analysis of the Futures Market (1992)",
        "https://www.tradingview.com/support/solutions/43000773013-chandelier-exit/",
    ),
    aliases=("chandelier", "ce"),
)

CHANDE_KROLL_STOP = IndicatorSpec(
    name="chande_kroll_stop",
    title="Chande Kroll Stop",
    family="stops",
    description=(
        "Stops some average true ranges below the highest high and above the lowest low, of which the highest and the "
        "lowest of the last `stop_period` count. The book has 10, 20 and 3 with a simple average of the true ranges; "
        "the defaults are those of charting platforms."
    ),
    inputs=_HLC,
    params=(
        period(10, what="Length of the window and of the average true range"),
        period(9, name="stop_period", minimum=1, what="How long a stop counts"),
        multiplier(1.0, what=_RANGES),
        Param(
            "convention",
            "choice",
            "wilder",
            "Average of the true ranges: Wilder's, or a simple one as in the book.",
            choices=("wilder", "sma"),
        ),
    ),
    outputs=(
        Output("long", "Stop of a long position, from the highs.", PRICE, shift=1),
        Output("short", "Stop of a short position, from the lows.", PRICE, shift=1),
    ),
    lookback=lambda p: int(p["period"]) + int(p["stop_period"]) - 1,
    memory=lambda p: 0 if p["convention"] == "sma" else wilder_memory(int(p["period"])),
    references=(CHANDE_KROLL,),
    aliases=("cksp",),
)

ATR_STOP = IndicatorSpec(
    name="atr_stop",
    title="ATR Trailing Stop",
    family="stops",
    description=(
        "A stop some average true ranges from the close, or from high and low, that moves towards the price only; the "
        "trend turns on a close at the stop."
    ),
    inputs=_HLC,
    params=(
        period(21, what=_ATR_PERIOD),
        multiplier(3.0, what=_RANGES),
        Param(
            "prices",
            "choice",
            "close",
            "What the stop keeps its distance from: the close, or the low while long and the high while short.",
            choices=("close", "high_low"),
        ),
    ),
    outputs=(
        Output("stop", "The stop: below the price while long, above while short.", PRICE, shift=1),
        _trend("1 long, -1 short."),
    ),
    lookback=lambda p: int(p["period"]),
    memory=forever,
    references=(WILDER, "https://dotnet.stockindicators.dev/indicators/AtrStop/"),
)

VOLATILITY_STOP = IndicatorSpec(
    name="volatility_stop",
    title="Volatility Stop",
    family="stops",
    description=(
        "Wilder's stop and reverse: some average true ranges behind the best close of the trade, as set by the bars "
        "before. The first trade is in the direction of the first window, which is a guess."
    ),
    inputs=_HLC,
    params=(period(7, what=_ATR_PERIOD), multiplier(3.0, what="Distance from the best close, in average true ranges")),
    outputs=(
        Output("stop", "The stop during this bar.", PRICE, shift=1),
        _trend("The trade during this bar: 1 long, -1 short."),
        Output(
            "reversal",
            "1 where the close is beyond the stop and the trade is reversed.",
            FLAG,
            low=0.0,
            high=1.0,
            shift=0,
        ),
    ),
    lookback=lambda p: int(p["period"]) + 1,
    memory=forever,
    references=(WILDER, "https://dotnet.stockindicators.dev/indicators/VolatilityStop/"),
)


def _pmax_lookback(p: Params) -> int:
    return max(int(p["period"]), ma_lookback(str(p["ma_type"]), int(p["ma_period"])))


PMAX = IndicatorSpec(
    name="pmax",
    title="Profit Maximizer",
    family="stops",
    description=(
        "Supertrend's bands around a moving average instead of the bar; the trend turns where the average leaves them. "
        "It starts rising."
    ),
    inputs=("source", *_HLC),
    params=(
        period(10, what=_ATR_PERIOD),
        period(10, name="ma_period", minimum=1, what="Length of the moving average"),
        multiplier(3.0, what="Distance of the bands, in average true ranges"),
        ma_type("ema"),
        source("hl2", what="Series that is averaged"),
    ),
    outputs=(
        Output("pmax", "The lower band in a rising trend, the upper one in a falling trend.", PRICE, shift=1),
        _trend("1 rising, -1 falling."),
    ),
    lookback=_pmax_lookback,
    memory=forever,
    references=("Kivanc Ozbilgic, Profit Maximizer (PMax), https://www.tradingview.com/script/sU9molfV/",),
)


def _hilo_lookback(p: Params) -> int:
    return 1 + max(ma_lookback(str(p["ma_type"]), int(p[name])) for name in ("high_period", "low_period"))


HILO = IndicatorSpec(
    name="hilo",
    title="Gann HiLo Activator",
    family="stops",
    description=(
        "The average of the lows after a close above the average of the highs of the bar before, the average of the "
        "highs after a close below that of the lows; no value before the first of these."
    ),
    inputs=_HLC,
    params=(
        period(13, name="high_period", what="Length of the average of the highs"),
        period(21, name="low_period", what="Length of the average of the lows"),
        ma_type(),
    ),
    outputs=(
        Output("hilo", "The average behind the price.", PRICE, shift=1, gaps=True),
        _trend("1 rising, -1 falling.", gaps=True),
    ),
    lookback=_hilo_lookback,
    memory=forever,
    references=("Robert Krausz, The New Gann Swing Chartist, Stocks & Commodities 16:2 (1998)",),
)

SPECS = (
    SAR,
    SAREXT,
    SUPERTREND,
    SUPERTREND_HEIKIN_ASHI,
    CHANDELIER_EXIT,
    CHANDE_KROLL_STOP,
    ATR_STOP,
    VOLATILITY_STOP,
    PMAX,
    HILO,
)
