"""The kernels against TA-Lib on real bars of every symbol, over a grid of parameters."""

from typing import Any

import numpy as np
import pytest

from common.catalogue import CATALOGUE
from common.catalogue.spec import SOURCES
from tests.oracles.bars import REAL, Bars, inputs_of, real
from tests.oracles.talib_calls import CALLS, Call
from worker import kernels

TOLERANCE = 1e-9
SYMBOLS_PER_SET = 4

pytestmark = pytest.mark.skipif(not REAL.exists(), reason="the real data is not part of the project")


def _shown(value: str | dict[str, Any]) -> str:
    return value if isinstance(value, str) else ",".join(map(str, value.values()))


CASES = [(name, given) for name, call in CALLS.items() for given in ({}, *call.grid)]


def compare(name: str, params: dict[str, Any], symbols: list[str]) -> None:
    spec, call = CATALOGUE[name], CALLS[name]
    lookback = spec.lookback(params)
    for symbol in symbols:
        bars = real()[symbol]
        panels = [series[:, None].copy() for series in inputs_of(spec, params, bars)]
        expected = call.run(name, bars, params)
        assert len(expected) == len(spec.outputs)
        for output, panel, theirs in zip(spec.outputs, kernels.run(name, panels, params), expected, strict=True):
            ours = panel[:, 0]
            where = f"{output.name} of {name} {params}, {symbol}"
            assert np.isnan(ours[:lookback]).all(), where
            if not output.gaps and lookback < len(ours):
                # TA-Lib begins whole numbers with 0.
                assert np.isnan(theirs[:lookback]).all() or not theirs[:lookback].any(), where
                assert np.isfinite(ours[lookback]), where
            rows = slice(lookback, None)
            here, there = ours[rows], np.where(np.isfinite(theirs[rows]), theirs[rows], np.nan)
            np.testing.assert_array_equal(np.isnan(here), np.isnan(there), err_msg=where)
            size = np.maximum(np.abs(there), _measure(call, bars, rows))
            off = np.abs(here - there) / np.where(size > 0, size, 1.0)
            worst = np.nanmax(off, initial=0.0)
            assert worst < TOLERANCE, f"{where}: {worst:.2g} off at row {lookback + int(np.nanargmax(off))}"


def _measure(call: Call, bars: Bars, rows: slice) -> np.ndarray | float:
    if isinstance(call.measure, str):
        return bars[call.measure][rows]
    return call.measure or 0.0


@pytest.mark.parametrize(("name", "given"), CASES, ids=_shown)
def test_as_talib(name: str, given: dict[str, Any]) -> None:
    """Four symbols each, walking on, so that all of them come up."""
    symbols = sorted(real())
    start = CASES.index((name, given)) * SYMBOLS_PER_SET
    chosen = [symbols[(start + n) % len(symbols)] for n in range(SYMBOLS_PER_SET)]
    compare(name, CATALOGUE[name].read_params(given), chosen)


@pytest.mark.parametrize("name", ["sma", "ema", "rsi", "macd", "bbands"])
def test_every_symbol(name: str) -> None:
    compare(name, CATALOGUE[name].defaults, list(real()))


@pytest.mark.parametrize("name", [name for name in CALLS if "source" in CATALOGUE[name].defaults])
def test_every_source(name: str) -> None:
    if CALLS[name].inputs is not None or CALLS[name].measure is not None:
        return  # measured in another series than the one it is computed on
    for source in SOURCES:
        compare(name, CATALOGUE[name].read_params({"source": source}), ["RELIANCE"])
