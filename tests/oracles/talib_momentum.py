"""TA-Lib's momentum indicators."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.catalogue.averages import MA_TYPES
from tests.oracles.talib_calls import Call

_TWO = {"fastperiod": "fast_period", "slowperiod": "slow_period"}
_THREE = {**_TWO, "signalperiod": "signal_period"}

_LENGTHS: Sequence[Mapping[str, Any]] = (
    {"fast_period": 2, "slow_period": 3},
    {"fast_period": 5, "slow_period": 35},
    {"fast_period": 30, "slow_period": 200},
)
_SIGNALS: Sequence[Mapping[str, Any]] = (
    {"fast_period": 2, "slow_period": 3, "signal_period": 1},
    {"fast_period": 5, "slow_period": 35, "signal_period": 5},
    {"fast_period": 19, "slow_period": 39, "signal_period": 20},
)
_KINDS: Sequence[Mapping[str, Any]] = tuple({"ma_type": kind} for kind in MA_TYPES)


def _periods(*periods: int) -> Sequence[Mapping[str, Any]]:
    return tuple({"period": period} for period in periods)


CALLS: Mapping[str, Call] = {
    "rsi": Call("RSI", {"timeperiod": "period"}, grid=_periods(2, 3, 7, 50, 200)),
    "imi": Call("IMI", {"timeperiod": "period"}, grid=_periods(2, 3, 7, 50, 200)),
    "macd": Call("MACD", _THREE, grid=_SIGNALS),
    "macdfix": Call("MACDFIX", {"signalperiod": "signal_period"}, grid=[{"signal_period": n} for n in (1, 2, 30)]),
    "macdext": Call(
        "MACDEXT",
        {
            **_THREE,
            "fastmatype": "fast_ma_type",
            "slowmatype": "slow_ma_type",
            "signalmatype": "signal_ma_type",
        },
        grid=(
            *_SIGNALS,
            *({"fast_ma_type": kind, "slow_ma_type": kind, "signal_ma_type": kind} for kind in MA_TYPES),
            {"fast_ma_type": "t3", "slow_ma_type": "wma", "signal_ma_type": "ema"},
            {"fast_ma_type": "kama", "slow_ma_type": "sma", "signal_ma_type": "trima"},
        ),
        # TA-Lib subtracts what has left a window from running sums of prices.
        measure="close",
    ),
    "apo": Call("APO", {**_TWO, "matype": "ma_type"}, grid=(*_LENGTHS, *_KINDS), measure="close"),
    # In percent of the price.
    "ppo": Call("PPO", {**_TWO, "matype": "ma_type"}, grid=(*_LENGTHS, *_KINDS), measure=100.0),
    "ao": Call("AO", _TWO, ("high", "low"), grid=_LENGTHS, measure="close"),
    "ac": Call("AC", _THREE, ("high", "low"), grid=[{**one, "signal_period": 2} for one in _LENGTHS], measure="close"),
    "tsi": Call(
        "TSI",
        {"firstperiod": "period", "secondperiod": "smooth_period"},
        grid=({"period": 2, "smooth_period": 2}, {"period": 5, "smooth_period": 40}, {"period": 100}),
    ),
    "eri": Call("ERI", {"timeperiod": "period"}, grid=_periods(2, 3, 30, 200)),
    "bop": Call("BOP"),
    "qstick": Call("QSTICK", {"timeperiod": "period"}, grid=_periods(1, 2, 5, 200), measure="close"),
}
