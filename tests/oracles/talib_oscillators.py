"""TA-Lib's oscillators without bounds."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

CALLS: Mapping[str, Call] = {
    "cci": Call(
        "CCI",
        {"timeperiod": "period"},
        inputs=("high", "low", "close"),
        grid=tuple({"period": n} for n in (2, 3, 14, 100)),
    ),
    "dpo": Call(
        "DPO", {"timeperiod": "period"}, grid=tuple({"period": n} for n in (2, 3, 4, 21, 200)), measure="close"
    ),
    # A difference of nearly equal prices; TA-Lib takes the line from running sums.
    "fosc": Call("FOSC", {"timeperiod": "period"}, grid=tuple({"period": n} for n in (2, 3, 14, 100)), measure=1.0),
}
