"""Regressions against numpy's polyfit, window by window."""

import numpy as np
import pandas as pd
import pytest

from common.catalogue import CATALOGUE
from tests.oracles.bars import Series, walk
from worker import kernels

BARS = walk(160, 3, 31)
X = BARS["close"]


def r_squared(window: Series) -> float:
    """1 minus the sum of squares around the line over the one around the mean."""
    rows = np.arange(len(window))
    rest = window - np.polyval(np.polyfit(rows, window, 1), rows)
    return float(1 - (rest**2).sum() / ((window - window.mean()) ** 2).sum())


@pytest.mark.parametrize("period", [3, 14, 50])
def test_r_squared(period: int) -> None:
    (found,) = kernels.run("r_squared", [X], CATALOGUE["r_squared"].read_params({"period": period}))
    expected = pd.DataFrame(X).rolling(period).apply(r_squared, raw=True)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("period", [1, 10])
def test_slope(period: int) -> None:
    """As pandas-ta: `close.diff(length) / length`."""
    (found,) = kernels.run("slope", [X], CATALOGUE["slope"].read_params({"period": period}))
    np.testing.assert_allclose(found, pd.DataFrame(X).diff(period) / period, rtol=1e-12)


def test_a_straight_line_is_its_own_regression() -> None:
    x = 5.0 + 0.25 * np.arange(60, dtype=np.float64)[:, None]
    expected = {"linearreg": x, "tsf": x + 0.25, "linearreg_intercept": x - 13 * 0.25, "linearreg_slope": x * 0 + 0.25}
    for name, values in {**expected, "r_squared": x * 0 + 1}.items():
        (found,) = kernels.run(name, [x], CATALOGUE[name].defaults)
        np.testing.assert_allclose(found[13:], values[13:], rtol=1e-14)
