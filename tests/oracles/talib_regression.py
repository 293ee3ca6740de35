"""TA-Lib's regressions."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

_WINDOW = {"timeperiod": "period"}
_GRID = tuple({"period": period} for period in (2, 3, 50, 300))

CALLS: Mapping[str, Call] = {
    "linearreg": Call("LINEARREG", _WINDOW, grid=_GRID),
    "linearreg_intercept": Call("LINEARREG_INTERCEPT", _WINDOW, grid=_GRID),
    "tsf": Call("TSF", _WINDOW, grid=_GRID),
    # TA-Lib multiplies sums of prices, so of a level line there remain the last digits of the price: it is 4 to 250
    # times as far from the exact slope as ours.
    "linearreg_slope": Call("LINEARREG_SLOPE", _WINDOW, grid=_GRID, measure="close"),
    "linearreg_angle": Call("LINEARREG_ANGLE", _WINDOW, grid=_GRID, measure=90.0),
}
