"""Averages over a window by weights of its shape, and decays."""

from common.catalogue.params import period, source
from common.catalogue.references import PANDAS_TA
from common.catalogue.spec import IndicatorSpec, Output, Param
from common.catalogue.stability import forever, wilder_memory
from common.catalogue.units import OTHER, PRICE


def _weighted(
    name: str,
    title: str,
    weights: str,
    *references: str,
    default: int = 10,
    extra: tuple[Param, ...] = (),
) -> IndicatorSpec:
    return IndicatorSpec(
        name=name,
        title=title,
        family="moving averages",
        description=f"Mean of the last `period` values weighted by {weights}.",
        inputs=("source",),
        params=(period(default), *extra, source()),
        outputs=(Output(name, "Weighted mean of the window.", PRICE, shift=1),),
        lookback=lambda p: int(p["period"]) - 1,
        references=references,
    )


FWMA = _weighted(
    "fwma",
    "Fibonacci Weighted Moving Average",
    "the Fibonacci numbers 1, 1, 2, 3, 5 and so on, the latest value by the greatest",
    f"Kevin Johnson, Fibonacci's Weighted Moving Average. {PANDAS_TA}",
)

PWMA = _weighted(
    "pwma",
    "Pascal Weighted Moving Average",
    "a row of Pascal's triangle, which is a bell around the middle of the window",
    f"Kevin Johnson, Pascal's Weighted Moving Average. {PANDAS_TA}",
)

SINWMA = _weighted(
    "sinwma",
    "Sine Weighted Moving Average",
    "half a wave of a sine, which is greatest in the middle of the window",
    "https://www.tradingview.com/script/6MWFvnPO-Sine-Weighted-Moving-Average/ (Everget)",
    default=14,
)

ALMA = _weighted(
    "alma",
    "Arnaud Legoux Moving Average",
    "a normal curve whose peak lies at `offset` between the oldest and the latest value",
    "Arnaud Legoux and Dimitrios Kouzis-Loukas, Arnaud Legoux Moving Average (2009)",
    default=9,
    extra=(
        Param("offset", "float", 0.85, "Place of the peak: 0 at the oldest value, 1 at the latest.", min=0.0, max=1.0),
        Param("sigma", "float", 6.0, "Standard deviations of the curve in a window.", min=0.1, max=100.0),
    ),
)

DECAY = IndicatorSpec(
    name="decay",
    title="Linear Decay",
    family="math transform",
    description=(
        "The greater of the value and the decay before it less 1 / period: "
        "a signal of 1 fades to 0 along a line within `period` bars."
    ),
    inputs=("source",),
    params=(period(5, minimum=1, what="How long 1 takes to fade to 0"), source()),
    outputs=(Output("decay", "Value or what is left of an earlier one.", OTHER, shift=1),),
    memory=forever,
    references=("https://tulipindicators.org/decay",),
    aliases=("linear_decay",),
)

EDECAY = IndicatorSpec(
    name="edecay",
    title="Exponential Decay",
    family="math transform",
    description=(
        "The greater of the value and the decay before it times 1 - 1 / period: "
        "a signal loses the same share of itself in each bar."
    ),
    inputs=("source",),
    params=(period(5, minimum=1, what="Length of the decay"), source()),
    outputs=(Output("edecay", "Value or what is left of an earlier one.", PRICE),),
    memory=lambda p: wilder_memory(int(p["period"])),
    references=("https://tulipindicators.org/edecay",),
    aliases=("exponential_decay",),
)

SPECS = (FWMA, PWMA, SINWMA, ALMA, DECAY, EDECAY)
