"""Moving averages against plain formulations of their publications, where TA-Lib does not cover their parameters."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from common.catalogue import CATALOGUE, find
from common.catalogue.averages import MA_TYPES, ma_lookback
from common.catalogue.spec import ParamValue
from tests.oracles.bars import walk
from worker import kernels
from worker.kernels.moving_averages import average
from worker.kernels.panels import Scratch

Series = NDArray[np.float64]

ROWS = 160
BARS = walk(ROWS, 2, 23)
CLOSE = BARS["close"]


def run(name: str, *panels: Series, **given: ParamValue) -> Series:
    spec = CATALOGUE[name]
    return kernels.run(name, panels, spec.read_params(given))[0]


def close_to(ours: Series, expected: Any) -> None:  # noqa: ANN401 - of numpy or pandas
    np.testing.assert_allclose(ours, np.asarray(expected), rtol=1e-9)


def kaufman(x: Series, period: int, fast: int, slow: int) -> Series:
    """Kaufman, Smarter Trading (1995): the smoothing constant is the square of one between the two averages'."""
    out = np.full_like(x, np.nan)
    before = x[period - 1]
    for t in range(period, len(x)):
        efficiency = abs(x[t] - x[t - period]) / np.abs(np.diff(x[t - period : t + 1])).sum()
        constant = (efficiency * (2 / (fast + 1) - 2 / (slow + 1)) + 2 / (slow + 1)) ** 2
        before += constant * (x[t] - before)
        out[t] = before
    return out


@pytest.mark.parametrize(("period", "fast", "slow"), [(2, 1, 2), (5, 3, 9), (10, 2, 30), (60, 1, 100)])
def test_kama_as_kaufman(period: int, fast: int, slow: int) -> None:
    ours = run("kama", CLOSE, period=period, fast_period=fast, slow_period=slow)
    for j in range(2):
        close_to(ours[:, j], kaufman(CLOSE[:, j], period, fast, slow))


def seeded(x: pd.Series, period: int) -> pd.Series:
    """An exponential average that starts from a mean, in the rows it has a value."""
    start = pd.Series([x.iloc[:period].mean()], [x.index[period - 1]])
    return pd.concat([start, x.iloc[period:]]).ewm(alpha=2 / (period + 1), adjust=False).mean()


@pytest.mark.parametrize(("period", "factor"), [(2, 0.7), (5, 0.0), (5, 0.7), (9, 1.0)])
def test_t3_as_tillson(period: int, factor: float) -> None:
    """Tillson (1998): GD(GD(GD)), where GD = (1 + v) EMA - v EMA(EMA), multiplied out as powers of the EMA."""
    powers = (np.poly1d([-factor, 1 + factor, 0.0]) ** 3).coeffs[::-1]
    ours = run("t3", CLOSE, period=period, volume_factor=factor)
    for j in range(2):
        level, expected = pd.Series(CLOSE[:, j]), pd.Series(0.0, range(6 * (period - 1), ROWS))
        for share in powers[1:]:
            level = seeded(level, period)
            expected += share * level.reindex(expected.index)
        close_to(ours[:, j], expected.reindex(range(ROWS)))


@pytest.mark.parametrize("period", [3, 4, 5, 10, 11, 40])
def test_trima_has_the_weights_of_a_triangle(period: int) -> None:
    """pandas-ta's swma: 1, 2, 3, 2, 1 of an odd period, 1, 2, 2, 1 of an even one."""
    rising = np.arange(1, period + 1)
    triangle = np.minimum(rising, rising[::-1])
    expected = pd.DataFrame(CLOSE).rolling(period).apply(lambda w: w @ triangle / triangle.sum(), raw=True)
    close_to(run("trima", CLOSE, period=period), expected)
    assert find("swma") is CATALOGUE["trima"]


@pytest.mark.parametrize("period", [2, 9, 10, 11, 12, 37, 80])
def test_wma_as_a_weighted_sum(period: int) -> None:
    weights = np.arange(1, period + 1)
    expected = pd.DataFrame(CLOSE).rolling(period).apply(lambda w: w @ weights / weights.sum(), raw=True)
    close_to(run("wma", CLOSE, period=period), expected)


@pytest.mark.parametrize("kind", MA_TYPES)
def test_ma_of_one_bar_is_the_series(kind: str) -> None:
    np.testing.assert_array_equal(run("ma", CLOSE, period=1, ma_type=kind), CLOSE)


@pytest.mark.parametrize("kind", MA_TYPES)
@pytest.mark.parametrize("period", [2, 3, 10, 11, 21])
def test_averages_of_one_symbol_and_of_fewer_rows_have_the_same_bits(kind: str, period: int) -> None:
    x = walk(150, 17, 3)["close"]
    lookback = ma_lookback(kind, period)

    def of(part: Series) -> Series:
        out = np.empty_like(part)
        average(kind, part, period, out, Scratch(part.shape))
        return out[lookback:]

    whole = of(x)
    for j in (0, 16):
        assert of(x[:, [j]]).tobytes() == whole[:, [j]].tobytes()
    for rows in (lookback + 1, 140, 149):
        assert of(x[:rows].copy()).tobytes() == whole[: rows - lookback].tobytes()


@pytest.mark.parametrize("width", [2, 40])
def test_mavp_is_the_mean_of_as_many_bars_as_the_row_says(width: int) -> None:
    """TA-Lib MAVP with simple averages, lengths beyond the bounds and fractions included."""
    x = walk(ROWS, width, 29)["close"]
    lengths = np.random.default_rng(1).uniform(-5, 25, x.shape)
    ours = run("mavp", x, lengths, min_period=3, max_period=17)
    whole = np.clip(lengths, 3, 17).astype(int)
    for t in range(16, ROWS):
        for j in range(width):
            assert ours[t, j] == pytest.approx(x[t + 1 - whole[t, j] : t + 1, j].mean(), rel=1e-12)


def test_wma_keeps_its_digits_behind_a_huge_value() -> None:
    x = CLOSE.copy()
    x[20] = 1e18
    np.testing.assert_allclose(run("wma", x, period=20)[41:], run("wma", CLOSE, period=20)[41:], rtol=1e-12)
    assert (run("wma", np.full((90, 3), 0.1), period=20)[19:] == 0.1).all()
    assert (run("hma", np.full((90, 3), 0.1), period=20)[22:] == 0.1).all()
    assert (run("trima", np.full((90, 3), 0.1), period=20)[19:] == 0.1).all()
