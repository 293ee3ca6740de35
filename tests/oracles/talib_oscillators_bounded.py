"""TA-Lib's oscillators with a scale of their own."""

from collections.abc import Mapping, Sequence
from typing import Any

from common.catalogue.averages import MA_TYPES
from tests.oracles.talib_calls import Call

_STOCH = {
    "fastk_period": "k_period",
    "slowk_period": "smooth_period",
    "slowk_matype": "smooth_ma_type",
    "slowd_period": "d_period",
    "slowd_matype": "d_ma_type",
}
_FAST = {"fastk_period": "k_period", "fastd_period": "d_period", "fastd_matype": "d_ma_type"}
_Grid = Sequence[Mapping[str, Any]]
_KINDS: _Grid = tuple({"d_ma_type": kind, "d_period": 5} for kind in MA_TYPES)
_STOCH_GRID: _Grid = (
    {"k_period": 1, "smooth_period": 1, "d_period": 1},
    {"k_period": 2, "smooth_period": 5, "d_period": 2},
    {"k_period": 55, "smooth_period": 21, "d_period": 13},
    *({"smooth_ma_type": kind, "smooth_period": 4, "d_ma_type": kind} for kind in MA_TYPES),
)

_SCALE = 100.0
"""Differences that come close to zero are measured against the scale: TA-Lib takes their terms from running sums."""

CALLS: Mapping[str, Call] = {
    "stoch": Call("STOCH", _STOCH, grid=_STOCH_GRID, measure=_SCALE),
    "stochf": Call("STOCHF", _FAST, grid=({"k_period": 1, "d_period": 1}, {"k_period": 100, "d_period": 30}, *_KINDS)),
    "stochrsi": Call(
        "STOCHRSI",
        {"timeperiod": "period", **_FAST},
        grid=(
            {"period": 2, "k_period": 1, "d_period": 1},
            {"period": 2, "k_period": 2, "d_period": 2},
            {"k_period": 5},
            {"period": 50, "k_period": 80, "d_period": 10},
            # Not kama and mama: what they adapt to is made of last bits where the RSI stays at an end of its range.
            *(given for given in _KINDS if given["d_ma_type"] not in {"kama", "mama"}),
        ),
        measure=_SCALE,
    ),
    "kdj": Call("KDJ", _STOCH, grid=_STOCH_GRID, measure=_SCALE),
    "willr": Call("WILLR", {"timeperiod": "period"}, grid=tuple({"period": n} for n in (2, 3, 50, 300))),
    "cmo": Call("CMO", {"timeperiod": "period"}, grid=tuple({"period": n} for n in (2, 5, 50, 200))),
    "cmou": Call("CMOU", {"timeperiod": "period"}, grid=tuple({"period": n} for n in (2, 5, 50, 200)), measure=_SCALE),
    "ultosc": Call(
        "ULTOSC",
        {"timeperiod1": "fast_period", "timeperiod2": "medium_period", "timeperiod3": "slow_period"},
        grid=tuple(
            dict(zip(("fast_period", "medium_period", "slow_period"), lengths, strict=True))
            for lengths in ((1, 2, 3), (1, 1, 1), (28, 14, 7), (5, 13, 34), (10, 100, 200))
        ),
    ),
    "smi": Call(
        "SMI",
        {
            "timeperiod": "period",
            "fastperiod": "fast_period",
            "slowperiod": "slow_period",
            "signalperiod": "signal_period",
        },
        grid=(
            {"period": 2, "fast_period": 2, "slow_period": 2, "signal_period": 2},
            {"period": 5, "fast_period": 3, "slow_period": 3, "signal_period": 3},
            {"period": 50, "fast_period": 20, "slow_period": 40, "signal_period": 30},
        ),
    ),
}
