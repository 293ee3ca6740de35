"""Cycles: Ehlers' Hilbert transform and what is measured with it."""

from collections.abc import Callable

from common.catalogue.averages import HILBERT_MEMORY, mama_memory
from common.catalogue.params import period, source
from common.catalogue.references import PANDAS_TA
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.stability import ema_memory
from common.catalogue.units import BARS, DEGREES, FLAG, PRICE, RATIO

_ROCKET_SCIENCE = "John F. Ehlers, Rocket Science for Traders (2001)"
_MAMA = "John F. Ehlers, MESA Adaptive Moving Averages, Stocks & Commodities 19:10 (2001)"


def _hilbert(
    name: str, title: str, description: str, outputs: tuple[Output, ...], lookback: int, *, family: str = "cycles"
) -> IndicatorSpec:
    """One of TA-Lib's functions on the Hilbert transform; none has parameters."""
    return IndicatorSpec(
        name=name,
        title=f"Hilbert Transform – {title}",
        family=family,
        description=description,
        inputs=("source",),
        params=(source(),),
        outputs=outputs,
        lookback=_rows(lookback),
        memory=_rows(HILBERT_MEMORY),
        references=(_ROCKET_SCIENCE, f"https://ta-lib.org/functions/{name}/"),
    )


def _rows(count: int) -> Callable[[Params], int]:
    return lambda _params: count


HT_DCPERIOD = _hilbert(
    "ht_dcperiod",
    "Dominant Cycle Period",
    "Length of the dominant cycle, from how fast the phase of the Hilbert transform turns, smoothed.",
    (Output("period", "Bars in one cycle; the transform sees 6 to 50.", BARS, low=5.0, high=50.0),),
    32,
)

HT_DCPHASE = _hilbert(
    "ht_dcphase",
    "Dominant Cycle Phase",
    "Where in the dominant cycle the price stands: the phase of the wave of its period that fits the smoothed price.",
    (Output("phase", "From -45 to 315 degrees.", DEGREES, low=-45.0, high=315.0),),
    63,
)

HT_PHASOR = _hilbert(
    "ht_phasor",
    "Phasor Components",
    "The price without its trend as a vector that turns once a cycle: the part in phase, and the part a quarter ahead.",
    (
        Output("inphase", "Component in phase with the cycle.", PRICE),
        Output("quadrature", "Component a quarter of a cycle ahead.", PRICE),
    ),
    32,
)

HT_SINE = _hilbert(
    "ht_sine",
    "SineWave",
    "Sine of the dominant cycle's phase, and the same an eighth of a cycle ahead: they cross at turning points.",
    (
        Output("sine", "Sine of the phase.", RATIO, low=-1.0, high=1.0),
        Output("lead_sine", "Sine of the phase plus 45 degrees.", RATIO, low=-1.0, high=1.0),
    ),
    63,
)

HT_TRENDLINE = _hilbert(
    "ht_trendline",
    "Instantaneous Trendline",
    "Mean of the prices of one dominant cycle, which leaves the trend without the cycle, smoothed over four bars.",
    (Output("trendline", "The trend without the cycle.", PRICE),),
    63,
    family="moving averages",
)

HT_TRENDMODE = _hilbert(
    "ht_trendmode",
    "Trend vs Cycle Mode",
    (
        "Whether the market trends: it does from half a cycle after sine and lead sine crossed unless the phase turns "
        "at the cycle's pace, and always where the price is 1.5 % or more from the trendline."
    ),
    (Output("trendmode", "1 in a trend, 0 in a cycle.", FLAG, low=0.0, high=1.0),),
    63,
)


def _limit(name: str, default: float, description: str) -> Param:
    return Param(name, "float", default, description, min=0.01, max=0.99)


def _fast_above_slow(p: Params) -> dict[str, str]:
    if float(p["fast_limit"]) >= float(p["slow_limit"]):
        return {}
    return {"fast_limit": f"{p['fast_limit']} is below slow_limit {p['slow_limit']}"}


MAMA = IndicatorSpec(
    name="mama",
    title="MESA Adaptive Moving Average",
    family="moving averages",
    description=(
        "An exponential average whose weight is the fast limit divided by the degrees the cycle's phase has turned, "
        "between both limits; and the same of the average with half the weight (the following average)."
    ),
    inputs=("source",),
    params=(
        _limit("fast_limit", 0.5, "Greatest weight of a new value."),
        _limit("slow_limit", 0.05, "Least weight of a new value."),
        source(),
    ),
    outputs=(
        Output("mama", "Adaptive average.", PRICE),
        Output("fama", "Following adaptive average.", PRICE),
    ),
    lookback=_rows(32),
    memory=lambda p: mama_memory(float(p["slow_limit"])),
    references=(_MAMA, "https://ta-lib.org/functions/mama/"),
    check=_fast_above_slow,
)

MSW = IndicatorSpec(
    name="msw",
    title="MESA Sine Wave",
    family="cycles",
    description=(
        "Sine of the phase of a cycle of `period` bars that fits the window best, and the same an eighth of a cycle "
        "ahead; 0 where the window has no such cycle."
    ),
    inputs=("source",),
    params=(period(5, what="Length of the cycle"), source()),
    outputs=(
        Output("sine", "Sine of the phase.", RATIO, low=-1.0, high=1.0, shift=0),
        Output("lead_sine", "Sine of the phase plus 45 degrees.", RATIO, low=-1.0, high=1.0, shift=0),
    ),
    lookback=lambda p: int(p["period"]) - 1,
    references=(
        "John F. Ehlers, Stay in Phase, Stocks & Commodities 14:11 (1996)",
        "https://tulipindicators.org/msw",
    ),
)

DSP = IndicatorSpec(
    name="dsp",
    title="Detrended Synthetic Price",
    family="cycles",
    description="The value less its exponential average: what is left when the trend is taken away.",
    inputs=("source",),
    params=(period(14, minimum=1, what="Length of the average"), source()),
    outputs=(Output("dsp", "Distance from the average.", PRICE, shift=0),),
    lookback=lambda p: int(p["period"]) - 1,
    memory=lambda p: ema_memory(int(p["period"])),
    references=(
        "John F. Ehlers, MESA and Trading Market Cycles (2002), who takes two averages",
        PANDAS_TA,
    ),
)

SPECS = (HT_DCPERIOD, HT_DCPHASE, HT_PHASOR, HT_SINE, HT_TRENDLINE, HT_TRENDMODE, MAMA, MSW, DSP)
