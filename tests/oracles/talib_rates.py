"""TA-Lib's rates of change, and what it makes of them."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

CALLS: Mapping[str, Call] = {
    **{
        name: Call(name.upper(), {"timeperiod": "period"}, grid=tuple({"period": period} for period in (1, 2, 5, 100)))
        for name in ("mom", "roc", "rocp", "rocr", "rocr100")
    },
    "er": Call("ER", {"timeperiod": "period"}, grid=tuple({"period": period} for period in (2, 3, 25, 200))),
    "vhf": Call("VHF", {"timeperiod": "period"}, grid=tuple({"period": period} for period in (2, 3, 25, 200))),
    "trix": Call("TRIX", {"timeperiod": "period"}, grid=tuple({"period": period} for period in (1, 2, 5, 15, 100))),
    "coppock": Call(
        "COPPOCK",
        {"wmaperiod": "period", "roc1period": "fast_period", "roc2period": "slow_period"},
        grid=(
            {"period": 1, "fast_period": 1, "slow_period": 1},
            {"period": 3, "fast_period": 20, "slow_period": 5},
            {"period": 60, "fast_period": 11, "slow_period": 200},
        ),
    ),
}
