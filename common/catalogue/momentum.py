"""Momentum indicators."""

from common.catalogue.params import period, source
from common.catalogue.spec import IndicatorSpec, Output, Params
from common.catalogue.stability import rows_to_forget
from common.tiers import TierName

RSI = IndicatorSpec(
    name="rsi",
    title="Relative Strength Index",
    family="momentum",
    tier=TierName.PRO,
    description=(
        "Share of the gains in all movement, both smoothed by Wilder's average (each value moves it by 1 / period); "
        "0 when nothing moved."
    ),
    inputs=("source",),
    params=(period(14), source()),
    outputs=(Output("rsi", "From 0 (only losses) to 100 (only gains)."),),
    lookback=lambda p: int(p["period"]),
    stable_period=lambda p: int(p["period"]) + rows_to_forget(1 / int(p["period"])),
    references=(
        "J. Welles Wilder, New Concepts in Technical Trading Systems (1978)",
        "https://ta-lib.org/functions/rsi/",
    ),
)


def _macd_lookback(p: Params) -> int:
    return int(p["slow_period"]) - 1 + int(p["signal_period"]) - 1


def _fast_below_slow(p: Params) -> dict[str, str]:
    fast, slow = p["fast_period"], p["slow_period"]
    return {} if int(fast) < int(slow) else {"fast_period": f"{fast} is not below slow_period {slow}"}


MACD = IndicatorSpec(
    name="macd",
    title="Moving Average Convergence/Divergence",
    family="momentum",
    tier=TierName.PRO,
    description=(
        "Distance of a fast from a slow exponential average, its own exponential average (the signal), "
        "and the difference of the two. Both averages start at the slow one's first full window."
    ),
    inputs=("source",),
    params=(
        period(12, name="fast_period", what="Length of the fast average"),
        period(26, name="slow_period", what="Length of the slow average"),
        period(9, name="signal_period", minimum=1, what="Length of the signal's average"),
        source(),
    ),
    outputs=(
        Output("macd", "Fast minus slow average, in units of the source."),
        Output("signal", "Exponential average of `macd`."),
        Output("histogram", "`macd` minus `signal`."),
    ),
    lookback=_macd_lookback,
    stable_period=lambda p: (
        _macd_lookback(p)
        + rows_to_forget(2 / (int(p["slow_period"]) + 1))
        + rows_to_forget(2 / (int(p["signal_period"]) + 1))
    ),
    references=(
        "Gerald Appel, The Moving Average Convergence-Divergence Trading Method (1979)",
        "https://ta-lib.org/functions/macd/",
    ),
    check=_fast_below_slow,
)

SPECS = (RSI, MACD)
