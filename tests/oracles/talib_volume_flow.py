"""TA-Lib's functions of volume flow."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

_PERIOD = {"timeperiod": "period"}
_FAST_SLOW = {"fastperiod": "fast_period", "slowperiod": "slow_period"}
_GRID = tuple({"period": period} for period in (2, 3, 9, 50, 200))

CALLS: Mapping[str, Call] = {
    "ad": Call("AD"),
    "adosc": Call(
        "ADOSC",
        _FAST_SLOW,
        grid=tuple({"fast_period": fast, "slow_period": slow} for fast, slow in ((2, 3), (6, 20), (30, 200))),
    ),
    "obv": Call("OBV"),
    # TA-Lib subtracts what leaves the window, which leaves a residue where flows of both signs cancel.
    "cmf": Call("CMF", _PERIOD, grid=_GRID, measure=1.0),
    "efi": Call("EFI", _PERIOD, grid=({"period": 1}, *_GRID)),
    "marketfi": Call("MARKETFI"),
    "mfi": Call(
        "MFI",
        _PERIOD,
        ("high", "low", "close", "volume"),
        grid=_GRID,
        # TA-Lib subtracts what leaves the window: where one side's flow has all gone, its residue is left.
        measure=100.0,
    ),
    "nvi": Call("NVI"),
    "pvi": Call("PVI"),
    "pvt": Call("PVT"),
    "wad": Call("WAD"),
}
