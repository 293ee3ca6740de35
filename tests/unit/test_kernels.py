"""What must hold of every kernel, whatever the prices."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common.catalogue import CATALOGUE
from worker import kernels

PARAMS: dict[str, list[dict[str, Any]]] = {
    "sma": [{"period": p} for p in (2, 3, 7, 20)],
    "ema": [{"period": p} for p in (2, 3, 7, 20)],
    "rsi": [{"period": p} for p in (2, 3, 7, 20)],
    "macd": [
        {"fast_period": 2, "slow_period": 3, "signal_period": 1},
        {"fast_period": 3, "slow_period": 10, "signal_period": 5},
        {"fast_period": 12, "slow_period": 26, "signal_period": 9},
    ],
    "bbands": [{"period": 2, "multiplier": 2.0}, {"period": 7, "multiplier": 0.0}, {"period": 20, "multiplier": 2.5}],
}
CASES = [(name, params) for name, several in PARAMS.items() for params in several]
EVERY = pytest.mark.parametrize(("name", "params"), CASES)
RECURRENCES = {"ema", "rsi", "macd"}


def walks(rows: int, symbols: int, seed: int = 0) -> np.ndarray:
    steps = np.random.default_rng(seed).normal(0, 0.02, (rows, symbols))
    return np.ascontiguousarray(100 * np.exp(np.cumsum(steps, axis=0)))


def run(name: str, x: np.ndarray, params: dict[str, Any]) -> list[np.ndarray]:
    return list(kernels.run(name, [x], params))


def assert_same_bits(left: list[np.ndarray], right: list[np.ndarray]) -> None:
    for a, b in zip(left, right, strict=True):
        assert np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()


def test_kernels_and_specs_match_one_to_one() -> None:
    assert list(kernels.KERNELS) == list(CATALOGUE)
    assert list(PARAMS) == list(CATALOGUE)


@EVERY
def test_leading_nans_are_the_lookback(name: str, params: dict[str, Any]) -> None:
    lookback = CATALOGUE[name].lookback(params)
    for rows in (1, lookback, lookback + 1, lookback + 2, 3 * lookback + 5):
        outputs = run(name, walks(max(rows, 1), 3), params)
        assert len(outputs) == len(CATALOGUE[name].outputs)
        for out in outputs:
            assert out.shape == (max(rows, 1), 3)
            assert np.isnan(out[:lookback]).all()
            assert np.isfinite(out[lookback:]).all()


@EVERY
def test_no_rows_no_values(name: str, params: dict[str, Any]) -> None:
    assert all(out.shape == (0, 2) for out in run(name, np.empty((0, 2)), params))


@EVERY
@pytest.mark.parametrize("symbols", [2, 3, 8, 17, 64, 130])
def test_many_symbols_are_as_many_single_ones(name: str, params: dict[str, Any], symbols: int) -> None:
    x = walks(90, symbols, seed=symbols)
    together = run(name, x, params)
    for j in range(symbols):
        alone = run(name, x[:, [j]].copy(), params)
        assert_same_bits([out[:, j] for out in together], [out[:, 0] for out in alone])


@EVERY
def test_the_future_changes_nothing(name: str, params: dict[str, Any]) -> None:
    x = walks(120, 4)
    whole = run(name, x, params)
    for rows in range(1, 120, 3):
        assert_same_bits([out[:rows] for out in whole], run(name, x[:rows].copy(), params))
        changed = x.copy()
        changed[rows:] *= 3
        assert_same_bits([out[:rows] for out in whole], [out[:rows] for out in run(name, changed, params)])


@EVERY
@given(exponent=st.integers(-30, 30), seed=st.integers(0, 1000))
@settings(max_examples=15, deadline=None)
def test_prices_in_other_units(name: str, params: dict[str, Any], exponent: int, seed: int) -> None:
    """Powers of two scale exactly: averages and bands by the same factor, RSI not at all."""
    x = walks(80, 2, seed)
    factor = 2.0**exponent
    of_output = 1.0 if name == "rsi" else factor
    assert_same_bits([out * of_output for out in run(name, x, params)], run(name, x * factor, params))


@EVERY
def test_inputs_stay_and_outputs_may_be_used_again(name: str, params: dict[str, Any]) -> None:
    x = walks(70, 5)
    before = x.copy()
    fresh = run(name, x, params)
    used = [np.full(x.shape, 7.0) for _ in fresh]
    kernels.run(name, [x], params, used)
    assert_same_bits(fresh, used)
    assert_same_bits([before], [x])


@EVERY
def test_constant_prices(name: str, params: dict[str, Any]) -> None:
    x = np.full((100, 3), 0.1)
    outputs = run(name, x, params)
    lookback = CATALOGUE[name].lookback(params)
    assert all(np.isfinite(out[lookback:]).all() for out in outputs)
    if name in {"sma", "bbands"}:
        assert all((out[lookback:] == 0.1).all() for out in outputs)
    if name == "rsi":
        assert (outputs[0][lookback:] == 0.0).all()


@EVERY
def test_nan_poisons_what_depends_on_it_and_nothing_else(name: str, params: dict[str, Any]) -> None:
    x = walks(160, 3)
    clean = run(name, x, params)
    at = 75
    x[at, 1] = np.nan
    outputs = run(name, x, params)
    for out, was in zip(outputs, clean, strict=True):
        assert_same_bits([out[:, [0, 2]], out[:at]], [was[:, [0, 2]], was[:at]])
        if name in RECURRENCES:
            assert np.isnan(out[at:, 1]).all()
        else:
            period = params["period"]
            assert np.isnan(out[at : at + period, 1]).all()
            assert np.isfinite(out[at + period :, 1]).all()


@pytest.mark.parametrize("period", [2, 20, 200, 5000])
def test_windows_do_not_drift(period: int) -> None:
    x = walks(100_000, 1, seed=3) + 1e4
    (mean,) = run("sma", x, {"period": period})
    upper, middle, _ = run("bbands", x, {"period": period, "multiplier": 1.0})
    for end in (period, 50_000, 77_777, 100_000):
        window = x[end - period : end, 0].astype(np.longdouble)
        exact = window.mean()
        assert abs(mean[end - 1, 0] / exact - 1) < 1e-13
        assert (upper[end - 1, 0] - middle[end - 1, 0]) == pytest.approx(float(window.std()), rel=1e-9)


def test_what_has_left_the_window_leaves_no_trace() -> None:
    x = walks(200, 1)
    huge = x.copy()
    huge[50] = 1e18
    for name, params in (("sma", {"period": 20}), ("bbands", {"period": 20, "multiplier": 2.0})):
        was, now = run(name, x, params), run(name, huge, params)
        assert_same_bits([out[80:] for out in was], [out[80:] for out in now])


def test_a_small_spread_on_a_high_level_keeps_its_digits() -> None:
    spread = np.random.default_rng(0).normal(0, 1e-3, (300, 1))
    _, middle, lower = run("bbands", 1e6 + spread, {"period": 20, "multiplier": 1.0})
    window = (1e6 + spread)[280:, 0].astype(np.longdouble)
    assert middle[-1, 0] - lower[-1, 0] == pytest.approx(float(window.std()), rel=1e-6)


def test_the_middle_band_is_the_simple_average() -> None:
    x = walks(300, 5)
    for period in (2, 20, 99):
        (mean,) = run("sma", x, {"period": period})
        _, middle, _ = run("bbands", x, {"period": period, "multiplier": 2.0})
        assert_same_bits([mean], [middle])


def test_rsi_at_its_ends() -> None:
    up = np.arange(1.0, 51.0)[:, None]
    assert (run("rsi", up, {"period": 14})[0][14:] == 100).all()
    assert (run("rsi", up[::-1].copy(), {"period": 14})[0][14:] == 0).all()
