"""The series of `job`, as the request, TA-Lib and the table name them. Standard library alone."""

from dataclasses import dataclass

_OUTPUTS = {"macd": ("macd", "signal", "histogram"), "bbands": ("upper", "middle", "lower")}

GRIDS: dict[str, list[tuple[float, ...]]] = {
    "sma": [(5,), (10,), (20,), (50,), (100,), (200,)],
    "ema": [(5,), (10,), (20,), (50,), (100,), (200,)],
    "rsi": [(7,), (14,), (21,), (28,)],
    "macd": [(12, 26, 9), (8, 17, 9)],
    "bbands": [(10, 2.0), (20, 2.0)],
}
PARAMS = {"macd": ("fast_period", "slow_period", "signal_period"), "bbands": ("period", "multiplier")}


@dataclass(frozen=True, slots=True)
class OneSeries:
    indicator: str
    arguments: tuple[float, ...]

    @property
    def params(self) -> dict[str, float]:
        return dict(zip(PARAMS.get(self.indicator, ("period",)), self.arguments, strict=True))

    @property
    def columns(self) -> list[str]:
        label = "_".join([self.indicator, *(f"{value:g}" for value in self.arguments)])
        outputs = _OUTPUTS.get(self.indicator)
        return [label] if outputs is None else [f"{label}.{output}" for output in outputs]


SERIES = [OneSeries(indicator, arguments) for indicator, grid in GRIDS.items() for arguments in grid]
