"""Directional movement, Aroon and the vortex."""

from collections.abc import Callable

from common.catalogue.params import period
from common.catalogue.references import WILDER
from common.catalogue.spec import IndicatorSpec, Output, Params
from common.catalogue.stability import wilder_memory
from common.catalogue.units import POINTS, PRICE, RATIO

_FAMILY = "directional movement"

_UP = (
    "Upward movement is what a high exceeds the one before by, where that is more than the low falls below the one "
    "before; else 0."
)
_DOWN = (
    "Downward movement is what a low falls below the one before by, where that is more than the high exceeds the one "
    "before; else 0."
)
_SUM = "The first `period` - 1 are added up; then each bar takes 1 / period of the sum away and adds its own."


def _period(p: Params) -> int:
    return int(p["period"])


def _memory(times: int) -> Callable[[Params], int]:
    return lambda p: wilder_memory(int(p["period"]), times)


def _percent(name: str, what: str) -> Output:
    return Output(name, what, POINTS, low=0.0, high=100.0, shift=0)


def _movement(
    name: str, title: str, description: str, outputs: tuple[Output, ...], references: tuple[str, ...]
) -> IndicatorSpec:
    return IndicatorSpec(
        name=name,
        title=title,
        family=_FAMILY,
        description=f"{description} {_SUM}",
        inputs=("high", "low"),
        params=(period(14, minimum=1, what="Length of the smoothing"),),
        outputs=outputs,
        lookback=lambda p: max(int(p["period"]) - 1, 1),
        memory=_memory(1),
        references=(WILDER, *references),
    )


def _indicator(
    name: str, title: str, description: str, outputs: tuple[Output, ...], references: tuple[str, ...]
) -> IndicatorSpec:
    return IndicatorSpec(
        name=name,
        title=title,
        family=_FAMILY,
        description=f"{description} Both are smoothed as Wilder does; 0 where there is no range.",
        inputs=("high", "low", "close"),
        params=(period(14, what="Length of the smoothing"),),
        outputs=outputs,
        lookback=_period,
        memory=_memory(1),
        references=(WILDER, *references),
    )


def _index(name: str, title: str, description: str, lookback: Callable[[Params], int], times: int) -> IndicatorSpec:
    return IndicatorSpec(
        name=name,
        title=title,
        family=_FAMILY,
        description=description,
        inputs=("high", "low"),
        params=(period(14, what="Length of the smoothing"),),
        outputs=(_percent(name, "From 0 (as much up as down) to 100 (all one way)."),),
        lookback=lookback,
        memory=_memory(times),
        references=(WILDER, f"https://ta-lib.org/functions/{name}/"),
    )


PLUS_DM = _movement(
    "plus_dm",
    "Plus Directional Movement",
    _UP,
    (Output("plus_dm", "Smoothed sum of the upward movement.", PRICE, low=0.0, shift=0),),
    ("https://ta-lib.org/functions/plus_dm/",),
)
MINUS_DM = _movement(
    "minus_dm",
    "Minus Directional Movement",
    _DOWN,
    (Output("minus_dm", "Smoothed sum of the downward movement.", PRICE, low=0.0, shift=0),),
    ("https://ta-lib.org/functions/minus_dm/",),
)
DM = _movement(
    "dm",
    "Directional Movement",
    "What the range of a bar adds to that before, upward or downward, whichever is more.",
    (
        Output("plus", "Smoothed sum of the upward movement.", PRICE, low=0.0, shift=0),
        Output("minus", "Smoothed sum of the downward movement.", PRICE, low=0.0, shift=0),
    ),
    ("https://tulipindicators.org/dm",),
)
PLUS_DI = _indicator(
    "plus_di",
    "Plus Directional Indicator",
    "Upward movement in percent of the true range.",
    (_percent("plus_di", "Share of the range that went upward, 0 to 100."),),
    ("https://ta-lib.org/functions/plus_di/",),
)
MINUS_DI = _indicator(
    "minus_di",
    "Minus Directional Indicator",
    "Downward movement in percent of the true range.",
    (_percent("minus_di", "Share of the range that went downward, 0 to 100."),),
    ("https://ta-lib.org/functions/minus_di/",),
)
DI = _indicator(
    "di",
    "Directional Indicators",
    "Upward and downward movement in percent of the true range.",
    (
        _percent("plus", "Share of the range that went upward, 0 to 100."),
        _percent("minus", "Share of the range that went downward, 0 to 100."),
    ),
    ("https://tulipindicators.org/di",),
)
DX = _index(
    "dx",
    "Directional Movement Index",
    "How one-sided movement is: the difference of upward and downward movement in percent of their sum, both smoothed "
    "as Wilder does. It stays where it was while nothing moves.",
    _period,
    1,
)
ADX = _index(
    "adx",
    "Average Directional Movement Index",
    "Strength of a trend, whichever its direction: Wilder's average of the directional movement index (dx).",
    lambda p: 2 * int(p["period"]) - 1,
    2,
)
ADXR = _index(
    "adxr",
    "Average Directional Movement Index Rating",
    "Strength of a trend, slower than the ADX: the mean of the ADX and that of `period` - 1 bars before.",
    lambda p: 3 * int(p["period"]) - 2,
    2,
)

AROON = IndicatorSpec(
    name="aroon",
    title="Aroon",
    family=_FAMILY,
    description=(
        "How lately the lowest low and the highest high of the last `period` + 1 bars were: 100 for this bar, 0 for "
        "`period` bars ago. Of equal ones the latest counts."
    ),
    inputs=("high", "low"),
    params=(period(14),),
    outputs=(
        _percent("down", "How lately the lowest low was, 0 to 100."),
        _percent("up", "How lately the highest high was, 0 to 100."),
    ),
    lookback=_period,
    references=(
        "Tushar S. Chande, Time Price Oscillator, Stocks & Commodities (September 1995)",
        "https://ta-lib.org/functions/aroon/",
    ),
)

AROONOSC = IndicatorSpec(
    name="aroonosc",
    title="Aroon Oscillator",
    family=_FAMILY,
    description="Aroon's up line less its down line: above 0 the highest high is later than the lowest low.",
    inputs=("high", "low"),
    params=(period(14),),
    outputs=(Output("aroonosc", "From -100 to 100.", POINTS, low=-100.0, high=100.0, shift=0),),
    lookback=_period,
    references=(*AROON.references[:1], "https://ta-lib.org/functions/aroonosc/"),
)

VORTEX = IndicatorSpec(
    name="vortex",
    title="Vortex Indicator",
    family=_FAMILY,
    description=(
        "Distances of a high from the low before and of a low from the high before, each summed over the window and "
        "divided by the sum of the true range; 0 where there is no range."
    ),
    inputs=("high", "low", "close"),
    params=(period(14),),
    outputs=(
        Output("plus", "Upward vortex: highs from the lows before.", RATIO, low=0.0, shift=0),
        Output("minus", "Downward vortex: lows from the highs before.", RATIO, low=0.0, shift=0),
    ),
    lookback=_period,
    references=(
        "Etienne Botes and Douglas Siepman, The Vortex Indicator, Stocks & Commodities (January 2010)",
        "https://ta-lib.org/functions/vortex/",
    ),
)

SPECS = (PLUS_DM, MINUS_DM, DM, PLUS_DI, MINUS_DI, DI, DX, ADX, ADXR, AROON, AROONOSC, VORTEX)
