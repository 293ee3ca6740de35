"""Statistics against pandas, numpy and the definitions of their authors, window by window."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.catalogue import CATALOGUE
from tests.oracles.bars import Series, walk
from worker import kernels

BARS = walk(170, 3, 37)
X = BARS["close"]
FRAME = pd.DataFrame(X)


def run(name: str, given: dict[str, Any], x: Series = X) -> list[Series]:
    return list(kernels.run(name, [x], CATALOGUE[name].read_params(given)))


def rolling(period: int) -> Any:  # noqa: ANN401 - pandas's own type
    return FRAME.rolling(period)


def entropy(window: Series) -> float:
    """Shannon's: minus the sum of p * log2(p), of p the shares of the sum (pandas-ta entropy)."""
    shares = window / window.sum()
    return float(-(shares * np.log2(shares)).sum())


def z_score(period: int, ddof: int) -> pd.DataFrame:
    return (FRAME - rolling(period).mean()) / rolling(period).std(ddof=ddof)


SAMPLE = {"convention": "sample"}
Formula = Callable[[int], pd.DataFrame]

FORMULAS: dict[str, tuple[str, dict[str, Any], Formula]] = {
    # pandas-ta: stdev and variance with ddof=1.
    "sample deviation": ("stddev", SAMPLE | {"multiplier": 2.0}, lambda n: 2.0 * rolling(n).std(ddof=1)),
    "sample variance": ("var", SAMPLE, lambda n: rolling(n).var(ddof=1)),
    # tulip: stddev / sqrt(n) of the population; pandas-ta: of a sample.
    "standard error": ("stderr", {}, lambda n: rolling(n).std(ddof=0) / math.sqrt(n)),
    "sample standard error": ("stderr", SAMPLE, lambda n: rolling(n).std(ddof=1) / math.sqrt(n)),
    # Stock.Indicators: of the population; pandas-ta: of a sample.
    "z-score": ("z_score", {}, lambda n: z_score(n, 0)),
    "sample z-score": ("z_score", SAMPLE, lambda n: z_score(n, 1)),
    "skew": ("skew", {}, lambda n: rolling(n).skew()),
    "kurtosis": ("kurtosis", {}, lambda n: rolling(n).kurt()),
    "entropy": ("entropy", {}, lambda n: rolling(n).apply(entropy, raw=True)),
    "median": ("median", {}, lambda n: rolling(n).median()),
    "quantile": ("percentile", {"percentile": 37.5, "convention": "linear"}, lambda n: rolling(n).quantile(0.375)),
    "lowest": ("percentile", {"percentile": 0.0, "convention": "linear"}, lambda n: rolling(n).min()),
    "highest": ("percentile", {"percentile": 100.0, "convention": "linear"}, lambda n: rolling(n).max()),
}


@pytest.mark.parametrize("case", FORMULAS)
@pytest.mark.parametrize("period", [4, 5, 30])
def test_formula(case: str, period: int) -> None:
    name, given, formula = FORMULAS[case]
    (found,) = run(name, given | {"period": period})
    np.testing.assert_allclose(found, formula(period), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("period", [2, 20])
def test_sma_analysis(period: int) -> None:
    """Stock.Indicators: distances of the window's values from today's mean."""
    expected = [
        rolling(period).apply(of_window, raw=True)
        for of_window in (
            np.mean,
            lambda w: np.abs(w - w.mean()).mean(),
            lambda w: np.square(w - w.mean()).mean(),
            lambda w: (np.abs(w - w.mean()) / w).mean(),
        )
    ]
    for found, values in zip(run("sma_analysis", {"period": period}), expected, strict=True):
        np.testing.assert_allclose(found, values, rtol=1e-9)


def rescaled_range(part: Series) -> float:
    """Hurst's R/S: range of the running sum of deviations over the standard deviation."""
    sums = np.cumsum(part - part.mean())
    return float((sums.max() - sums.min()) / part.std())


def expected_range(n: int) -> float:
    """Anis and Lloyd's for n independent changes."""
    gammas = math.gamma((n - 1) / 2) / (math.sqrt(math.pi) * math.gamma(n / 2))
    return gammas * sum(math.sqrt((n - i) / i) for i in range(1, n))


def hurst(prices: Series, *, corrected: bool) -> float:
    """Slope of log10(R/S) over log10(size), of parts taken from the window's end (Stock.Indicators)."""
    changes = np.diff(np.log(prices))
    sizes, ranges = [], []
    for count in (1, 2, 4, 8, 16, 32):
        size = len(changes) // count
        if size < 8:
            break
        parts = changes[len(changes) - size * count :].reshape(count, size)
        bias = math.sqrt(math.pi * size / 2) - expected_range(size) if corrected else 0.0
        sizes.append(math.log10(size))
        ranges.append(math.log10(np.mean([rescaled_range(part) for part in parts]) + bias))
    return float(np.polyfit(sizes, ranges, 1)[0])


@pytest.mark.parametrize("period", [20, 37, 100])
def test_hurst(period: int) -> None:
    for found, corrected in zip(run("hurst", {"period": period}), (False, True), strict=True):
        expected = rolling(period + 1).apply(hurst, raw=True, kwargs={"corrected": corrected})
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_where_nothing_moves() -> None:
    flat = np.full((150, 1), 7.3)
    expected = {"z_score": 0.0, "skew": 0.0, "kurtosis": 0.0, "stderr": 0.0, "median": 7.3, "hurst": np.nan}
    for name, value in expected.items():
        spec = CATALOGUE[name]
        for found in run(name, {}, flat):
            np.testing.assert_array_equal(found[spec.lookback(spec.defaults) :], value, err_msg=name)


def test_entropy_where_shares_are_no_shares() -> None:
    x = np.array([1.0, 0.0, 1.0, 1.0, -1.0, 2.0, 0.0, 0.0])[:, None]
    (found,) = run("entropy", {"period": 2}, x)
    np.testing.assert_allclose(found[1:, 0], [0.0, 0.0, 1.0, np.nan, np.nan, 0.0, np.nan], atol=1e-15)
