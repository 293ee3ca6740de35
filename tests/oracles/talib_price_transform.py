"""TA-Lib's price transforms."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

_GRID = tuple({"period": period} for period in (2, 5, 50, 200))

CALLS: Mapping[str, Call] = {
    "avgprice": Call("AVGPRICE"),
    "medprice": Call("MEDPRICE"),
    "typprice": Call("TYPPRICE"),
    "wclprice": Call("WCLPRICE"),
    "midpoint": Call("MIDPOINT", {"timeperiod": "period"}, grid=_GRID),
    "midprice": Call("MIDPRICE", {"timeperiod": "period"}, grid=_GRID),
    "ha": Call("HA"),
}
