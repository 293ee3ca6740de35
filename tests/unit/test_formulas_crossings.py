"""Crossings and directions against the rules of tulip and pandas-ta, written with pandas."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.catalogue import CATALOGUE
from tests.oracles.bars import walk
from worker import kernels

BARS = {name: np.rint(series) for name, series in walk(200, 4, 29).items()}
"""Whole numbers: many touch, many stand still."""
X, Y = pd.DataFrame(BARS["close"]), pd.DataFrame(BARS["open"])


def crossover(x: pd.DataFrame, y: pd.DataFrame) -> pd.DataFrame:
    """As tulip has it: a[i] > b[i] and a[i-1] <= b[i-1]."""
    return (x > y) & (x.shift() <= y.shift())


def strict(moved: pd.DataFrame, period: int) -> pd.DataFrame:
    return moved.astype(float).rolling(period).sum() == period


Formula = Callable[[int], pd.DataFrame]

FORMULAS: dict[str, tuple[dict[str, Any], Formula]] = {
    "crossover": ({}, lambda _: crossover(X, Y)),
    "crossunder": ({}, lambda _: crossover(Y, X)),
    "crossany": ({}, lambda _: crossover(X, Y) | crossover(Y, X)),
    "increasing": ({}, lambda n: X.diff(n) > 0),
    "decreasing": ({}, lambda n: X.diff(n) < 0),
    "increasing strict": ({"strict": True}, lambda n: strict(X.diff() > 0, n)),
    "decreasing strict": ({"strict": True}, lambda n: strict(X.diff() < 0, n)),
    # pandas-ta: fast increasing and slow decreasing, or both increasing; and the reverse.
    "long_run": ({}, lambda n: ((X.diff(n) > 0) & (Y.diff(n) < 0)) | ((X.diff(n) > 0) & (Y.diff(n) > 0))),
    "short_run": ({}, lambda n: ((X.diff(n) < 0) & (Y.diff(n) > 0)) | ((X.diff(n) < 0) & (Y.diff(n) < 0))),
}


@pytest.mark.parametrize("case", FORMULAS)
@pytest.mark.parametrize("period", [1, 2, 5])
def test_formula(case: str, period: int) -> None:
    given, formula = FORMULAS[case]
    spec = CATALOGUE[case.removesuffix(" strict")]
    if "period" in spec.defaults:
        given = given | {"period": period}
    params = spec.read_params(given)
    panels = [BARS[str(params[name])] for name in spec.inputs]
    (found,) = kernels.run(spec.name, panels, params)
    lookback = spec.lookback(params)
    expected = formula(period).to_numpy()[lookback:]
    np.testing.assert_array_equal(found[lookback:], expected)
    assert expected.any()
    assert not expected.all()


def test_tulips_example() -> None:
    """Computed with tulip 0.9 (through newtulipy)."""
    x = np.array([1.0, 2, 3, 3, 2, 2, 3, 1, 3])[:, None]
    y = np.full_like(x, 2.0)
    expected = {"crossover": [0, 1, 0, 0, 0, 1, 0, 1], "crossany": [0, 1, 0, 0, 0, 1, 1, 1]}
    for name, flags in expected.items():
        (found,) = kernels.run(name, [x, y], CATALOGUE[name].defaults)
        np.testing.assert_array_equal(found[1:, 0], flags)
