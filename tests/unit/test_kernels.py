"""What windows and recurrences promise beyond the laws of the catalogue: no drift, no trace, no lost digits."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.catalogue import CATALOGUE
from worker import kernels
from worker.kernels.panels import Panel
from worker.kernels.recurrences import exponential_average
from worker.kernels.windows import rolling_max, rolling_mean, rolling_min, rolling_moments, rolling_sum

PERIODS = [1, 2, 3, 7, 20, 89, 90]


def walks(rows: int, symbols: int, seed: int = 0) -> Panel:
    steps = np.random.default_rng(seed).normal(0, 0.02, (rows, symbols))
    return np.ascontiguousarray(100 * np.exp(np.cumsum(steps, axis=0)))


def run(name: str, x: Panel, **params: Any) -> Sequence[Panel]:  # noqa: ANN401
    return kernels.run(name, [x], {**CATALOGUE[name].defaults, **params})


def test_kernels_and_specs_match_one_to_one() -> None:
    assert set(kernels.KERNELS) == set(CATALOGUE)
    assert len(kernels.KERNELS) == sum(len(family.KERNELS) for family in kernels.FAMILIES)
    assert len(kernels.COMPILED) >= 90


def of_window(function: Callable[[Panel, int, Panel], None]) -> Callable[[Panel, int], Panel]:
    def call(x: Panel, period: int) -> Panel:
        out = np.full_like(x, np.nan)
        function(x, period, out)
        out[: period - 1] = np.nan  # rows before the first window mean nothing
        return out

    return call


WINDOWS: dict[str, tuple[Callable[[Panel, int], Panel], Callable[[Any], pd.DataFrame]]] = {
    "mean": (of_window(rolling_mean), lambda window: window.mean()),
    "sum": (of_window(rolling_sum), lambda window: window.sum()),
    "max": (of_window(rolling_max), lambda window: window.max()),
    "min": (of_window(rolling_min), lambda window: window.min()),
    "deviation": (
        of_window(lambda x, period, out: rolling_moments(x, period, np.zeros_like(x), out)),
        lambda window: window.std(ddof=0),
    ),
}


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("name", WINDOWS)
def test_windows_as_pandas(name: str, period: int) -> None:
    ours, theirs = WINDOWS[name]
    x = walks(90, 5)
    np.testing.assert_allclose(ours(x, period), theirs(pd.DataFrame(x).rolling(period)), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("period", PERIODS)
@pytest.mark.parametrize("name", WINDOWS)
def test_windows_of_one_symbol_and_of_fewer_rows_have_the_same_bits(name: str, period: int) -> None:
    ours, _ = WINDOWS[name]
    x = walks(90, 17)
    whole = ours(x, period)
    for column in range(17):
        assert ours(x[:, [column]], period).tobytes() == whole[:, [column]].tobytes()
    for rows in range(1, 90, 4):
        assert ours(x[:rows].copy(), period).tobytes() == whole[:rows].tobytes()


@pytest.mark.parametrize("period", PERIODS)
def test_exponential_average_as_pandas_once_seeded(period: int) -> None:
    x = walks(90, 3)
    out = np.full_like(x, np.nan)
    exponential_average(x, period, 2 / (period + 1), out)
    seeded = pd.DataFrame(np.vstack([x[:period].mean(axis=0), x[period:]]))
    expected = seeded.ewm(alpha=2 / (period + 1), adjust=False).mean()
    np.testing.assert_allclose(out[period - 1 :], expected, rtol=1e-12)
    in_place = x.copy()
    exponential_average(in_place, period, 2 / (period + 1), in_place)
    assert in_place[period - 1 :].tobytes() == out[period - 1 :].tobytes()


@pytest.mark.parametrize("period", [2, 20, 200, 5000])
def test_windows_do_not_drift(period: int) -> None:
    x = walks(100_000, 1, seed=3) + 1e4
    (mean,) = run("sma", x, period=period)
    (total,) = run("sum", x, period=period)
    upper, middle, _ = run("bbands", x, period=period, multiplier=1.0)
    for end in (period, 50_000, 77_777, 100_000):
        window = x[end - period : end, 0].astype(np.longdouble)
        assert abs(mean[end - 1, 0] / window.mean() - 1) < 1e-13
        assert abs(total[end - 1, 0] / window.sum() - 1) < 1e-13
        assert (upper[end - 1, 0] - middle[end - 1, 0]) == pytest.approx(float(window.std()), rel=1e-9)


@pytest.mark.parametrize("name", ["sma", "bbands", "stddev", "linearreg", "wma", "correl"])
def test_what_has_left_the_window_leaves_no_trace(name: str) -> None:
    x = walks(200, 1)
    huge = x.copy()
    huge[50] = 1e18
    inputs = CATALOGUE[name].inputs
    was, now = (kernels.run(name, [y] * len(inputs), CATALOGUE[name].defaults) for y in (x, huge))
    for before, after in zip(was, now, strict=True):
        assert before[120:].tobytes() == after[120:].tobytes()


def test_a_small_spread_on_a_high_level_keeps_its_digits() -> None:
    spread = np.random.default_rng(0).normal(0, 1e-3, (300, 1))
    _, middle, lower = run("bbands", 1e6 + spread, multiplier=1.0)
    window = (1e6 + spread)[280:, 0].astype(np.longdouble)
    assert middle[-1, 0] - lower[-1, 0] == pytest.approx(float(window.std()), rel=1e-6)


def test_the_middle_band_is_the_simple_average() -> None:
    x = walks(300, 5)
    for period in (2, 20, 99):
        (mean,) = run("sma", x, period=period)
        _, middle, _ = run("bbands", x, period=period)
        assert mean.tobytes() == middle.tobytes()


def test_rsi_at_its_ends() -> None:
    up = np.arange(1.0, 51.0)[:, None]
    assert (run("rsi", up)[0][14:] == 100).all()
    assert (run("rsi", up[::-1].copy())[0][14:] == 0).all()


def test_read_only_inputs_and_outputs_used_again() -> None:
    x = walks(70, 5)
    fresh = run("macd", x)
    x.flags.writeable = False
    used = [np.full(x.shape, 7.0) for _ in fresh]
    kernels.run("macd", [x[:]], CATALOGUE["macd"].defaults, used)
    assert [panel.tobytes() for panel in fresh] == [panel.tobytes() for panel in used]
