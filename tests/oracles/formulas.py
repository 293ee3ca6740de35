"""Indicators against formulas written out plainly, one symbol after the other: what the tests of the families share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from common.catalogue import CATALOGUE
from tests.oracles.bars import Bars, Series, inputs_of
from worker import kernels

Formula = Callable[[pd.DataFrame, Mapping[str, Any]], Sequence[Series | pd.Series]]
"""The outputs of one symbol's bars and all parameters."""


def computed(name: str, given: Mapping[str, Any], bars: Bars) -> list[Series]:
    """Our outputs over bars of shape (rows, symbols); parameters that are not `given` have their defaults."""
    spec = CATALOGUE[name]
    params = spec.read_params(given)
    return list(kernels.run(name, [np.ascontiguousarray(panel) for panel in inputs_of(spec, params, bars)], params))


def check_formula(name: str, given: Mapping[str, Any], bars: Bars, formula: Formula) -> None:
    """Ours are what the formula gives, to nine digits, and begin where it first gives all of them."""
    spec = CATALOGUE[name]
    params = spec.read_params(given)
    lookback = spec.lookback(params)
    ours = computed(name, given, bars)
    for column in range(bars["close"].shape[1]):
        symbol = pd.DataFrame({series: panel[:, column] for series, panel in bars.items()})
        expected = [np.asarray(series, np.float64) for series in formula(symbol, params)]
        assert not lookback or any(np.isnan(theirs[lookback - 1]) for theirs in expected), "the lookback is too long"
        for output, panel, theirs in zip(spec.outputs, ours, expected, strict=True):
            reach = 1e-11 * np.nanmax(np.abs(theirs[lookback:]), initial=0.0)
            np.testing.assert_allclose(
                panel[lookback:, column], theirs[lookback:], rtol=1e-9, atol=reach, err_msg=output.name
            )
