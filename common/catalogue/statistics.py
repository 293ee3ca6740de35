"""Statistics of windows, and how two series move together."""

from common.catalogue.params import multiplier, period, source, source2
from common.catalogue.references import PANDAS_TA
from common.catalogue.spec import IndicatorSpec, Output, Param, Params
from common.catalogue.units import PERCENT, POINTS, PRICE, PRICE_SQUARED, RATIO

_FAMILY = "statistics"
_TALIB = "https://ta-lib.org/functions/{}/"
_STOCK_INDICATORS = "https://dotnet.stockindicators.dev/indicators/{}/"


def _window(p: Params) -> int:
    return int(p["period"]) - 1


def _changes(p: Params) -> int:
    """`period` changes need one value more."""
    return int(p["period"])


def deviation_convention(default: str = "population") -> Param:
    """What the squares of a variance are divided by."""
    text = "Divide the squares by their number (population) or by one less (sample)."
    return Param("convention", "choice", default, text, choices=("population", "sample"))


_CONVENTION = deviation_convention()

AVGDEV = IndicatorSpec(
    name="avgdev",
    title="Average Deviation",
    family=_FAMILY,
    description="The mean distance of the last `period` values from their mean.",
    inputs=("source",),
    params=(period(14), source()),
    outputs=(Output("avgdev", "Mean distance from the mean.", PRICE, low=0.0, shift=0),),
    lookback=_window,
    references=(_TALIB.format("avgdev"),),
    aliases=("md", "mad"),
)

STDDEV = IndicatorSpec(
    name="stddev",
    title="Standard Deviation",
    family=_FAMILY,
    description="The standard deviation of the last `period` values, of the population by default.",
    inputs=("source",),
    params=(period(5), multiplier(1.0, what="How many deviations"), _CONVENTION, source()),
    outputs=(Output("stddev", "Standard deviation times the multiplier.", PRICE, low=0.0, shift=0),),
    lookback=_window,
    references=(_TALIB.format("stddev"),),
    aliases=("stdev",),
)

VAR = IndicatorSpec(
    name="var",
    title="Variance",
    family=_FAMILY,
    description="The variance of the last `period` values, of the population by default.",
    inputs=("source",),
    params=(period(5), _CONVENTION, source()),
    outputs=(Output("var", "Variance.", PRICE_SQUARED, low=0.0, shift=0),),
    lookback=_window,
    references=(_TALIB.format("var"),),
    aliases=("variance",),
)

STDERR = IndicatorSpec(
    name="stderr",
    title="Standard Error",
    family=_FAMILY,
    description=(
        "The standard error of the mean: the standard deviation, of the population by default, "
        "over the square root of `period`."
    ),
    inputs=("source",),
    params=(period(14), _CONVENTION, source()),
    outputs=(Output("stderr", "Standard error of the mean.", PRICE, low=0.0, shift=0),),
    lookback=_window,
    references=("https://tulipindicators.org/stderr", PANDAS_TA),
)

Z_SCORE = IndicatorSpec(
    name="z_score",
    title="Z-Score",
    family=_FAMILY,
    description=(
        "How many standard deviations, of the population by default, the value lies from the mean of the window; "
        "0 where nothing moved."
    ),
    inputs=("source",),
    params=(period(30), _CONVENTION, source()),
    outputs=(Output("z_score", "Distance from the mean in standard deviations.", RATIO, shift=0),),
    lookback=_window,
    references=(PANDAS_TA, _STOCK_INDICATORS.format("StdDev")),
    aliases=("zscore",),
)

SKEW = IndicatorSpec(
    name="skew",
    title="Skewness",
    family=_FAMILY,
    description=(
        "Which tail of the window's values is the longer one, as the adjusted Fisher-Pearson coefficient of a sample; "
        "0 where nothing moved."
    ),
    inputs=("source",),
    params=(period(30, minimum=3), source()),
    outputs=(Output("skew", "Above 0 when the upper tail is the longer one.", RATIO, shift=0),),
    lookback=_window,
    references=("D. N. Joanes and C. A. Gill, Comparing Measures of Sample Skewness and Kurtosis (1998)", PANDAS_TA),
)

KURTOSIS = IndicatorSpec(
    name="kurtosis",
    title="Kurtosis",
    family=_FAMILY,
    description=(
        "How heavy the tails of the window's values are, as the excess over a normal distribution, of a sample; "
        "0 where nothing moved."
    ),
    inputs=("source",),
    params=(period(30, minimum=4), source()),
    outputs=(Output("kurtosis", "0 for a normal distribution, above it for heavier tails.", RATIO, shift=0),),
    lookback=_window,
    references=("D. N. Joanes and C. A. Gill, Comparing Measures of Sample Skewness and Kurtosis (1998)", PANDAS_TA),
)

ENTROPY = IndicatorSpec(
    name="entropy",
    title="Entropy",
    family=_FAMILY,
    description=(
        "Shannon's entropy of the last `period` values as shares of their sum: log2(period) when all are equal, "
        "less the more they differ; no value where one is below 0 or all are 0."
    ),
    inputs=("source",),
    params=(period(10), source()),
    outputs=(Output("entropy", "Entropy in bits.", POINTS, low=0.0, gaps=True),),
    lookback=_window,
    references=("Claude E. Shannon, A Mathematical Theory of Communication (1948)", PANDAS_TA),
)

SMA_ANALYSIS = IndicatorSpec(
    name="sma_analysis",
    title="Simple Moving Average with Deviations",
    family=_FAMILY,
    description="The mean of the last `period` values, and how far they lie from it by three measures.",
    inputs=("source",),
    params=(period(20), source()),
    outputs=(
        Output("sma", "Mean of the window.", PRICE, shift=1),
        Output("mad", "Mean absolute deviation: the mean distance.", PRICE, low=0.0, shift=0),
        Output("mse", "Mean squared error: the mean of the squared distances.", PRICE_SQUARED, low=0.0, shift=0),
        Output(
            "mape",
            "Mean absolute percentage error: the mean distance as a share of the value; none where a value is 0.",
            RATIO,
            gaps=True,
        ),
    ),
    lookback=_window,
    references=(_STOCK_INDICATORS.format("SmaAnalysis"),),
)

PERCENTILE = IndicatorSpec(
    name="percentile",
    title="Percentile",
    family=_FAMILY,
    description=(
        "The value that a share of the last `period` values does not exceed; nearest (the default) is always one of "
        "them, linear may lie between two. Elsewhere a `quantile` of 0.25 is a `percentile` of 25 with linear."
    ),
    inputs=("source",),
    params=(
        period(30),
        Param("percentile", "float", 50.0, "Share of the window, in percent.", min=0.0, max=100.0, unit="%"),
        Param(
            "convention",
            "choice",
            "nearest",
            "The value at the rank rounded up (nearest), or between its neighbours (linear).",
            choices=("nearest", "linear"),
        ),
        source(),
    ),
    outputs=(Output("percentile", "Percentile of the window.", PRICE, shift=1),),
    lookback=_window,
    references=(_TALIB.format("percentile"),),
    aliases=("quantile",),
)

MEDIAN = IndicatorSpec(
    name="median",
    title="Median",
    family=_FAMILY,
    description="The value in the middle of the last `period` values, or the mean of the two in the middle.",
    inputs=("source",),
    params=(period(30), source()),
    outputs=(Output("median", "Median of the window.", PRICE, shift=1),),
    lookback=_window,
    references=(PANDAS_TA,),
)

PERCENTRANK = IndicatorSpec(
    name="percentrank",
    title="Percent Rank",
    family=_FAMILY,
    description="How many of the `period` values before lie below the value, in percent.",
    inputs=("source",),
    params=(period(100), source()),
    outputs=(Output("percentrank", "Share of lower values.", PERCENT, low=0.0, high=100.0, shift=0),),
    lookback=_changes,
    references=(_TALIB.format("percentrank"),),
)

BETA = IndicatorSpec(
    name="beta",
    title="Beta",
    family=_FAMILY,
    description=(
        "How strongly the second series moves when the first does: the slope of the line of least squares through "
        "the last `period` relative changes of both; 0 where the first one's do not vary."
    ),
    inputs=("source", "source2"),
    params=(
        period(5, what="Number of changes"),
        source("high", what="The series that leads"),
        source2("low", "The series that follows"),
    ),
    outputs=(Output("beta", "Change of the second series per change of the first.", RATIO),),
    lookback=_changes,
    references=(_TALIB.format("beta"),),
)

CORREL = IndicatorSpec(
    name="correl",
    title="Correlation Coefficient",
    family=_FAMILY,
    description=(
        "How closely two series lie to a straight line in the window, by Pearson's coefficient; "
        "0 where one of them does not vary."
    ),
    inputs=("source", "source2"),
    params=(period(30), source("high", what="The first series"), source2("low")),
    outputs=(
        Output(
            "correl", "From -1 (opposite) over 0 (no relation) to 1 (the same).", RATIO, low=-1.0, high=1.0, shift=0
        ),
    ),
    lookback=_window,
    references=(_TALIB.format("correl"),),
    aliases=("correlation",),
)

HURST = IndicatorSpec(
    name="hurst",
    title="Hurst Exponent",
    family=_FAMILY,
    description=(
        "Whether moves go on (above 0.5) or turn back (below): the slope of the rescaled range of the last `period` "
        "logarithmic changes over the length of the parts they are cut into, on logarithmic scales; "
        "no value where a part does not move."
    ),
    inputs=("source",),
    params=(period(100, minimum=20, what="Number of changes"), source()),
    outputs=(
        Output("hurst", "Exponent of the rescaled range.", RATIO, gaps=True),
        Output("corrected", "The same, the bias of short parts taken out (Anis and Lloyd).", RATIO, gaps=True),
    ),
    lookback=_changes,
    references=(
        "H. E. Hurst, Long-Term Storage Capacity of Reservoirs (1951)",
        "A. A. Anis and E. H. Lloyd, The Expected Value of the Adjusted Rescaled Hurst Range (1976)",
        _STOCK_INDICATORS.format("Hurst"),
    ),
)

SPECS = (
    AVGDEV,
    STDDEV,
    VAR,
    STDERR,
    Z_SCORE,
    SKEW,
    KURTOSIS,
    ENTROPY,
    SMA_ANALYSIS,
    PERCENTILE,
    MEDIAN,
    PERCENTRANK,
    BETA,
    CORREL,
    HURST,
)
