"""TA-Lib's directional movement, Aroon and vortex."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

_PERIOD = {"timeperiod": "period"}
_BARS = ("high", "low", "close")


def _periods(*periods: int) -> tuple[dict[str, int], ...]:
    return tuple({"period": period} for period in periods)


CALLS: Mapping[str, Call] = {
    **{name: Call(name.upper(), _PERIOD, grid=_periods(1, 2, 3, 25, 200)) for name in ("plus_dm", "minus_dm")},
    # A period of 1 is left out: TA-Lib does not take it times 100.
    **{name: Call(name.upper(), _PERIOD, grid=_periods(2, 3, 25, 200)) for name in ("plus_di", "minus_di")},
    # TA-Lib takes the close too, for a true range that cancels.
    **{name: Call(name.upper(), _PERIOD, _BARS, grid=_periods(2, 3, 25, 200)) for name in ("dx", "adx", "adxr")},
    **{name: Call(name.upper(), _PERIOD, grid=_periods(2, 3, 25, 200)) for name in ("aroon", "aroonosc")},
    "vortex": Call("VORTEX", _PERIOD, grid=_periods(2, 3, 25, 200)),
}
