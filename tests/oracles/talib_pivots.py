"""TA-Lib's fractals."""

from collections.abc import Mapping

from tests.oracles.talib_calls import Call

CALLS: Mapping[str, Call] = {
    "fractal": Call(
        "FRACTAL",
        {"leftbars": "left_bars", "rightbars": "right_bars"},
        grid=tuple(
            {"left_bars": left, "right_bars": right} for left, right in ((1, 1), (5, 1), (1, 4), (10, 10), (100, 60))
        ),
    ),
}
