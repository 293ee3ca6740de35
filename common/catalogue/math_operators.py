"""Arithmetic of two series, running totals, and the sums and extremes of windows."""

from common.catalogue.params import period, source, source2
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import forever
from common.catalogue.units import BARS, PRICE, PRICE_SQUARED, RATIO

_FAMILY = "math operators"
_TALIB = "https://ta-lib.org/functions/{}/"
_TWO = (source("high", what="The first series"), source2("low"))

ADD = IndicatorSpec(
    name="add",
    title="Sum of Two Series",
    family=_FAMILY,
    description="The first series plus the second.",
    inputs=("source", "source2"),
    params=_TWO,
    outputs=(Output("add", "Sum of the two values.", PRICE, shift=2),),
    references=(_TALIB.format("add"),),
)

SUB = IndicatorSpec(
    name="sub",
    title="Difference of Two Series",
    family=_FAMILY,
    description="The first series minus the second.",
    inputs=("source", "source2"),
    params=_TWO,
    outputs=(Output("sub", "Difference of the two values.", PRICE, shift=0),),
    references=(_TALIB.format("sub"),),
)

MULT = IndicatorSpec(
    name="mult",
    title="Product of Two Series",
    family=_FAMILY,
    description="The first series times the second.",
    inputs=("source", "source2"),
    params=_TWO,
    outputs=(Output("mult", "Product of the two values.", PRICE_SQUARED),),
    references=(_TALIB.format("mult"),),
    aliases=("mul",),
)

DIV = IndicatorSpec(
    name="div",
    title="Quotient of Two Series",
    family=_FAMILY,
    description=(
        "The first series divided by the second; no value where the second is 0. "
        "As relative strength it rises while the first series does better."
    ),
    inputs=("source", "source2"),
    params=_TWO,
    outputs=(Output("div", "Quotient of the two values.", RATIO, gaps=True),),
    references=(_TALIB.format("div"), "https://dotnet.stockindicators.dev/indicators/Prs/"),
    aliases=("prs", "price_relative_strength"),
)

CUMSUM = IndicatorSpec(
    name="cumsum",
    title="Cumulative Sum",
    family=_FAMILY,
    description="The sum of all values from the first row on.",
    inputs=("source",),
    params=(source(),),
    outputs=(Output("cumsum", "Running total.", PRICE),),
    memory=forever,
    references=(_TALIB.format("cumsum"),),
)


def _window(
    name: str, title: str, description: str, *outputs: Output, counted: tuple[Param, ...] = ()
) -> IndicatorSpec:
    """Of the window of the last `period` values."""
    return IndicatorSpec(
        name=name,
        title=title,
        family=_FAMILY,
        description=description,
        inputs=("source",),
        params=(period(30), *counted, source()),
        outputs=outputs,
        lookback=lambda p: int(p["period"]) - 1,
        memory=_memory if counted else None,
        references=(_TALIB.format(name),),
    )


def _memory(p: Params) -> int | None:
    """A row's number depends on where the history starts; how long ago it was does not."""
    return None if p["counted"] == "from_start" else 0


_COUNTED = Param(
    "counted",
    "choice",
    "from_start",
    "from_start gives the number of the row, 0 for the first one that has a value; "
    "bars_ago how many rows before the last of the window it lies.",
    choices=("from_start", "bars_ago"),
)

SUM = _window("sum", "Summation", "The sum of the last `period` values.", Output("sum", "Sum of the window.", PRICE))

MAX = _window(
    "max",
    "Highest Value",
    "The greatest of the last `period` values.",
    Output("max", "Greatest value of the window.", PRICE, shift=1),
)

MIN = _window(
    "min",
    "Lowest Value",
    "The least of the last `period` values.",
    Output("min", "Least value of the window.", PRICE, shift=1),
)

MINMAX = _window(
    "minmax",
    "Lowest and Highest Value",
    "The least and the greatest of the last `period` values.",
    Output("min", "Least value of the window.", PRICE, shift=1),
    Output("max", "Greatest value of the window.", PRICE, shift=1),
)

MAXINDEX = _window(
    "maxindex",
    "Row of the Highest Value",
    "Where the greatest of the last `period` values stands, the latest of equal ones.",
    Output("maxindex", "Row of the greatest value of the window.", BARS, low=0.0, shift=0),
    counted=(_COUNTED,),
)

MININDEX = _window(
    "minindex",
    "Row of the Lowest Value",
    "Where the least of the last `period` values stands, the latest of equal ones.",
    Output("minindex", "Row of the least value of the window.", BARS, low=0.0, shift=0),
    counted=(_COUNTED,),
)

MINMAXINDEX = _window(
    "minmaxindex",
    "Rows of the Lowest and Highest Value",
    "Where the least and the greatest of the last `period` values stand, the latest of equal ones.",
    Output("minindex", "Row of the least value of the window.", BARS, low=0.0, shift=0),
    Output("maxindex", "Row of the greatest value of the window.", BARS, low=0.0, shift=0),
    counted=(_COUNTED,),
)

SPECS = (ADD, SUB, MULT, DIV, CUMSUM, SUM, MAX, MIN, MINMAX, MAXINDEX, MININDEX, MINMAXINDEX)
