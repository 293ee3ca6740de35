"""TA-Lib's statistics."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

_WINDOW = {"timeperiod": "period"}
_GRID = tuple({"period": period} for period in (2, 3, 50, 200))
_LONGER = tuple({"period": period} for period in (5, 50, 200))
_OTHER = ({"source": "close", "source2": "volume"},)

CALLS: Mapping[str, Call] = {
    # TA-Lib's mean of equal prices may differ from them by the last digit; and its variance, a difference of
    # squares, is up to 3e-9 off the exact value, ours 6e-14.
    "avgdev": Call("AVGDEV", _WINDOW, grid=_GRID, measure="close"),
    "stddev": Call("STDDEV", {**_WINDOW, "nbdev": "multiplier"}, grid=(*_GRID, {"multiplier": 2.5}), measure="close"),
    "var": Call("VAR", _WINDOW, grid=_GRID, measure="close"),
    "percentile": Call(
        "PERCENTILE",
        {**_WINDOW, "percentile": "percentile"},
        grid=(*_GRID, *({"percentile": share} for share in (0.0, 0.1, 25.0, 90.0, 100.0))),
    ),
    "percentrank": Call("PERCENTRANK", _WINDOW, grid=_GRID),
    # Both from sums of raw squares: of windows of 3 rows TA-Lib is up to 2e-9 off the exact value, ours 4e-13; of 2
    # rows that are almost equal it returns noise.
    "beta": Call("BETA", _WINDOW, grid=(*_LONGER, *_OTHER), measure=1.0),
    "correl": Call("CORREL", _WINDOW, grid=(*_LONGER, *_OTHER), measure=1.0),
}
