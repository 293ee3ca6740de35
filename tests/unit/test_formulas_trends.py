"""Signs of a trend by their definitions, in pandas."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib

from common.catalogue import CATALOGUE
from tests.oracles.bars import Series, walk
from tests.oracles.formulas import check_formula
from worker import kernels

BARS = walk(400, 1, 41)
CLOSE, MIDDLE = (BARS[name][:, 0] for name in ("close", "hl2"))
Formula = Callable[[Mapping[str, Any]], list[Series]]


def _amat(p: Mapping[str, Any]) -> list[Series]:
    """Archer: a long run is a rising fast average with a slow one that rises or falls, a short run a falling one."""
    average = talib.EMA if p["ma_type"] == "ema" else talib.SMA
    fast, slow = (
        pd.Series(average(CLOSE, p[name])).diff(p["run_period"]).to_numpy() for name in ("fast_period", "slow_period")
    )
    long = ((fast > 0) & (slow < 0)) | ((fast > 0) & (slow > 0))
    short = ((fast < 0) & (slow > 0)) | ((fast < 0) & (slow < 0))
    return [np.where(np.isnan(slow), np.nan, long.astype(float) - short)]


def _ttm_trend(p: Mapping[str, Any]) -> list[Series]:
    """Carter: the close against the mean of the last middles."""
    return [np.sign(CLOSE - pd.Series(MIDDLE).rolling(p["period"]).mean().to_numpy())]


def _td_seq(p: Mapping[str, Any]) -> list[Series]:
    """DeMark: runs of closes above, and below, those of four bars before; counted up to 13."""
    change = pd.Series(BARS[p["source"]][:, 0]).diff(4)

    def count(holds: pd.Series) -> Series:
        run = holds.astype(int).groupby((~holds).cumsum()).cumsum().clip(upper=13)
        return np.asarray(run.astype(float).where(change.notna()))

    return [count(change > 0), count(change < 0)]


FORMULAS: Mapping[str, tuple[Formula, list[dict[str, Any]]]] = {
    "amat": (_amat, [{}, {"fast_period": 3, "slow_period": 50, "run_period": 1, "ma_type": "sma"}]),
    "ttm_trend": (_ttm_trend, [{}, {"period": 1}, {"period": 30}]),
    "td_seq": (_td_seq, [{}, {"source": "high"}]),
}
CASES = [(name, given) for name, (_formula, grid) in FORMULAS.items() for given in grid]


@pytest.mark.parametrize(("name", "given"), CASES)
def test_as_defined(name: str, given: dict[str, Any]) -> None:
    check_formula(name, given, BARS, lambda _symbol, p: FORMULAS[name][0](p))


def test_a_setup_is_counted_to_thirteen() -> None:
    rising = np.arange(30.0)[:, None] + 1
    up, down = kernels.run("td_seq", [rising], CATALOGUE["td_seq"].defaults)
    np.testing.assert_array_equal(up[4:, 0], np.minimum(np.arange(1, 27), 13))
    np.testing.assert_array_equal(down[4:, 0], np.zeros(26))
