"""Averages that adapt to the market, filters, and families of averages."""

import math
from bisect import bisect_left
from functools import lru_cache
from operator import mul

from common.catalogue.params import period, source
from common.catalogue.references import CHANDE_KROLL
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import ema_memory, forever, rows_to_forget, wilder_memory
from common.catalogue.units import PRICE


def _vidya_lookback(p: Params) -> int:
    if p["convention"] == "deviation":
        return int(p["long_period"]) - 2
    return max(int(p["period"]) - 1, int(p["index_period"]) - 1)


def _vidya_check(p: Params) -> dict[str, str]:
    short, long = int(p["index_period"]), int(p["long_period"])
    if p["convention"] == "cmo" or short < long:
        return {}
    return {"index_period": f"{short} is not below long_period {long}"}


VIDYA = IndicatorSpec(
    name="vidya",
    title="Variable Index Dynamic Average",
    family="moving averages",
    description=(
        "Exponential average of `period` whose weight is multiplied by an index of how far the market moves: by the "
        "convention cmo (Chande 1995, the usual one) the absolute Chande momentum of `index_period`, starting from a "
        "mean of `period` values; by deviation (Chande 1992) the ratio of the standard deviations over `index_period` "
        "and `long_period`, starting from a value itself."
    ),
    inputs=("source",),
    params=(
        period(14, what="Length of the average"),
        period(14, name="index_period", what="Length of the window of the index"),
        period(30, name="long_period", what="Length of the long window, of the convention deviation alone"),
        Param("convention", "choice", "cmo", "Index that moves the weight.", choices=("cmo", "deviation")),
        source(),
    ),
    outputs=(Output("vidya", "Adaptive average.", PRICE, shift=1),),
    lookback=_vidya_lookback,
    memory=forever,
    references=(
        "Tushar S. Chande, Adapting Moving Averages to Market Volatility (1992)",
        CHANDE_KROLL,
        "Tushar S. Chande, Identifying Powerful Breakouts Early, Stocks & Commodities 13:10 (1995)",
        "https://tulipindicators.org/vidya",
    ),
    check=_vidya_check,
)

MCGINLEY = IndicatorSpec(
    name="mcginley",
    title="McGinley Dynamic",
    family="moving averages",
    description=(
        "Average that each value moves by 1 / (factor × period × (value / average)⁴) of its distance, which makes it "
        "quick in falling and slow in rising markets; never past the value. It starts with the first value."
    ),
    inputs=("source",),
    params=(
        period(14, minimum=1, what="Length of the average"),
        Param("factor", "float", 1.0, "Share of the period that counts; 0.6 is usual too.", min=0.1, max=10.0),
        source(),
    ),
    outputs=(Output("mcginley", "Dynamic average.", PRICE),),
    memory=forever,
    references=("John R. McGinley, McGinley Dynamic, Journal of Technical Analysis (1997)",),
    aliases=("mcgd", "mcginley_dynamic", "dynamic"),
)


def _jma_memory(p: Params) -> int:
    """Measured on real bars, with a margin: of the filters at their slowest, and of the volatility that drives them."""
    length = int(p["period"]) - 1
    return 5 * rows_to_forget(2 / (0.45 * length + 2)) + 200 + 2 * length


JMA = IndicatorSpec(
    name="jma",
    title="Jurik Moving Average",
    family="moving averages",
    description=(
        "Three filters one after the other, as quick as the market moves: an exponential average, "
        "a correction of its lag by `phase`, and a smoothing of both. As reverse engineered; Jurik's own is not public."
    ),
    inputs=("source",),
    params=(
        period(7, what="Length of the average"),
        Param(
            "phase",
            "float",
            0.0,
            "From -100, smooth and late, to 100, early and apt to overshoot.",
            min=-100.0,
            max=100.0,
        ),
        source(),
    ),
    outputs=(Output("jma", "Adaptive average.", PRICE, shift=1),),
    lookback=lambda p: int(p["period"]) - 1,
    memory=_jma_memory,
    references=(
        "Mark Jurik, Jurik Moving Average (1998)",
        "https://c.mql5.com/forextsd/forum/164/jurik_1.pdf",
    ),
)

_DOUBLINGS = 22
"""Doublings of a row after which weights that still show the seed count as never settling."""


def weight(name: str, default: float, what: str) -> Param:
    """How much the latest of something moves an average of it."""
    return Param(f"{name}_weight", "float", default, f"Weight of the latest {what}.", min=0.01, max=1.0)


HOLT_WINTERS = (
    weight("level", 0.2, "value in the level"),
    weight("trend", 0.1, "change of the level in the trend"),
    weight("acceleration", 0.1, "change of the trend in the acceleration"),
)

Row = tuple[float, ...]


def _moved(before: Row, expected: Row, now: Row, share: float) -> Row:
    """`expected`, moved by `share` towards the step from `before` to `now`: rows of the matrix of one step."""
    return tuple((1 - share) * x + share * (z - y) for x, y, z in zip(expected, before, now, strict=True))


@lru_cache(1024)
def _settles(a: float, b: float, c: float) -> int | None:
    """Rows until level, trend and acceleration have forgotten their seed, to a power of two; None: they swing up."""
    level = (1 - a, 1 - a, (1 - a) / 2)
    trend = _moved((1, 0, 0), (0, 1, 1), level, b)
    step: tuple[Row, ...] = (level, trend, _moved((0, 1, 0), (0, 0, 1), trend, c))
    for doublings in range(_DOUBLINGS):
        if all(abs(x) < 1e-6 for row in step for x in row):  # noqa: PLR2004 - as in `stability`
            return int(2**doublings)
        columns = tuple(zip(*step, strict=True))
        step = tuple(tuple(sum(map(mul, row, column)) for column in columns) for row in step)
    return None


def _weights(p: Params) -> tuple[float, float, float]:
    return float(p["level_weight"]), float(p["trend_weight"]), float(p["acceleration_weight"])


def holt_winters_memory(p: Params) -> int:
    return _settles(*_weights(p)) or 0


def holt_winters_check(p: Params) -> dict[str, str]:
    """Refuses weights with which level, trend and acceleration drive one another ever higher."""
    level, trend, acceleration = _weights(p)
    if _settles(level, trend, acceleration):
        return {}
    hundredths = range(1, math.ceil(acceleration * 100))
    most = bisect_left(hundredths, True, key=lambda n: _settles(level, trend, n / 100) is None) / 100
    problem = f"{acceleration:g} is too much with level_weight {level:g} and trend_weight {trend:g}"
    return {"acceleration_weight": f"{problem}, the average would swing ever wider; it settles at {most:g} or less"}


HWMA = IndicatorSpec(
    name="hwma",
    title="Holt-Winters Moving Average",
    family="moving averages",
    description=(
        "What level, trend and acceleration of the series, each smoothed by a weight of its own, foretell of the next "
        "value. It starts with the first value; weights with which it would swing ever wider are refused."
    ),
    inputs=("source",),
    params=(*HOLT_WINTERS, source()),
    outputs=(Output("hwma", "Level plus trend plus half the acceleration.", PRICE, shift=1),),
    memory=holt_winters_memory,
    references=("https://www.mql5.com/en/code/20856 (Holt-Winters Moving Average)",),
    check=holt_winters_check,
)

SSF = IndicatorSpec(
    name="ssf",
    title="Ehlers Super Smoother",
    family="moving averages",
    description=(
        "Filter that lets waves longer than `period` bars pass and takes out shorter ones, with two or three poles; "
        "the first values are those of the series."
    ),
    inputs=("source",),
    params=(
        period(10, what="Length of the shortest wave that passes"),
        Param("poles", "int", 2, "Poles of the filter: three are smoother and later than two.", min=2, max=3),
        source(),
    ),
    outputs=(Output("ssf", "Filtered series.", PRICE, shift=1),),
    memory=lambda p: 2 * rows_to_forget(1 - math.exp(-math.pi / int(p["period"]))),
    references=("John F. Ehlers, Cybernetic Analysis for Stocks and Futures (2004)",),
)

_STRANDS = 10

RAINBOW = IndicatorSpec(
    name="rainbow",
    title="Rainbow Moving Averages",
    family="moving averages",
    description="Ten simple averages of `period`, the first of the series and each further one of the one before.",
    inputs=("source",),
    params=(period(2), source()),
    outputs=tuple(
        Output(f"average_{n}", f"Series averaged {n} time{'s' if n > 1 else ''}.", PRICE, shift=1)
        for n in range(1, _STRANDS + 1)
    ),
    lookback=lambda p: _STRANDS * (int(p["period"]) - 1),
    references=("Mel Widner, Rainbow Charts, Technical Analysis of Stocks & Commodities (1997)",),
)

_RIBBONS = 6


def _mmar_longest(p: Params) -> int:
    return int(p["period"]) + (_RIBBONS - 1) * int(p["step"])


MMAR = IndicatorSpec(
    name="mmar",
    title="Madrid Moving Average Ribbon",
    family="moving averages",
    description="Six exponential averages, the first of `period` and each further one `step` bars longer.",
    inputs=("source",),
    params=(
        period(10, minimum=1, what="Length of the shortest average"),
        period(5, name="step", minimum=1, what="Difference between the lengths of neighbours"),
        source(),
    ),
    outputs=tuple(
        Output(f"average_{n}", f"Average of period + {n - 1} × step.", PRICE, shift=1) for n in range(1, _RIBBONS + 1)
    ),
    lookback=lambda p: _mmar_longest(p) - 1,
    memory=lambda p: ema_memory(_mmar_longest(p)),
    references=("https://www.tradingview.com/script/a87v7d4L-Madrid-Moving-Average-Ribbon/",),
)


def _line(name: str, length: int, shift: int) -> tuple[Param, Param]:
    return (
        period(length, name=f"{name}_period", minimum=1, what=f"Length of the average of the {name}"),
        period(shift, name=f"{name}_shift", minimum=0, what=f"Displacement of the {name} into the future"),
    )


_LINES = ("jaw", "teeth", "lips")
_MOUTH = (*_line("jaw", 13, 8), *_line("teeth", 8, 5), *_line("lips", 5, 3), source("hl2"))


def _mouth_lookback(p: Params) -> int:
    return max(int(p[f"{line}_period"]) - 1 + int(p[f"{line}_shift"]) for line in _LINES)


def _mouth_memory(p: Params) -> int:
    return max(wilder_memory(int(p[f"{line}_period"])) for line in _LINES)


ALLIGATOR = IndicatorSpec(
    name="alligator",
    title="Williams Alligator",
    family="trend",
    description=(
        "Three of Wilder's averages of the median price, each displaced into the future: a row shows the average of "
        "`shift` rows before. Apart and in order they show a trend, entwined none."
    ),
    inputs=("source",),
    params=_MOUTH,
    outputs=(
        Output("jaw", "Slowest average.", PRICE, shift=1),
        Output("teeth", "Middle average.", PRICE, shift=1),
        Output("lips", "Fastest average.", PRICE, shift=1),
    ),
    lookback=_mouth_lookback,
    memory=_mouth_memory,
    references=("Bill Williams, Trading Chaos (1995)",),
)

GATOR = IndicatorSpec(
    name="gator",
    title="Gator Oscillator",
    family="oscillators",
    description="How far apart the alligator's lines are: jaw and teeth above zero, teeth and lips below it.",
    inputs=("source",),
    params=_MOUTH,
    outputs=(
        Output("upper", "Distance of jaw and teeth.", PRICE, low=0.0, shift=0),
        Output("lower", "Distance of teeth and lips, times -1.", PRICE, high=0.0, shift=0),
    ),
    lookback=_mouth_lookback,
    memory=_mouth_memory,
    references=("Bill Williams, New Trading Dimensions (1998)",),
)

SPECS = (VIDYA, MCGINLEY, JMA, HWMA, SSF, RAINBOW, MMAR, ALLIGATOR, GATOR)
