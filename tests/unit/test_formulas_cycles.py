"""Cycles: those TA-Lib does not know against their published formulas, the others in more symbols than a chunk has."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib

from common.catalogue import CATALOGUE
from tests.oracles.bars import REAL, Series, real, walk
from tests.oracles.formulas import check_formula
from worker import kernels

BARS = walk(160, 3, 23)


def msw(x: Series, period: int) -> Sequence[Series]:
    """Ehlers, Stay in Phase (1996), as in tulip's msw, whose pi however has eight digits."""
    sine, lead = np.full(len(x), np.nan), np.full(len(x), np.nan)
    angles = 2 * np.pi * np.arange(period) / period
    for t in range(period - 1, len(x)):
        window = x[t - period + 1 : t + 1][::-1]
        real, imag = np.sum(np.cos(angles) * window), np.sum(np.sin(angles) * window)
        phase = np.arctan(imag / real) + (np.pi if real < 0 else 0.0) + np.pi / 2
        sine[t], lead[t] = np.sin(phase), np.sin(phase + np.pi / 4)
    return sine, lead


def dsp(x: Series, period: int) -> Sequence[Series]:
    """pandas-ta's dsp: close less its exponential average, which starts with a simple one."""
    seeded = pd.Series(x).copy()
    seeded[: period - 1] = np.nan
    seeded[period - 1] = x[:period].mean()
    return [x - seeded.ewm(span=period, adjust=False).mean().to_numpy()]


CASES: Sequence[tuple[str, dict[str, Any], Callable[..., Sequence[Series]]]] = [
    *(("msw", {"period": period}, msw) for period in (3, 5, 8, 20, 61)),
    *(("dsp", {"period": period}, dsp) for period in (1, 2, 14, 40)),
]


@pytest.mark.parametrize(("name", "params", "formula"), CASES)
def test_as_published(name: str, params: dict[str, Any], formula: Callable[..., Sequence[Series]]) -> None:
    check_formula(name, params, BARS, lambda symbol, _p: formula(symbol["close"].to_numpy(), **params))


def test_the_sine_wave_of_a_pure_cycle_is_its_sine() -> None:
    """A wave of exactly the period: `sine` turns with it, and `lead_sine` is an eighth of a cycle ahead."""
    period, rows = 24, 120
    x = 100 + 5 * np.sin(2 * np.pi * np.arange(rows) / period)
    sine, lead = kernels.run("msw", [x[:, None].copy()], CATALOGUE["msw"].read_params({"period": period}))
    np.testing.assert_allclose(sine[period:, 0], (x[period:] - 100) / 5, atol=1e-9)
    np.testing.assert_allclose(lead[period:-3, 0], sine[period + 3 :, 0], atol=1e-9)


HILBERT = ["ht_dcperiod", "ht_dcphase", "ht_phasor", "ht_sine", "ht_trendline", "ht_trendmode", "mama"]


@pytest.mark.parametrize("name", HILBERT)
def test_many_symbols_give_what_each_gives_alone(name: str) -> None:
    spec = CATALOGUE[name]
    x = walk(150, 150, 29)["close"]
    together = kernels.run(name, [x], spec.defaults)
    for column in (0, 63, 64, 127, 128, 149):
        alone = kernels.run(name, [x[:, [column]].copy()], spec.defaults)
        for many, one in zip(together, alone, strict=True):
            np.testing.assert_array_equal(many[:, column], one[:, 0])


@pytest.mark.skipif(not REAL.exists(), reason="the real data is not part of the project")
@pytest.mark.parametrize("source", ["close", "hl2", "low"])
def test_trend_or_cycle_on_every_real_bar(source: str) -> None:
    """A decision, so it is the same or wrong."""
    for symbol, bars in real().items():
        (ours,) = kernels.run("ht_trendmode", [bars[source][:, None].copy()], CATALOGUE["ht_trendmode"].defaults)
        expected = talib.HT_TRENDMODE(bars[source])
        np.testing.assert_array_equal(ours[63:, 0], expected[63:], err_msg=symbol)
