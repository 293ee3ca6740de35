"""Crossings of two series, and whether series rise or fall."""

from common.catalogue.params import period, source, source2
from common.catalogue.references import PANDAS_TA
from common.catalogue.spec import IndicatorSpec, Output, Param
from common.catalogue.units import FLAG


def _crossing(name: str, title: str, description: str, *, reference: str) -> IndicatorSpec:
    return IndicatorSpec(
        name=name,
        title=title,
        family="crossings",
        description=description,
        inputs=("source", "source2"),
        params=(source(what="The first series"), source2()),
        outputs=(Output(name, "1 on the row of the crossing, else 0.", FLAG, low=0.0, high=1.0, shift=0),),
        lookback=lambda _p: 1,
        references=(reference,),
    )


CROSSOVER = _crossing(
    "crossover",
    "Crossover",
    "Whether the first series rose above the second: it is above and was not on the row before.",
    reference="https://tulipindicators.org/crossover",
)

CROSSUNDER = _crossing(
    "crossunder",
    "Crossunder",
    "Whether the first series fell below the second: it is below and was not on the row before.",
    reference="https://www.tradingview.com/pine-script-reference/v5/#fun_ta.crossunder",
)

CROSSANY = _crossing(
    "crossany",
    "Crossing in Either Direction",
    "Whether the first series rose above or fell below the second.",
    reference="https://tulipindicators.org/crossany",
)


def _trend(name: str, title: str, direction: str) -> IndicatorSpec:
    return IndicatorSpec(
        name=name,
        title=title,
        family="crossings",
        description=(
            f"Whether the value is {direction} the one `period` rows before; "
            f"strict asks that each of the last `period` values is {direction} the one before it."
        ),
        inputs=("source",),
        params=(
            period(1, minimum=1, what="How far back to compare"),
            Param("strict", "bool", default=False, description="Ask for every step, not for the sum of the steps."),
            source(),
        ),
        outputs=(Output(name, "1 for yes, 0 for no.", FLAG, low=0.0, high=1.0, shift=0),),
        lookback=lambda p: int(p["period"]),
        references=(PANDAS_TA,),
    )


INCREASING = _trend("increasing", "Increasing", "above")
DECREASING = _trend("decreasing", "Decreasing", "below")


def _run(name: str, title: str, moves: str) -> IndicatorSpec:
    return IndicatorSpec(
        name=name,
        title=title,
        family="crossings",
        description=(
            f"Whether the fast series {moves} over `period` rows while the slow one moves at all; "
            "meant for a fast and a slow moving average as sources."
        ),
        inputs=("source", "source2"),
        params=(
            period(2, minimum=1, what="How far back to compare"),
            source(what="The fast series"),
            source2(what="The slow series"),
        ),
        outputs=(Output(name, "1 for yes, 0 for no.", FLAG, low=0.0, high=1.0, shift=0),),
        lookback=lambda p: int(p["period"]),
        references=(PANDAS_TA,),
    )


LONG_RUN = _run("long_run", "Long Run", "rises")
SHORT_RUN = _run("short_run", "Short Run", "falls")

SPECS = (CROSSOVER, CROSSUNDER, CROSSANY, INCREASING, DECREASING, LONG_RUN, SHORT_RUN)
