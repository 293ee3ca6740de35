"""Every candlestick pattern of many symbols at once against TA-Lib, symbol by symbol."""

from collections.abc import Mapping

import numpy as np
import pytest
import talib
from talib import abstract

from common.catalogue import CATALOGUE
from common.catalogue.candlesticks import SPECS
from common.catalogue.spec import IndicatorSpec
from tests.oracles.bars import REAL, Series, real, walk
from worker import kernels
from worker.kernels.candlesticks import WIDE

EVERY = pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
PRICES = ("open", "high", "low", "close")


def steps(rows: int, symbols: int, seed: int) -> Mapping[str, Series]:
    """Candles of few whole sizes: even the rarest patterns come up, and ties all the time."""
    random = np.random.default_rng(seed)
    shape = (rows, symbols)
    long = random.choice([-9, -5, -2, -1, 0, 1, 2, 5, 9], shape)
    body = np.where(random.random(shape) < 0.4, random.choice([-1, 1], shape) * random.integers(0, 3, shape), long)
    gap = random.choice([-4, -1, 0, 0, 1, 4], shape)
    close = 1000.0 + np.cumsum(body + gap, axis=0)
    opened = close - body
    high = np.maximum(opened, close) + random.choice([0, 0, 0, 1, 2, 6], shape)
    low = np.minimum(opened, close) - random.choice([0, 0, 0, 1, 2, 6], shape)
    return {"open": opened, "high": high, "low": low, "close": close}


def in_ticks(tick: float) -> Mapping[str, Series]:
    bars = walk(400, 140, 5)
    return {name: np.rint(bars[name] / tick) * tick for name in PRICES}


@pytest.fixture(scope="module")
def small() -> Mapping[str, Series]:
    """With a seed for which there is every pattern."""
    return steps(1600, 48, seed=1)


def compare(spec: IndicatorSpec, bars: Mapping[str, Series], params: Mapping[str, float]) -> int:
    """How often there is a pattern, the same everywhere."""
    lookback = spec.lookback({})
    panels = [np.ascontiguousarray(bars[name]) for name in PRICES]
    (ours,) = kernels.run(spec.name, panels, spec.read_params(params))
    assert ours.shape[1] >= WIDE
    function = getattr(talib, spec.name.upper())
    columns = [
        function(*(np.ascontiguousarray(panel[:, j]) for panel in panels), **params) for j in range(ours.shape[1])
    ]
    expected = np.stack(columns, axis=1)
    assert np.isnan(ours[:lookback]).all()
    np.testing.assert_array_equal(ours[lookback:], expected[lookback:])
    return int(np.count_nonzero(expected))


@EVERY
def test_each_pattern_is_found_where_talib_finds_it(spec: IndicatorSpec, small: Mapping[str, Series]) -> None:
    assert compare(spec, small, {})


@EVERY
@pytest.mark.parametrize("tick", [0.01, 0.05, 1.0])
def test_ties_fall_as_in_talib(spec: IndicatorSpec, tick: float) -> None:
    compare(spec, in_ticks(tick), {})


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.params], ids=lambda spec: spec.name)
@pytest.mark.parametrize("penetration", [0.0, 0.05, 0.9, 1.5])
def test_penetration(spec: IndicatorSpec, penetration: float, small: Mapping[str, Series]) -> None:
    compare(spec, small, {"penetration": penetration})


@pytest.mark.skipif(not REAL.exists(), reason="the real data is not part of the project")
@EVERY
def test_every_real_symbol(spec: IndicatorSpec) -> None:
    rows = min(len(bars["close"]) for bars in real().values())
    compare(spec, {name: np.stack([bars[name][-rows:] for bars in real().values()], axis=1) for name in PRICES}, {})


@EVERY
def test_lookback_and_default_are_talibs(spec: IndicatorSpec) -> None:
    function = getattr(abstract, spec.name.upper())
    assert spec.lookback({}) == function.lookback
    assert spec.defaults == dict(function.parameters)


def test_all_of_talib() -> None:
    names = [name.lower() for name in talib.__function_groups__["Pattern Recognition"]]
    assert [spec.name for spec in SPECS] == names
    assert all(CATALOGUE[name].family == "candlestick patterns" for name in names)
