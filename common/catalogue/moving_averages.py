"""Moving averages."""

from common.catalogue.averages import ma_lookback, ma_memory
from common.catalogue.params import fast_below_slow, ma_type, period, source, source2
from common.catalogue.references import WILDER
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import rows_to_forget
from common.catalogue.units import OTHER, PRICE
from common.tiers import TierName


def _average(
    name: str,
    title: str,
    description: str,
    *,
    default: int = 20,
    extra: tuple[Param, ...] = (),
    references: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
    tier: TierName = TierName.PREMIUM,
) -> IndicatorSpec:
    """A kind of `ma_type` as an indicator of its own."""
    remembers = ma_memory(name, 2) > 0
    return IndicatorSpec(
        name=name,
        title=title,
        family="moving averages",
        tier=tier,
        description=description,
        inputs=("source",),
        params=(period(default), *extra, source()),
        outputs=(Output(name, f"{title}.", PRICE, shift=1),),
        lookback=lambda p: ma_lookback(name, int(p["period"])),
        memory=(lambda p: ma_memory(name, int(p["period"]))) if remembers else None,
        references=(*references, f"https://ta-lib.org/functions/{name}/"),
        aliases=aliases,
    )


SMA = _average("sma", "Simple Moving Average", "The mean of the last `period` values.", tier=TierName.FREE)

EMA = _average(
    "ema",
    "Exponential Moving Average",
    "Each value moves the average by 2 / (period + 1) of its distance; "
    "the first average is the mean of the first `period` values.",
    tier=TierName.FREE,
)

WMA = _average(
    "wma",
    "Weighted Moving Average",
    "Mean of the last `period` values with weights that fall by equal steps, from `period` for the latest to 1.",
)

DEMA = _average(
    "dema",
    "Double Exponential Moving Average",
    "Twice the exponential average less the exponential average of it, which takes back most of its lag.",
    references=("Patrick G. Mulloy, Smoothing Data with Faster Moving Averages (1994)",),
)

TEMA = _average(
    "tema",
    "Triple Exponential Moving Average",
    "Three times the exponential average, less three times the average of it, plus the average of that: "
    "hardly any lag in a steady trend.",
    references=("Patrick G. Mulloy, Smoothing Data with Less Lag (1994)",),
)

TRIMA = _average(
    "trima",
    "Triangular Moving Average",
    "Mean of the last `period` values with weights that rise to the middle of the window and fall again: "
    "a simple average of a simple average.",
    aliases=("swma",),
)

HMA = _average(
    "hma",
    "Hull Moving Average",
    "Twice the weighted average of half the period less that of the whole, "
    "smoothed by a weighted average over the root of the period.",
    references=("Alan Hull, How to Reduce Lag in a Moving Average (2005)",),
)

RMA = _average(
    "rma",
    "Wilder's Smoothed Moving Average",
    "Each value moves the average by 1 / period of its distance; "
    "the first average is the mean of the first `period` values.",
    default=14,
    references=(WILDER,),
    aliases=("smma", "wilders"),
)

ZLEMA = _average(
    "zlema",
    "Zero-Lag Exponential Moving Average",
    "Exponential average of values each moved on by their change over half the period, which is the average's lag.",
    references=("John F. Ehlers and Ric Way, Zero Lag (Well, Almost) (2010)",),
    aliases=("zlma",),
)

T3 = _average(
    "t3",
    "Tillson T3 Moving Average",
    "A double exponential average whose correction is weakened to `volume_factor`, applied three times over.",
    default=5,
    extra=(Param("volume_factor", "float", 0.7, "Share of the correction: 0 none, 1 all.", min=0.0, max=1.0),),
    references=("Tim Tillson, Smoothing Techniques for More Accurate Signals (1998)",),
    aliases=("t3ma",),
)

KAMA = IndicatorSpec(
    name="kama",
    title="Kaufman Adaptive Moving Average",
    family="moving averages",
    description=(
        "Exponential average that is as quick as one of `fast_period` while prices go straight and as slow as one of "
        "`slow_period` while they go to and fro, by the share of the last `period` bars' way that was progress."
    ),
    inputs=("source",),
    params=(
        period(10, what="Length of the window progress is measured on"),
        period(2, name="fast_period", minimum=1, what="Length of the average at its fastest"),
        period(30, name="slow_period", what="Length of the average at its slowest"),
        source(),
    ),
    outputs=(Output("kama", "Adaptive average.", PRICE, shift=1),),
    lookback=lambda p: int(p["period"]),
    memory=lambda p: rows_to_forget((2 / (int(p["slow_period"]) + 1)) ** 2),
    references=("Perry J. Kaufman, Smarter Trading (1995)", "https://ta-lib.org/functions/kama/"),
    check=fast_below_slow,
)

MA = IndicatorSpec(
    name="ma",
    title="Moving Average",
    family="moving averages",
    description="The moving average of the kind `ma_type`; of a `period` of 1, the series itself.",
    inputs=("source",),
    params=(period(20, minimum=1), ma_type(), source()),
    outputs=(Output("ma", "Average of the kind chosen.", PRICE, shift=1),),
    lookback=lambda p: ma_lookback(str(p["ma_type"]), int(p["period"])),
    memory=lambda p: ma_memory(str(p["ma_type"]), int(p["period"])),
    references=("https://ta-lib.org/functions/ma/",),
    aliases=("avg",),
)


def _ordered(p: Params) -> dict[str, str]:
    least, most = p["min_period"], p["max_period"]
    return {} if int(least) <= int(most) else {"min_period": f"{least} is above max_period {most}"}


MAVP = IndicatorSpec(
    name="mavp",
    title="Moving Average with Variable Period",
    family="moving averages",
    description=(
        "In each row the moving average of the length that `source2` gives there, "
        "cut to a whole number between `min_period` and `max_period`."
    ),
    inputs=("source", "source2"),
    params=(
        period(2, name="min_period", what="Shortest length"),
        period(30, name="max_period", what="Longest length"),
        ma_type(),
        source(),
        source2("close", "Lengths of the average, in bars"),
    ),
    outputs=(Output("mavp", "Average of the row's own length.", OTHER),),
    lookback=lambda p: ma_lookback(str(p["ma_type"]), int(p["max_period"])),
    memory=lambda p: ma_memory(str(p["ma_type"]), int(p["max_period"])),
    references=("https://ta-lib.org/functions/mavp/",),
    check=_ordered,
)

SPECS = (SMA, EMA, WMA, DEMA, TEMA, TRIMA, KAMA, T3, HMA, RMA, ZLEMA, MA, MAVP)
