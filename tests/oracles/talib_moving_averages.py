"""TA-Lib's moving averages."""

from collections.abc import Mapping

from common.catalogue.averages import MA_TYPES
from tests.oracles.talib_calls import Call

_PERIODS = tuple({"period": period} for period in (2, 3, 5, 14, 50, 200))
_KINDS = tuple({"ma_type": kind} for kind in MA_TYPES)

CALLS: Mapping[str, Call] = {
    **{
        name: Call(name.upper(), {"timeperiod": "period"}, grid=_PERIODS)
        for name in ("sma", "ema", "wma", "dema", "tema", "trima", "kama", "hma", "rma", "zlema")
    },
    "t3": Call(
        "T3",
        {"timeperiod": "period", "vfactor": "volume_factor"},
        grid=({"period": 2}, {"period": 30}, {"volume_factor": 0.0}, {"period": 9, "volume_factor": 1.0}),
    ),
    "ma": Call("MA", {"timeperiod": "period", "matype": "ma_type"}, grid=(*_KINDS, {"period": 1})),
    "mavp": Call(
        "MAVP",
        {"minperiod": "min_period", "maxperiod": "max_period", "matype": "ma_type"},
        grid=(
            *({**kind, "source2": "volume", "max_period": 12} for kind in _KINDS),
            {"min_period": 5, "max_period": 5},
            {"min_period": 40, "max_period": 1000, "source2": "open"},
        ),
    ),
}
