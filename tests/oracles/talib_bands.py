"""TA-Lib's bands."""

from collections.abc import Mapping

from common.catalogue.averages import MA_TYPES
from tests.oracles.talib_calls import Call

CALLS: Mapping[str, Call] = {
    "bbands": Call(
        "BBANDS",
        {"timeperiod": "period", "nbdevup": "multiplier", "nbdevdn": "multiplier", "matype": "ma_type"},
        grid=(
            *({"period": period} for period in (2, 5, 50, 200)),
            {"multiplier": 2.5},
            *({"ma_type": kind} for kind in MA_TYPES if kind != "sma"),
            {"period": 50, "ma_type": "mama"},
        ),
        # TA-Lib takes the variance as a difference of squares.
        measure="close",
    ),
    "accbands": Call("ACCBANDS", {"timeperiod": "period"}, grid=tuple({"period": n} for n in (2, 3, 50, 200))),
}
