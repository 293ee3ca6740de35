"""TA-Lib's stops."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

CALLS: Mapping[str, Call] = {
    "sar": Call(
        "SAR",
        {"acceleration": "acceleration", "maximum": "maximum"},
        grid=(
            {"acceleration": 0.01, "maximum": 0.1},
            {"acceleration": 0.1, "maximum": 0.1},
            {"acceleration": 0.3, "maximum": 0.2},
            {"acceleration": 0.0, "maximum": 0.0},
            {"acceleration": 1.0, "maximum": 1.0},
        ),
    ),
    "sarext": Call(
        "SAREXT",
        {
            "startvalue": "start_value",
            "offsetonreverse": "offset_on_reverse",
            **{
                f"acceleration{what}{side}": f"acceleration_{what}{'_' if what else ''}{side}"
                for side in ("long", "short")
                for what in ("init", "", "max")
            },
        },
        grid=(
            {"start_value": 100.0, "offset_on_reverse": 0.01},
            {"start_value": -5000.0, "offset_on_reverse": 0.05},
            {"acceleration_init_long": 0.05, "acceleration_long": 0.01, "acceleration_max_long": 0.5},
            {"acceleration_init_short": 0.5, "acceleration_short": 0.3, "acceleration_max_short": 0.1},
        ),
    ),
    "supertrend": Call(
        "SUPERTREND",
        {"timeperiod": "period", "multiplier": "multiplier"},
        grid=(
            {"period": 2, "multiplier": 1.0},
            {"period": 7, "multiplier": 0.5},
            {"period": 14, "multiplier": 2.0},
            {"period": 100, "multiplier": 10.0},
            {"multiplier": 0.0},
        ),
    ),
}
