"""Signs of a trend."""

from common.catalogue.averages import ma_lookback, ma_memory
from common.catalogue.params import fast_below_slow, ma_type, period, source
from common.catalogue.references import CARTER
from common.catalogue.spec import IndicatorSpec, Output, Params
from common.catalogue.units import BARS, FLAG

_AVERAGES = ("fast_period", "slow_period")


def _amat_lookback(p: Params) -> int:
    return max(ma_lookback(str(p["ma_type"]), int(p[name])) for name in _AVERAGES) + int(p["run_period"])


def _amat_memory(p: Params) -> int:
    return max(ma_memory(str(p["ma_type"]), int(p[name])) for name in _AVERAGES)


AMAT = IndicatorSpec(
    name="amat",
    title="Archer Moving Averages Trends",
    family="trend",
    description=(
        "Whether the fast average has risen or fallen over `run_period` bars; 0 where it has done neither or the slow "
        "average has not moved."
    ),
    inputs=("source",),
    params=(
        period(8, name="fast_period", what="Length of the fast average"),
        period(21, name="slow_period", what="Length of the slow average"),
        period(2, name="run_period", minimum=1, what="How far back the averages are compared"),
        ma_type("ema"),
        source(),
    ),
    outputs=(Output("amat", "1 a long run, -1 a short run, else 0.", FLAG, low=-1.0, high=1.0, shift=0),),
    lookback=_amat_lookback,
    memory=_amat_memory,
    references=("https://www.tradingview.com/script/nhQe8QJ0-Archer-Moving-Averages-Trends/",),
    check=fast_below_slow,
)

TTM_TREND = IndicatorSpec(
    name="ttm_trend",
    title="TTM Trend",
    family="trend",
    description="Whether the close lies above or below the mean of the last `period` bars' middles (high + low) / 2.",
    inputs=("close", "hl2"),
    params=(period(6, minimum=1),),
    outputs=(Output("ttm_trend", "1 above, -1 below, 0 at the mean.", FLAG, low=-1.0, high=1.0, shift=0),),
    lookback=lambda p: int(p["period"]) - 1,
    references=(CARTER,),
)

_LONGEST = 13

TD_SEQ = IndicatorSpec(
    name="td_seq",
    title="TD Sequential Setup",
    family="trend",
    description=(
        "How many bars in a row the value has been above, or below, that of four bars before. The ninth completes a "
        f"setup; the count ends at {_LONGEST}."
    ),
    inputs=("source",),
    params=(source(),),
    outputs=(
        Output("up", "Bars in a row above, a sell setup.", BARS, low=0.0, high=_LONGEST, shift=0),
        Output("down", "Bars in a row below, a buy setup.", BARS, low=0.0, high=_LONGEST, shift=0),
    ),
    lookback=lambda _p: 4,
    memory=lambda _p: _LONGEST - 1,
    references=("Thomas R. DeMark, The New Science of Technical Analysis (1994)",),
)

SPECS = (AMAT, TTM_TREND, TD_SEQ)
