"""Weighted averages and decays against plain formulations of their definitions."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from common.catalogue import CATALOGUE
from common.catalogue.spec import ParamValue
from tests.oracles.bars import Series, walk
from worker import kernels

CLOSE = walk(120, 3, 31)["close"]


def run(name: str, x: Series, **given: ParamValue) -> Series:
    return kernels.run(name, [x], CATALOGUE[name].read_params(given))[0]


def fibonacci(period: int) -> list[int]:
    """pandas-ta fwma: 1, 1, 2, 3, 5."""
    numbers = [1, 1]
    while len(numbers) < period:
        numbers.append(numbers[-2] + numbers[-1])
    return numbers


def legoux(period: int, offset: float, sigma: float) -> list[float]:
    """Arnaud Legoux (2009), with the names of his own code: m the middle, s the width."""
    m, s = offset * (period - 1), period / sigma
    return [math.exp(-((i - m) ** 2) / (2 * s * s)) for i in range(period)]


WEIGHTS = [
    ("fwma", {"period": 2}, fibonacci(2)),
    ("fwma", {"period": 10}, fibonacci(10)),
    ("fwma", {"period": 33}, fibonacci(33)),
    # pandas-ta pwma: a row of Pascal's triangle.
    ("pwma", {"period": 2}, [1, 1]),
    ("pwma", {"period": 5}, [1, 4, 6, 4, 1]),
    ("pwma", {"period": 40}, [math.comb(39, k) for k in range(40)]),
    # Everget's sinwma: sin(pi (i + 1) / (n + 1)).
    ("sinwma", {"period": 3}, [math.sqrt(0.5), 1.0, math.sqrt(0.5)]),
    ("sinwma", {"period": 14}, [math.sin(math.pi * (i + 1) / 15) for i in range(14)]),
    ("alma", {}, legoux(9, 0.85, 6.0)),
    ("alma", {"period": 21, "offset": 0.0, "sigma": 3.5}, legoux(21, 0.0, 3.5)),
    ("alma", {"period": 4, "offset": 1.0, "sigma": 0.5}, legoux(4, 1.0, 0.5)),
]


@pytest.mark.parametrize(("name", "params", "weights"), WEIGHTS)
def test_as_a_weighted_sum(name: str, params: dict[str, ParamValue], weights: Sequence[float]) -> None:
    """Weights from the oldest value to the latest."""
    share = np.array(weights, np.float64) / sum(weights)
    expected = pd.DataFrame(CLOSE).rolling(len(weights)).apply(lambda window: window @ share, raw=True)
    np.testing.assert_allclose(run(name, CLOSE, **params), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["fwma", "pwma", "sinwma", "alma"])
def test_of_equal_values_and_of_very_long_windows(name: str) -> None:
    assert (run(name, np.full((60, 2), 0.1))[20:] == 0.1).all()
    x = walk(4010, 1, 3)["close"]
    long = run(name, x, period=4000)[3999:]
    assert ((long > x.min()) & (long < x.max())).all()


def test_decay_as_tulip() -> None:
    """A signal of 5 among ones, then 6 among twos; from tulipindicators.org/decay and /edecay with a period of 4."""
    x = np.array([[5.0, 1, 1, 1, 1, 6, 2, 2, 2, 2]]).T
    assert run("decay", x, period=4)[:, 0].tolist() == [5, 4.75, 4.5, 4.25, 4, 6, 5.75, 5.5, 5.25, 5]
    faded = [5, 3.75, 2.8125, 2.109375, 1.58203125, 6, 4.5, 3.375, 2.53125, 2]
    assert run("edecay", x, period=4)[:, 0].tolist() == faded


@pytest.mark.parametrize("period", [1, 3, 50])
def test_decays_as_their_definition(period: int) -> None:
    linear, exponential = run("decay", CLOSE, period=period), run("edecay", CLOSE, period=period)
    for t in range(1, len(CLOSE)):
        np.testing.assert_allclose(linear[t], np.maximum(CLOSE[t], linear[t - 1] - 1 / period), rtol=1e-12)
        keep = (period - 1) / period
        np.testing.assert_allclose(exponential[t], np.maximum(CLOSE[t], exponential[t - 1] * keep), rtol=1e-12)
