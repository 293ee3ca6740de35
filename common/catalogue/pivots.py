"""Levels that bars leave behind, and the turning points among them."""

from common.catalogue.params import multiplier, period
from common.catalogue.references import PANDAS_TA
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import forever
from common.catalogue.units import FLAG, PATTERN, PRICE

_HLC = ("high", "low", "close")
_OHLC = ("open", *_HLC)

_METHOD = Param(
    "method",
    "choice",
    "classic",
    "How levels are set: the floor traders', Fibonacci's shares of the range, Camarilla's, Woodie's (from the open of "
    "the bars the levels are for) or DeMark's.",
    choices=("classic", "fibonacci", "camarilla", "woodie", "demark"),
)

_SPAN = Param(
    "span",
    "choice",
    "bar",
    "What the levels are made of and for: the bar before, or the week (to Friday) or month before that of the bar.",
    choices=("bar", "week", "month"),
)

_ROWS_OF_TWO_SPANS = {"bar": 0, "week": 2 * 7 - 1, "month": 2 * 31 - 1}
"""All of this span and the one before, and the row before them that shows where it begins: less one, the lookback."""


def _span_memory(p: Params) -> int:
    return _ROWS_OF_TWO_SPANS[str(p["span"])]


def _levels(*, gaps: bool) -> tuple[Output, ...]:
    """The pivot and four levels to each side; methods that have fewer leave the rest empty."""
    names = [("r", "resistance", "above"), ("s", "support", "below")]
    return (
        Output("pivot", "The middle.", PRICE, shift=1, gaps=gaps),
        *(
            Output(f"{letter}{n}", f"{nth} {word} {side} the pivot.", PRICE, shift=1, gaps=True)
            for letter, word, side in names
            for n, nth in enumerate(("First", "Second", "Third", "Fourth"), 1)
        ),
    )


PIVOT_POINTS = IndicatorSpec(
    name="pivot_points",
    title="Pivot Points",
    family="pivots",
    description=(
        "Levels of support and resistance from the prices of the bar, week or month before. DeMark's method has one "
        "to each side, Fibonacci's three. A week or month whose beginning is not among the bars gives none."
    ),
    inputs=(*_OHLC, "date"),
    params=(_METHOD, _SPAN),
    outputs=_levels(gaps=True),
    lookback=lambda _p: 1,
    memory=_span_memory,
    references=(
        "John L. Person, A Complete Guide to Technical Trading Tactics (2004)",
        "Thomas R. DeMark, The New Science of Technical Analysis (1994)",
    ),
)


def _rolling_lookback(p: Params) -> int:
    return int(p["period"]) + int(p["offset"])


ROLLING_PIVOTS = IndicatorSpec(
    name="rolling_pivots",
    title="Rolling Pivot Points",
    family="pivots",
    description="Pivot points of the last `period` bars before the bar, or before the `offset` bars that precede it.",
    inputs=_OHLC,
    params=(
        period(20, minimum=1),
        Param("offset", "int", 0, "Bars left out between the window and the bar.", min=0, max=100_000, unit="bars"),
        _METHOD,
    ),
    outputs=_levels(gaps=False),
    lookback=_rolling_lookback,
    references=("https://dotnet.stockindicators.dev/indicators/RollingPivots/",),
)

CPR = IndicatorSpec(
    name="cpr",
    title="Central Pivot Range",
    family="pivots",
    description=(
        "The pivot of the bar, week or month before, the middle of its range, and as far to the other side of the "
        "pivot: narrow after a close in the middle, wide after one at an end."
    ),
    inputs=(*_HLC, "date"),
    params=(_SPAN,),
    outputs=(
        Output("pivot", "Mean of high, low and close.", PRICE, shift=1, gaps=True),
        Output("top", "Upper end of the range.", PRICE, shift=1, gaps=True),
        Output("bottom", "Lower end of the range.", PRICE, shift=1, gaps=True),
    ),
    lookback=lambda _p: 1,
    memory=_span_memory,
    references=("Franklin O. Ochoa, Secrets of a Pivot Boss (2010)",),
)


def _looks_ahead(p: Params) -> bool:
    return bool(p["lookahead"])


def _lookahead(description: str) -> Param:
    return Param("lookahead", "bool", False, description)


def _fractal_lookback(p: Params) -> int:
    return int(p["left_bars"]) + (0 if p["lookahead"] else int(p["right_bars"]))


FRACTAL = IndicatorSpec(
    name="fractal",
    title="Williams Fractal",
    family="pivots",
    description=(
        "A bar whose high is above all others around it, or whose low is below; marked, as in TA-Lib, on the last of "
        "the bars after it, which confirms it."
    ),
    inputs=("high", "low"),
    params=(
        period(2, name="left_bars", minimum=1, what="Neighbours before that a fractal stands out from"),
        period(2, name="right_bars", minimum=1, what="Neighbours after that a fractal stands out from"),
        _lookahead("Mark the bar itself, on which it is not yet known; the last bars have no value then."),
    ),
    outputs=(
        Output("swing_high", "100 for a high, else 0.", PATTERN, low=0.0, high=100.0, shift=0, gaps=True),
        Output("swing_low", "100 for a low, else 0.", PATTERN, low=0.0, high=100.0, shift=0, gaps=True),
    ),
    lookback=_fractal_lookback,
    lookahead=_looks_ahead,
    references=("Bill Williams, Trading Chaos (1995)", "https://ta-lib.org/functions/fractal/"),
    aliases=("pivot_points_hl", "pivots"),
)

ZIGZAG = IndicatorSpec(
    name="zigzag",
    title="Zig Zag",
    family="pivots",
    description=(
        "Highs and lows between moves of at least `percent`. A pivot is known once the price has moved that far from "
        "it; each bar has the last one known, and none before the first."
    ),
    inputs=_HLC,
    params=(
        Param("percent", "float", 5.0, "Least move from a pivot.", min=0.01, max=100.0, unit="%"),
        Param("prices", "choice", "close", "Prices that make pivots.", choices=("close", "high_low")),
        _lookahead("Give each pivot on its own bar, on which it is not yet known, and nothing on the others."),
    ),
    outputs=(
        Output("pivot", "Price of the pivot.", PRICE, gaps=True),
        Output("direction", "1 up, from a low; -1 down, from a high.", FLAG, low=-1.0, high=1.0, gaps=True),
    ),
    memory=forever,
    lookahead=_looks_ahead,
    references=("https://dotnet.stockindicators.dev/indicators/ZigZag/",),
)


def _ichimoku_lookback(p: Params) -> int:
    longest = max(int(p[name]) for name in ("conversion_period", "base_period", "span_period"))
    return longest - 1 + int(p["displacement"])


ICHIMOKU = IndicatorSpec(
    name="ichimoku",
    title="Ichimoku Kinko Hyo",
    family="trend",
    description=(
        "Middles of the range of three windows. The cloud between the spans is displaced forward: on each bar it is "
        "that of `displacement` bars before."
    ),
    inputs=_HLC,
    params=(
        period(9, name="conversion_period", minimum=1, what="Length of the conversion line (tenkan-sen)"),
        period(26, name="base_period", minimum=1, what="Length of the base line (kijun-sen)"),
        period(52, name="span_period", minimum=1, what="Length of span B"),
        period(26, name="displacement", minimum=1, what="How far the spans are displaced forward, the close back"),
        _lookahead("Give the displaced close (chikou), which lies in the future of its bar."),
    ),
    outputs=(
        Output("conversion", "Conversion line (tenkan-sen).", PRICE, shift=1),
        Output("base", "Base line (kijun-sen).", PRICE, shift=1),
        Output("span_a", "Mean of the two lines, displaced (senkou span A).", PRICE, shift=1),
        Output("span_b", "Middle of the longest window, displaced (senkou span B).", PRICE, shift=1),
        Output("chikou", "The close of `displacement` bars later; with `lookahead` alone.", PRICE, shift=1, gaps=True),
    ),
    lookback=_ichimoku_lookback,
    lookahead=_looks_ahead,
    references=("Manesh Patel, Trading with Ichimoku Clouds (2010)",),
)

SMC_SWEEP = IndicatorSpec(
    name="smc_sweep",
    title="Liquidity Sweep",
    family="pivots",
    description=(
        "A bar that takes out the low of the window before it and closes back above, rising and with a lower wick "
        "longer than `multiplier` bodies; or the same of a high, falling."
    ),
    inputs=_OHLC,
    params=(period(15, minimum=1), multiplier(1.5, what="Length the wick must exceed, in bodies")),
    outputs=(Output("smc_sweep", "1 of a low, -1 of a high, else 0.", FLAG, low=-1.0, high=1.0, shift=0),),
    lookback=lambda p: int(p["period"]),
    references=(PANDAS_TA,),
)

SPECS = (PIVOT_POINTS, ROLLING_PIVOTS, CPR, FRACTAL, ZIGZAG, ICHIMOKU, SMC_SWEEP)
