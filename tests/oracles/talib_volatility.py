"""TA-Lib's volatility."""

from collections.abc import Mapping
from typing import Any

from tests.oracles.talib_calls import Call

_PERIOD = {"timeperiod": "period"}


def _periods(*lengths: int) -> tuple[Mapping[str, Any], ...]:
    return tuple({"period": length} for length in lengths)


CALLS: Mapping[str, Call] = {
    "trange": Call("TRANGE"),
    "atr": Call("ATR", _PERIOD, grid=_periods(1, 2, 50, 200)),
    "natr": Call("NATR", _PERIOD, grid=_periods(2, 50, 200)),
    "adr": Call("ADR", _PERIOD, grid=_periods(1, 2, 50, 200)),
    "cvi": Call(
        "CVI",
        {"timeperiod": "period", "rocperiod": "change_period"},
        grid=(
            {"period": 2, "change_period": 1},
            {"period": 50},
            {"change_period": 40},
            {"period": 3, "change_period": 7},
        ),
        measure=100.0,  # percent of the average range: a difference of averages that may be equal
    ),
    "massi": Call(
        "MASSI",
        {"fastperiod": "fast_period", "slowperiod": "slow_period"},
        grid=(
            {"fast_period": 2, "slow_period": 2},
            {"fast_period": 30, "slow_period": 10},
            {"slow_period": 100},
            {"fast_period": 3},
        ),
    ),
    "rvi": Call(
        "RVI",
        {"timeperiod": "period", "stddevperiod": "deviation_period"},
        grid=(
            {"period": 1, "deviation_period": 2},
            {"period": 2, "deviation_period": 50},
            {"deviation_period": 3},
            {"period": 100},
        ),
    ),
}
