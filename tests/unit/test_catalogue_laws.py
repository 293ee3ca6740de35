"""What must hold of every indicator of the catalogue, whatever the bars: driven by the specs alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from common.catalogue import CATALOGUE
from common.catalogue.spec import SOURCES, IndicatorSpec, Param, Params
from common.catalogue.units import PATTERN
from common.errors import InvalidParameters
from tests.oracles.bars import Bars, flat, inputs_of, walk
from worker import kernels
from worker.kernels.candlesticks import WIDE

EVERY = pytest.mark.parametrize("spec", CATALOGUE.values(), ids=CATALOGUE)
PRICES = frozenset(SOURCES) - {"volume"}


def run(spec: IndicatorSpec, params: Params, bars: Bars, rows: int | None = None) -> Sequence[np.ndarray]:
    panels = [np.ascontiguousarray(panel[:rows]) for panel in inputs_of(spec, params, bars)]
    return kernels.run(spec.name, panels, params)


def same_bits(left: Sequence[np.ndarray], right: Sequence[np.ndarray]) -> bool:
    pairs = zip(left, right, strict=True)
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def _values(param: Param) -> st.SearchStrategy[Any]:
    """Mostly small values, so that little data is enough; often the default."""
    match param.type:
        case "int":
            least = int(param.min or 0)
            most = least + 12 if param.max is None else min(least + 12, int(param.max))
            return st.one_of(st.just(param.default), st.integers(least, most))
        case "float":
            low, high = param.min or 0.0, min(5.0 if param.max is None else param.max, 5.0)
            some = st.floats(low, high).map(lambda x: min(max(round(x, 2), low), high))
            return st.one_of(st.just(param.default), some)
        case "bool":
            return st.booleans()
        case "choice":
            return st.sampled_from([*param.choices, *(["2021-02-03"] if param.or_date else [])])
    return st.sampled_from(["close", "high", "hlc3"])


def parameters(spec: IndicatorSpec) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({param.name: _values(param) for param in spec.params})


@EVERY
@given(data=st.data(), seed=st.integers(0, 999))
@settings(max_examples=6, deadline=None)
def test_shape_lookback_bounds_and_no_look_ahead(spec: IndicatorSpec, data: st.DataObject, seed: int) -> None:
    try:
        params = spec.read_params(data.draw(parameters(spec)))
    except InvalidParameters:
        assume(False)
    lookback = spec.lookback(params)
    rows, width = lookback + 40, WIDE + 1 if spec.outputs[0].unit is PATTERN else 5
    bars = walk(rows, width, seed)
    before = {name: series.copy() for name, series in bars.items()}
    outputs = run(spec, params, bars)
    assert len(outputs) == len(spec.outputs)
    for output, values in zip(spec.outputs, outputs, strict=True):
        assert values.shape == (rows, width), output.name
        assert np.isnan(values[:lookback]).all(), output.name
        known = values[lookback:]
        assert not np.isinf(known).any(), output.name
        if not output.gaps:
            assert np.isfinite(known).all(), output.name
        if output.low is not None:
            assert np.nanmin(known, initial=np.inf) >= output.low - 1e-9, output.name
        if output.high is not None:
            assert np.nanmax(known, initial=-np.inf) <= output.high + 1e-9, output.name
    assert all(np.array_equal(before[name], bars[name]) for name in bars), "inputs were changed"
    for column in range(0, width, 1 + width // 5):
        alone = run(spec, params, {name: series[:, [column]] for name, series in bars.items()})
        assert same_bits([out[:, column] for out in outputs], [out[:, 0] for out in alone])
    if not spec.lookahead(params):
        cut = data.draw(st.integers(1, rows - 1))
        assert same_bits([out[:cut] for out in outputs], run(spec, params, bars, cut))


@EVERY
def test_prices_and_volumes_in_other_units(spec: IndicatorSpec) -> None:
    params = spec.defaults
    rows = spec.lookback(params) + 60
    plain = run(spec, params, walk(rows, 3, 7))
    for scale, volume_scale in ((2.0**7, 1.0), (2.0**-5, 1.0), (1.0, 2.0**6)):
        other = run(spec, params, walk(rows, 3, 7, scale=scale, volume_scale=volume_scale))
        for output, before, after in zip(spec.outputs, plain, other, strict=True):
            if output.unit.price is None or output.unit.volume is None:
                continue
            factor = scale**output.unit.price * volume_scale**output.unit.volume
            reach = np.nanmax(np.abs(before), initial=0.0)
            np.testing.assert_allclose(after / factor, before, rtol=1e-9, atol=1e-9 * reach, err_msg=output.name)


@EVERY
def test_prices_moved_by_an_amount(spec: IndicatorSpec) -> None:
    params = spec.defaults
    bars = walk(spec.lookback(params) + 60, 3, 11)
    moved = {name: series + 64.0 if name in PRICES else series for name, series in bars.items()}
    for output, before, after in zip(spec.outputs, run(spec, params, bars), run(spec, params, moved), strict=True):
        if output.shift is not None:
            np.testing.assert_allclose(after - 64.0 * output.shift, before, rtol=1e-7, atol=1e-7, err_msg=output.name)


HARD: Mapping[str, Bars] = {
    "constant": flat(320, 3),
    "no volume": {**walk(320, 3, 5), "volume": np.zeros((320, 3))},
    "constant and no volume": flat(320, 3, volume=0.0),
    "huge": walk(320, 3, 5, scale=1e12, volume_scale=1e6),
    "tiny": walk(320, 3, 5, scale=1e-9),
    "whole numbers": {k: v if k == "date" else np.rint(v) for k, v in walk(320, 3, 5, scale=0.1).items()},
    "one row": walk(1, 3, 5),
    "three rows": walk(3, 3, 5),
    "no rows": walk(0, 3, 5),
}


@EVERY
def test_hard_bars_give_no_infinity_and_keep_the_bounds(spec: IndicatorSpec) -> None:
    params = spec.defaults
    lookback = spec.lookback(params)
    for name, bars in HARD.items():
        for output, values in zip(spec.outputs, run(spec, params, bars), strict=True):
            assert values.shape == bars["close"].shape, name
            assert np.isnan(values[:lookback]).all(), name
            assert not np.isinf(values).any(), name
            if not output.gaps:
                assert np.isfinite(values[lookback:]).all(), name
            if output.low is not None:
                assert np.nanmin(values, initial=np.inf) >= output.low - 1e-9, name
            if output.high is not None:
                assert np.nanmax(values, initial=-np.inf) <= output.high + 1e-9, name


@EVERY
def test_lookback_to_the_row(spec: IndicatorSpec) -> None:
    lookback = spec.lookback(spec.defaults)
    for rows in {1, max(lookback, 1), lookback + 1, lookback + 2}:
        for output, values in zip(spec.outputs, run(spec, spec.defaults, walk(rows, 2, 3)), strict=True):
            assert np.isnan(values[:lookback]).all()
            if not output.gaps:
                assert np.isfinite(values[lookback:]).all()


@EVERY
def test_a_gap_poisons_what_depends_on_it_and_nothing_else(spec: IndicatorSpec) -> None:
    params = spec.defaults
    lookback = spec.lookback(params)
    at, rows = lookback + 30, 2 * lookback + 90
    bars = walk(rows, 3, 13)
    clean = run(spec, params, bars)
    for hole in range(len(spec.inputs)):
        inputs = [panel.copy() for panel in inputs_of(spec, params, bars)]
        inputs[hole][at, 1] = np.nan
        _only_what_depends_is_gone(spec, kernels.run(spec.name, inputs, params), clean, at)


def _only_what_depends_is_gone(
    spec: IndicatorSpec, holed: Sequence[np.ndarray], clean: Sequence[np.ndarray], at: int
) -> None:
    params, lookback = spec.defaults, spec.lookback(spec.defaults)
    for output, values, was in zip(spec.outputs, holed, clean, strict=True):
        np.testing.assert_array_equal(values[:, [0, 2]], was[:, [0, 2]])
        if spec.lookahead(params):
            continue
        np.testing.assert_array_equal(values[:at], was[:at])
        assert np.isnan(values[at : at + lookback + 1, 1]).all()
        after = values[at + lookback + 1 :, 1]
        if spec.recursive(params):
            assert np.isnan(after).all()
        else:
            reach = np.nanmax(np.abs(was), initial=1.0)
            before = was[at + lookback + 1 :, 1]
            np.testing.assert_allclose(after, before, rtol=1e-9, atol=1e-9 * reach, err_msg=output.name)


@EVERY
def test_no_memory_beyond_the_lookback_means_none(spec: IndicatorSpec) -> None:
    """Where the spec says so, what lies before the lookback does not matter; elsewhere its weight has gone in time."""
    params = spec.defaults
    stable = spec.stable_period(params)
    if stable is None or spec.lookahead(params):
        return
    bars = walk(stable + 40, 3, 17)
    whole = run(spec, params, bars)
    later = run(spec, params, {name: series[20:] for name, series in bars.items()})
    for output, a, b in zip(spec.outputs, whole, later, strict=True):
        reach = np.nanmax(np.abs(a), initial=1e-300) * (2e-5 if spec.recursive(params) else 1e-9)
        np.testing.assert_allclose(a[stable + 20 :], b[stable:], rtol=1e-9, atol=reach, err_msg=output.name)
