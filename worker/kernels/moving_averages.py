"""Moving averages."""

from collections.abc import Sequence

from common.catalogue.spec import Params
from worker.kernels.primitives import Panel, exponential_average, rolling_mean


def sma(inputs: Sequence[Panel], params: Params, outputs: Sequence[Panel]) -> None:
    """Simple moving average (TA-Lib SMA)."""
    rolling_mean(inputs[0], int(params["period"]), outputs[0])


def ema(inputs: Sequence[Panel], params: Params, outputs: Sequence[Panel]) -> None:
    """Exponential moving average, seeded with the mean of the first window (TA-Lib EMA)."""
    period = int(params["period"])
    exponential_average(inputs[0], period - 1, period, outputs[0])
