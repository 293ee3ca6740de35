"""The kernels against TA-Lib over a grid of parameters: on real bars of every symbol, and on made-up ones anywhere."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from common.catalogue import CATALOGUE
from common.catalogue.spec import SOURCES
from common.catalogue.units import PATTERN
from tests.oracles.bars import REAL, Bars, inputs_of, real, walk
from tests.oracles.talib_calls import CALLS, Call
from worker import kernels
from worker.kernels.candlesticks import WIDE

TOLERANCE = 1e-9
SYMBOLS_PER_SET = 4

with_real_bars = pytest.mark.skipif(not REAL.exists(), reason="the real data is not part of the project")


def _shown(value: str | dict[str, Any]) -> str:
    return value if isinstance(value, str) else ",".join(map(str, value.values()))


CASES = [(name, given) for name, call in CALLS.items() for given in ({}, *call.grid)]
EVERY_CASE = pytest.mark.parametrize(("name", "given"), CASES, ids=_shown)
MADE_UP = [{field: np.ascontiguousarray(panel[:, j]) for field, panel in walk(620, 2, 23).items()} for j in range(2)]


def compare(name: str, params: dict[str, Any], several: Iterable[Bars]) -> None:
    """Each of `several` holds bars of shape (rows,)."""
    spec, call = CATALOGUE[name], CALLS[name]
    lookback = spec.lookback(params)
    # Patterns have a kernel of their own from so many symbols on, and are TA-Lib's below.
    width = WIDE if spec.outputs[0].unit is PATTERN else 1
    for bars in several:
        panels = [np.repeat(series[:, None], width, axis=1) for series in inputs_of(spec, params, bars)]
        expected = call.run(name, bars, params)
        assert len(expected) == len(spec.outputs)
        for output, panel, theirs in zip(spec.outputs, kernels.run(name, panels, params), expected, strict=True):
            ours = panel[:, -1]
            where = f"{output.name} of {name} {params}"
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


@EVERY_CASE
def test_as_talib_on_made_up_bars(name: str, given: dict[str, Any]) -> None:
    compare(name, CATALOGUE[name].read_params(given), MADE_UP)


@with_real_bars
@EVERY_CASE
def test_as_talib_on_real_bars(name: str, given: dict[str, Any]) -> None:
    """Four symbols each, walking on, so that all of them come up."""
    symbols = sorted(real())
    start = CASES.index((name, given)) * SYMBOLS_PER_SET
    chosen = [symbols[(start + n) % len(symbols)] for n in range(SYMBOLS_PER_SET)]
    compare(name, CATALOGUE[name].read_params(given), [real()[symbol] for symbol in chosen])


@with_real_bars
@pytest.mark.parametrize("name", ["sma", "ema", "rsi", "macd", "bbands"])
def test_every_symbol(name: str) -> None:
    compare(name, CATALOGUE[name].defaults, real().values())


OF_ANY_SOURCE = [
    name
    for name, call in CALLS.items()
    # Others are measured in another series than the one they are computed on.
    if "source" in CATALOGUE[name].defaults and call.inputs is None and call.measure is None
]


@with_real_bars
@pytest.mark.parametrize("name", OF_ANY_SOURCE)
def test_every_source(name: str) -> None:
    for source in SOURCES:
        compare(name, CATALOGUE[name].read_params({"source": source}), [real()["RELIANCE"]])


def test_all_of_talib_is_compared() -> None:
    """Every function TA-Lib has, under its own name in lower case."""
    import talib  # noqa: PLC0415 - its list is wanted here alone

    functions = {function.lower() for function in talib.get_functions()}
    assert functions <= set(CALLS)
    assert all(call.function.lower() == name for name, call in CALLS.items() if name in functions)
