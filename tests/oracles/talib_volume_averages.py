"""TA-Lib's averages weighted by volume, and averages of volume."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

_PERIOD = {"timeperiod": "period"}

CALLS: Mapping[str, Call] = {
    "vwma": Call("VWMA", _PERIOD, grid=tuple({"period": period} for period in (2, 3, 9, 50, 200))),
    "vwap": Call("VWAP", inputs=("high", "low", "close", "volume"), grid=({"anchor": "1999-12-31"},)),
    "pvo": Call(
        "PVO",
        {"fastperiod": "fast_period", "slowperiod": "slow_period", "matype": "ma_type"},
        grid=(
            {"fast_period": 2, "slow_period": 3},
            {"fast_period": 5, "slow_period": 50, "ma_type": "sma"},
            {"fast_period": 3, "slow_period": 10, "ma_type": "wma"},
            {"fast_period": 30, "slow_period": 100},
            {"ma_type": "dema"},
            {"ma_type": "kama"},
        ),
    ),
    "rvol": Call("RVOL", _PERIOD, grid=tuple({"period": period} for period in (1, 2, 9, 50, 200))),
}
