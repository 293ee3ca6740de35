"""TA-Lib's channels."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

CALLS: Mapping[str, Call] = {
    "donchian": Call("DONCHIAN", {"timeperiod": "period"}, grid=tuple({"period": n} for n in (2, 3, 55, 200))),
    "kc": Call(
        "KC",
        {"timeperiod": "period", "atrperiod": "atr_period", "nbdev": "multiplier"},
        inputs=("high", "low", "close"),
        grid=(
            {"period": 2, "atr_period": 1},
            {"period": 10, "atr_period": 30},
            {"multiplier": 0.0},
            {"period": 200, "multiplier": 1.5},
        ),
        measure="close",  # a band may come close to zero
    ),
}
