"""Bands and channels."""

from collections.abc import Sequence

import numpy as np

from common.catalogue.spec import Params
from worker.kernels.primitives import Panel, rolling_moments


def bbands(inputs: Sequence[Panel], params: Params, outputs: Sequence[Panel]) -> None:
    """Bollinger Bands of the population standard deviation (TA-Lib BBANDS with simple averages)."""
    upper, middle, lower = outputs
    width = upper
    rolling_moments(inputs[0], int(params["period"]), middle, width)
    width *= float(params["multiplier"])
    np.subtract(middle, width, out=lower)
    np.add(middle, width, out=upper)
