"""Rows of extremes counted back from today, by pandas; the rest has TA-Lib as its oracle."""

import numpy as np
import pandas as pd
import pytest

from common.catalogue import CATALOGUE
from tests.oracles.bars import Series, walk
from worker import kernels

BARS = walk(300, 4, 23)
ROUNDED = {name: np.rint(series) for name, series in BARS.items()}
"""Whole numbers, many of them equal."""


def since(x: Series, period: int, *, greatest: bool) -> Series:
    """Rows since the last extreme of each window."""

    def of_window(window: Series) -> float:
        extreme = window.max() if greatest else window.min()
        return float(period - 1 - np.flatnonzero(window == extreme)[-1])

    found: Series = pd.DataFrame(x).rolling(period).apply(of_window, raw=True).to_numpy()
    return found


@pytest.mark.parametrize("period", [2, 7, 30])
@pytest.mark.parametrize("bars", [BARS, ROUNDED], ids=["walk", "ties"])
def test_bars_ago(bars: dict[str, Series], period: int) -> None:
    x = bars["close"]
    low, high = since(x, period, greatest=False), since(x, period, greatest=True)
    expected = {"minindex": [low], "maxindex": [high], "minmaxindex": [low, high]}
    for name, columns in expected.items():
        params = CATALOGUE[name].read_params({"period": period, "counted": "bars_ago"})
        for found, column in zip(kernels.run(name, [x], params), columns, strict=True):
            np.testing.assert_array_equal(found, column)
