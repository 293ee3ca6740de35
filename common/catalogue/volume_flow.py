"""Volume flow: what volume says of the move that came with it."""

from common.catalogue.averages import ma_lookback
from common.catalogue.params import fast_below_slow, ma_type, multiplier, period, source
from common.catalogue.references import ACHELIS, PANDAS_TA
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import ema_memory, forever
from common.catalogue.units import (
    FLAG,
    POINTS,
    PRICE,
    PRICE_PER_VOLUME,
    PRICE_SQUARED_PER_VOLUME,
    PRICE_VOLUME,
    RATIO,
    VOLUME,
)

_FOSBACK = "Norman G. Fosback, Stock Market Logic (1976)"
_ARMS = "Richard W. Arms, Volume Cycles in the Stock Market (1983)"


def _running_total(
    name: str,
    title: str,
    description: str,
    inputs: tuple[str, ...],
    output: Output,
    *,
    publication: str,
    params: tuple[Param, ...] = (),
    aliases: tuple[str, ...] = (),
) -> IndicatorSpec:
    """A total over all bars from the first on, as TA-Lib starts it."""
    return IndicatorSpec(
        name=name,
        title=title,
        family="volume",
        description=f"{description} A running total: only its changes mean something, not its level.",
        inputs=inputs,
        params=params,
        outputs=(output,),
        memory=forever,
        references=(publication, f"https://ta-lib.org/functions/{name}/"),
        aliases=aliases,
    )


def _volume_index(name: str, sign: str, when: str) -> IndicatorSpec:
    return _running_total(
        name,
        f"{sign} Volume Index",
        f"Starts at 1000 and takes part in the close's relative change on days whose volume is {when}.",
        ("close", "volume"),
        Output(name, "The index, 1000 at the first bar.", POINTS),
        publication=_FOSBACK,
    )


AD = _running_total(
    "ad",
    "Accumulation/Distribution Line",
    "Sums the volume, weighted by where the bar closed in its range: 1 at the high, -1 at the low, 0 without a range.",
    ("high", "low", "close", "volume"),
    Output("ad", "The running total, from the first bar's own on.", VOLUME, shift=0),
    publication=ACHELIS,
    aliases=("adl",),
)
OBV = _running_total(
    "obv",
    "On-Balance Volume",
    "Adds the volume of rising bars, subtracts that of falling ones; the first bar's volume is the start.",
    ("source", "volume"),
    Output("obv", "The running total.", VOLUME, shift=0),
    publication="Joseph E. Granville, Granville's New Key to Stock Market Profits (1963)",
    params=(source(),),
)
NVI = _volume_index("nvi", "Negative", "below the day before's")
PVI = _volume_index("pvi", "Positive", "above the day before's")
PVT = _running_total(
    "pvt",
    "Price Volume Trend",
    "Sums the volume times the close's relative change, from 0 at the first bar.",
    ("close", "volume"),
    Output("pvt", "The running total.", VOLUME),
    publication=ACHELIS,
)
WAD = _running_total(
    "wad",
    "Williams' Accumulation/Distribution",
    (
        "Sums on rising bars the close's distance from the true low, on falling ones that from the true high, from 0 "
        "on; volume plays no part in the form that is in use."
    ),
    ("high", "low", "close"),
    Output("wad", "The running total.", PRICE, shift=0),
    publication=ACHELIS,
)

ADOSC = IndicatorSpec(
    name="adosc",
    title="Chaikin Oscillator",
    family="volume",
    description=(
        "Distance of a fast from a slow exponential average of the accumulation/distribution line, "
        "both of which start at its first value."
    ),
    inputs=("high", "low", "close", "volume"),
    params=(
        period(3, name="fast_period", what="Length of the fast average"),
        period(10, name="slow_period", what="Length of the slow average"),
    ),
    outputs=(Output("adosc", "Fast minus slow average.", VOLUME, shift=0),),
    lookback=lambda p: int(p["slow_period"]) - 1,
    memory=lambda p: ema_memory(int(p["slow_period"])),
    references=(ACHELIS, "https://ta-lib.org/functions/adosc/"),
    check=fast_below_slow,
    aliases=("chaikin_osc",),
)


def _aobv_lookback(p: Params) -> int:
    kind, fast, slow = str(p["ma_type"]), int(p["fast_period"]), int(p["slow_period"])
    averages = max(ma_lookback(kind, fast), ma_lookback(kind, slow)) + int(p["run_period"])
    return max(averages, int(p["range_period"]) - 1)


AOBV = IndicatorSpec(
    name="aobv",
    title="Archer On-Balance Volume",
    family="volume",
    description=(
        "On-balance volume with its recent range, a fast and a slow average, and the runs of these: a run is on while "
        "the fast average stands beyond where it stood `run_period` bars before and the slow one has moved as well."
    ),
    inputs=("source", "volume"),
    params=(
        period(4, name="fast_period", what="Length of the fast average"),
        period(12, name="slow_period", what="Length of the slow average"),
        period(2, name="range_period", what="Length of the window of the minimum and maximum"),
        period(2, name="run_period", minimum=1, what="How far back the averages are compared"),
        ma_type("ema"),
        source(),
    ),
    outputs=(
        Output("obv", "On-balance volume.", VOLUME, shift=0),
        Output("min", "Its least value in the window.", VOLUME, shift=0),
        Output("max", "Its greatest value in the window.", VOLUME, shift=0),
        Output("fast", "Its fast average.", VOLUME, shift=0),
        Output("slow", "Its slow average.", VOLUME, shift=0),
        Output("long_run", "1 while the fast average rises.", FLAG, low=0.0, high=1.0),
        Output("short_run", "1 while the fast average falls.", FLAG, low=0.0, high=1.0),
    ),
    lookback=_aobv_lookback,
    memory=forever,
    references=(f"Kevin Johnson, Archer On-Balance Volume. {PANDAS_TA}",),
    check=fast_below_slow,
)

CMF = IndicatorSpec(
    name="cmf",
    title="Chaikin Money Flow",
    family="volume",
    description=(
        "Where the window's bars closed in their ranges, from 1 at the high to -1 at the low, weighted by volume; "
        "0 without volume, and a bar without a range counts as 0."
    ),
    inputs=("high", "low", "close", "volume"),
    params=(period(20),),
    outputs=(Output("cmf", "From -1 (distribution) to 1 (accumulation).", RATIO, low=-1.0, high=1.0, shift=0),),
    lookback=lambda p: int(p["period"]) - 1,
    references=(ACHELIS, "https://ta-lib.org/functions/cmf/"),
)

EFI = IndicatorSpec(
    name="efi",
    title="Elder's Force Index",
    family="volume",
    description="Exponential average of the close's change times the volume; a period of 1 is the bare product.",
    inputs=("close", "volume"),
    params=(period(13, minimum=1, what="Length of the average"),),
    outputs=(Output("efi", "Average force.", PRICE_VOLUME, shift=0),),
    lookback=lambda p: int(p["period"]),
    memory=lambda p: ema_memory(int(p["period"])),
    references=("Alexander Elder, Trading for a Living (1993)", "https://ta-lib.org/functions/efi/"),
    aliases=("force_index",),
)

MARKETFI = IndicatorSpec(
    name="marketfi",
    title="Market Facilitation Index",
    family="volume",
    description="Range of the bar per share traded; 0 where nothing was traded.",
    inputs=("high", "low", "volume"),
    outputs=(Output("marketfi", "High minus low, divided by volume.", PRICE_PER_VOLUME, low=0.0, shift=0),),
    references=("Bill Williams, Trading Chaos (1995)", "https://ta-lib.org/functions/marketfi/"),
    aliases=("market_facilitation",),
)

MFI = IndicatorSpec(
    name="mfi",
    title="Money Flow Index",
    family="volume",
    description=(
        "Share that bars of a rising typical price have in all money flow (typical price times volume) of the window; "
        "bars without a change count for neither side, 0 when there was no flow."
    ),
    inputs=("hlc3", "volume"),
    params=(period(14),),
    outputs=(Output("mfi", "From 0 (only outflow) to 100 (only inflow).", POINTS, low=0.0, high=100.0),),
    lookback=lambda p: int(p["period"]),
    references=(
        "Gene Quong and Avrum Soudack, Volume-Weighted RSI: Money Flow (Stocks & Commodities, March 1989)",
        "https://ta-lib.org/functions/mfi/",
    ),
)


def _kvo_memory(p: Params) -> int | None:
    """A trend's own range is summed from its first bar on, however long ago that was."""
    if p["convention"] != "signed_volume":
        return None
    return ema_memory(int(p["slow_period"])) + ema_memory(int(p["signal_period"]))


KVO = IndicatorSpec(
    name="kvo",
    title="Klinger Volume Oscillator",
    family="volume",
    description=(
        "Distance of a fast from a slow exponential average of the volume force, and its own exponential average. "
        "The force is the volume, signed by the trend (that of high + low + close, which goes on while that is "
        "unchanged), times 100 |2 r - 1|, where r is the bar's range over the sum of ranges since the bar before the "
        "trend; the conventions differ in that factor."
    ),
    inputs=("high", "low", "hlc3", "volume"),
    params=(
        period(34, name="fast_period", what="Length of the fast average"),
        period(55, name="slow_period", what="Length of the slow average"),
        period(13, name="signal_period", minimum=1, what="Length of the signal's average"),
        Param(
            "convention",
            "choice",
            "klinger",
            (
                "Factor of the force: 100 |2 r - 1| (klinger: FM Labs, TradeStation, Tulip), 100 |2 (r - 1)| "
                "(investopedia: also Skender) or none, and no force without a change (signed_volume: TradingView, "
                "pandas-ta)."
            ),
            choices=("klinger", "investopedia", "signed_volume"),
        ),
    ),
    outputs=(
        Output("kvo", "Fast minus slow average.", VOLUME, shift=0),
        Output("signal", "Exponential average of `kvo`.", VOLUME, shift=0),
    ),
    lookback=lambda p: int(p["slow_period"]) + int(p["signal_period"]) - 1,
    memory=_kvo_memory,
    references=(
        "Stephen J. Klinger, Identifying Trends with Volume Analysis (Stocks & Commodities, December 1997)",
        "https://tulipindicators.org/kvo",
    ),
    check=fast_below_slow,
    aliases=("klinger",),
)


def _divisor(default: float) -> Param:
    what = "Volumes are counted in units of so many shares."
    return Param("divisor", "float", default, what, min=1.0, max=1e12, unit="shares")


EMV = IndicatorSpec(
    name="emv",
    title="Ease of Movement",
    family="volume",
    description=(
        "How far the middle of the bar moved, times the bar's range, per unit of volume: far on little volume is "
        "easy. 0 where nothing was traded."
    ),
    inputs=("high", "low", "volume"),
    params=(_divisor(10_000.0),),
    outputs=(Output("emv", "Above 0 upwards, below 0 downwards.", PRICE_SQUARED_PER_VOLUME, shift=0),),
    lookback=lambda _p: 1,
    references=(_ARMS, "https://tulipindicators.org/emv"),
    aliases=("ease_of_movement",),
)

EOM = IndicatorSpec(
    name="eom",
    title="Smoothed Ease of Movement",
    family="volume",
    description="Mean of the ease of movement over `period` bars; its volumes are by default counted in 100 million.",
    inputs=("high", "low", "volume"),
    params=(period(14), _divisor(100_000_000.0)),
    outputs=(Output("eom", "Above 0 upwards, below 0 downwards.", PRICE_SQUARED_PER_VOLUME, shift=0),),
    lookback=lambda p: int(p["period"]),
    references=(_ARMS, PANDAS_TA),
)

PVOL = IndicatorSpec(
    name="pvol",
    title="Price Times Volume",
    family="volume",
    description="Close times volume: roughly the money that changed hands.",
    inputs=("close", "volume"),
    params=(Param("signed", "bool", default=False, description="Give it the sign of the close's change."),),
    outputs=(Output("pvol", "The product.", PRICE_VOLUME),),
    lookback=lambda p: int(bool(p["signed"])),
    references=(PANDAS_TA,),
)

PVR = IndicatorSpec(
    name="pvr",
    title="Price Volume Rank",
    family="volume",
    description=(
        "1: neither close nor volume fell, 2: volume alone fell, 3: the close alone fell, 4: both fell. "
        "Below 2.5 is for buying, above for selling."
    ),
    inputs=("close", "volume"),
    outputs=(Output("pvr", "The rank.", POINTS, low=1.0, high=4.0, shift=0),),
    lookback=lambda _p: 1,
    references=("Anthony J. Macek, The Price/Volume Rank (Stocks & Commodities, June 1994)",),
)

VFI_DEVIATION_PERIOD = 30
"""Bars of Katsanos' standard deviation, which he left no parameter for."""


def vfi_first(length: int) -> int:
    """The first row whose flow is known: it needs the deviation and the volume average of the row before."""
    return max(VFI_DEVIATION_PERIOD, length)


VFI = IndicatorSpec(
    name="vfi",
    title="Volume Flow Indicator",
    family="volume",
    description=(
        "Sum of the volumes over `period` bars, in units of their average before, signed by the typical price's change "
        "and smoothed by an exponential average. Changes below `threshold` standard deviations of 30 logarithmic "
        "changes do not count, nor volume above `volume_limit` times its average; 0 where nothing was traded."
    ),
    inputs=("hlc3", "close", "volume"),
    params=(
        period(130),
        period(3, name="smooth_period", minimum=1, what="Length of the last average"),
        multiplier(0.2, name="threshold", what="Standard deviations a change must exceed"),
        multiplier(2.5, name="volume_limit", what="Average volumes a bar may count for at most"),
    ),
    outputs=(Output("vfi", "Above 0 inflow, below 0 outflow.", RATIO),),
    lookback=lambda p: vfi_first(int(p["period"])) + int(p["period"]) - 1 + int(p["smooth_period"]) - 1,
    memory=lambda p: ema_memory(int(p["smooth_period"])),
    references=("Markos Katsanos, Using Money Flow to Stay with the Trend (Stocks & Commodities, June 2004)",),
)

SPECS = (
    AD, ADOSC, OBV, AOBV, CMF, EFI, MARKETFI, NVI, PVI, PVT, WAD, MFI, KVO, EMV, EOM, PVOL, PVR, VFI,
)  # fmt: skip
