"""Oscillators with a scale of their own that TA-Lib does not have, against their publications, written out plainly."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import talib
from numpy.typing import NDArray

from common.catalogue import CATALOGUE
from tests.oracles.bars import walk
from tests.oracles.formulas import check_formula
from worker import kernels

Series = NDArray[np.float64]
Bars = Mapping[str, Series]
Formula = Callable[..., list[Series]]

BARS = walk(220, 2, 22)


def nothing(like: Series) -> Series:
    return np.full(len(like), np.nan)


def ema(x: Series, period: int) -> Series:
    """Seeded with the mean of its first `period` values; skips what has none at the start."""
    out = nothing(x)
    first = int(np.flatnonzero(~np.isnan(x))[0]) + period - 1
    out[first] = x[first - period + 1 : first + 1].mean()
    for t in range(first + 1, len(x)):
        out[t] = out[t - 1] + 2 / (period + 1) * (x[t] - out[t - 1])
    return out


def psl(b: Bars, period: int) -> list[Series]:
    """Percentage of closes above the one before."""
    close = pd.Series(b["close"])
    rose = (close > close.shift()).astype(float).where(close.shift().notna())
    return [(100 * rose.rolling(period).mean()).to_numpy()]


def connors_rsi(b: Bars, period: int, streak_period: int, rank_period: int) -> list[Series]:
    """Connors and Alvarez, An Introduction to ConnorsRSI (2012), of TA-Lib's RSI and PERCENTRANK."""
    close = b["close"]
    streak = nothing(close)
    run = 0
    for t in range(1, len(close)):
        change = close[t] - close[t - 1]
        run = max(run, 0) + 1 if change > 0 else min(run, 0) - 1 if change < 0 else 0
        streak[t] = run
    rank = talib.PERCENTRANK(talib.ROCP(close, 1), rank_period)
    return [(talib.RSI(close, period) + talib.RSI(streak, streak_period) + rank) / 3]


def stc(b: Bars, fast_period: int, slow_period: int, cycle_period: int, smoothing: float) -> list[Series]:
    """Schaff's code: Frac, PF, Frac2, PFF over a MACD; IFF(range > 0, ..., the last one)."""

    def cycle(x: Series) -> Series:
        out = nothing(x)
        frac = 0.0
        first = int(np.flatnonzero(~np.isnan(x))[0]) + cycle_period - 1
        for t in range(first, len(x)):
            window = x[t - cycle_period + 1 : t + 1]
            if window.max() > window.min():
                frac = (x[t] - window.min()) / (window.max() - window.min()) * 100
            out[t] = frac if t == first else out[t - 1] + smoothing * (frac - out[t - 1])
        return out

    macd = ema(b["close"], fast_period) - ema(b["close"], slow_period)
    return [cycle(cycle(macd))]


def fisher(b: Bars, period: int) -> list[Series]:
    """Ehlers, Using the Fisher Transform (2002): Value1, Fish, both 0 before they begin."""
    price = (b["high"] + b["low"]) / 2
    fish, trigger = nothing(price), nothing(price)
    value, last = 0.0, 0.0
    for t in range(period - 1, len(price)):
        window = price[t - period + 1 : t + 1]
        value = 0.33 * 2 * ((price[t] - window.min()) / (window.max() - window.min()) - 0.5) + 0.67 * value
        value = 0.999 if value > 0.99 else -0.999 if value < -0.99 else value
        trigger[t] = last
        last = fish[t] = 0.5 * math.log((1 + value) / (1 - value)) + 0.5 * last
    return [fish, trigger]


def rsx(b: Bars, period: int) -> list[Series]:
    """The code that circulates (ProRealCode, Jurik RSX), variable by variable, in units of 100 prices."""
    close = b["close"]
    out = nothing(close)
    f18 = 3 / (period + 2)
    f20 = 1 - f18
    f28 = f30 = f38 = f40 = f48 = f50 = f58 = f60 = f68 = f70 = f78 = f80 = 0.0
    for t in range(1, len(close)):
        v8 = 100 * close[t] - 100 * close[t - 1]
        f28 = f20 * f28 + f18 * v8
        f30 = f18 * f28 + f20 * f30
        v_c = f28 * 1.5 - f30 * 0.5
        f38 = f20 * f38 + f18 * v_c
        f40 = f18 * f38 + f20 * f40
        v10 = f38 * 1.5 - f40 * 0.5
        f48 = f20 * f48 + f18 * v10
        f50 = f18 * f48 + f20 * f50
        v14 = f48 * 1.5 - f50 * 0.5
        f58 = f20 * f58 + f18 * abs(v8)
        f60 = f18 * f58 + f20 * f60
        v18 = f58 * 1.5 - f60 * 0.5
        f68 = f20 * f68 + f18 * v18
        f70 = f18 * f68 + f20 * f70
        v1_c = f68 * 1.5 - f70 * 0.5
        f78 = f20 * f78 + f18 * v1_c
        f80 = f18 * f78 + f20 * f80
        v20 = f78 * 1.5 - f80 * 0.5
        if t >= max(period - 1, 5):
            out[t] = min(max((v14 / v20 + 1) * 50, 0), 100) if v20 > 1e-10 else 50
    return [out]


def lrsi(b: Bars, gamma: float) -> list[Series]:
    """Ehlers, Time Warp - Without Space Travel (2002): L0 to L3, CU, CD; the filter starts at the first price."""
    close = b["close"]
    out = nothing(close)
    l0 = l1 = l2 = l3 = close[0]
    for t in range(1, len(close)):
        p0, p1, p2, p3 = l0, l1, l2, l3
        l0 = (1 - gamma) * close[t] + gamma * p0
        l1 = -gamma * l0 + p0 + gamma * p1
        l2 = -gamma * l1 + p1 + gamma * p2
        l3 = -gamma * l2 + p2 + gamma * p3
        steps = np.array([l0 - l1, l1 - l2, l2 - l3])
        if t >= 3:
            out[t] = steps.clip(0).sum() / np.abs(steps).sum()
    return [out]


def inertia(b: Bars, period: int, rvi_period: int, deviation_period: int) -> list[Series]:
    """Dorsey, Refining the Relative Volatility Index (1995), of TA-Lib's RVI and LINEARREG."""
    refined = (
        talib.RVI(b["high"], rvi_period, deviation_period) + talib.RVI(b["low"], rvi_period, deviation_period)
    ) / 2
    return [talib.LINEARREG(refined, period)]


def cti(b: Bars, period: int) -> list[Series]:
    """Ehlers, Correlation As A Trend Indicator (2020): the correlation with a rising line."""
    line = np.arange(period)
    return [pd.Series(b["close"]).rolling(period).apply(lambda x: np.corrcoef(x, line)[0, 1], raw=True).to_numpy()]


def po(b: Bars, period: int) -> list[Series]:
    """Widner, Signaling Change with Projection Bands (1995), as MetaStock writes it."""
    high, low, close = b["high"], b["low"], b["close"]
    out = nothing(close)
    rows = np.arange(period)
    for t in range(period - 1, len(close)):
        highs, lows = high[t - period + 1 : t + 1], low[t - period + 1 : t + 1]
        upper = (highs + np.polyfit(rows, highs, 1)[0] * rows[::-1]).max()
        lower = (lows + np.polyfit(rows, lows, 1)[0] * rows[::-1]).min()
        out[t] = 100 * (close[t] - lower) / (upper - lower)
    return [out]


def qqe(b: Bars, period: int, smooth_period: int, multiplier: float) -> list[Series]:
    """Ignatov's QQE.mq4: RsiMa, dar and TrLevelSlow, whose level starts at 0."""
    line = ema(talib.RSI(b["close"], period), smooth_period)
    movement = np.abs(np.diff(line, prepend=np.nan))
    dar = multiplier * ema(ema(movement, 2 * period - 1), 2 * period - 1)
    level, trend, smoothed = nothing(line), nothing(line), nothing(line)
    tr, side = 0.0, 1.0
    for t in np.flatnonzero(~np.isnan(dar)):
        dv, before, now = tr, line[t - 1], line[t]
        if now < tr:
            tr, side = now + dar[t], -1.0
            if before < dv and tr > dv:
                tr = dv
        elif now > tr:
            tr, side = now - dar[t], 1.0
            if before > dv and tr < dv:
                tr = dv
        level[t], trend[t], smoothed[t] = tr, side, now
    return [smoothed, level, trend]


def ebsw(b: Bars, period: int, smooth_period: int) -> list[Series]:
    """Ehlers, Cycle Analytics for Traders (2013), whose angles are in degrees; with 2 ** 0.5 and pi to all digits."""
    close = b["close"]
    angle = math.radians(360 / period)
    alpha = (1 - math.sin(angle)) / math.cos(angle)
    a1 = math.exp(-math.sqrt(2) * math.pi / smooth_period)
    c2 = 2 * a1 * math.cos(math.radians(math.sqrt(2) * 180 / smooth_period))
    c3 = -a1 * a1
    c1 = 1 - c2 - c3
    hp, filt, out = np.zeros(len(close)), np.zeros(len(close)), nothing(close)
    for t in range(1, len(close)):
        hp[t] = 0.5 * (1 + alpha) * (close[t] - close[t - 1]) + alpha * hp[t - 1]
        filt[t] = c1 * (hp[t] + hp[t - 1]) / 2 + c2 * filt[t - 1] + (c3 * filt[t - 2] if t > 1 else 0)
        if t >= 3:
            last = filt[t - 2 : t + 1]
            out[t] = last.mean() / math.sqrt((last**2).mean())
    return [out]


CASES: list[tuple[str, dict[str, Any], Formula]] = [
    ("psl", {"period": 12}, psl),
    ("psl", {"period": 2}, psl),
    ("connors_rsi", {"period": 3, "streak_period": 2, "rank_period": 100}, connors_rsi),
    ("connors_rsi", {"period": 14, "streak_period": 20, "rank_period": 7}, connors_rsi),
    ("stc", {"fast_period": 23, "slow_period": 50, "cycle_period": 10, "smoothing": 0.5}, stc),
    ("stc", {"fast_period": 3, "slow_period": 7, "cycle_period": 4, "smoothing": 0.3}, stc),
    ("fisher", {"period": 10}, fisher),
    ("fisher", {"period": 3}, fisher),
    ("rsx", {"period": 14}, rsx),
    ("rsx", {"period": 3}, rsx),
    ("lrsi", {"gamma": 0.5}, lrsi),
    ("lrsi", {"gamma": 0.0}, lrsi),
    ("lrsi", {"gamma": 0.8}, lrsi),
    ("inertia", {"period": 20, "rvi_period": 14, "deviation_period": 10}, inertia),
    ("inertia", {"period": 4, "rvi_period": 3, "deviation_period": 5}, inertia),
    ("cti", {"period": 20}, cti),
    ("cti", {"period": 3}, cti),
    ("po", {"period": 14}, po),
    ("po", {"period": 2}, po),
    ("qqe", {"period": 14, "smooth_period": 5, "multiplier": 4.236}, qqe),
    ("qqe", {"period": 6, "smooth_period": 1, "multiplier": 1.5}, qqe),
    ("ebsw", {"period": 40, "smooth_period": 10}, ebsw),
    ("ebsw", {"period": 6, "smooth_period": 4}, ebsw),
]


@pytest.mark.parametrize(("name", "given", "formula"), CASES, ids=lambda v: v if isinstance(v, str) else None)
def test_as_published(name: str, given: dict[str, Any], formula: Formula) -> None:
    check_formula(
        name, given, BARS, lambda symbol, _p: formula({key: symbol[key].to_numpy() for key in symbol}, **given)
    )


@pytest.mark.parametrize("lengths", [(7, 14, 28), (5, 9, 31), (4, 4, 8), (3, 3, 3)])
def test_ultimate_oscillator_of_any_windows(lengths: tuple[int, int, int]) -> None:
    """Larry Williams (1985): 100 * (4 a7 + 2 a14 + a28) / 7, of windows that share their sums and others."""
    params = dict(zip(("fast_period", "medium_period", "slow_period"), lengths, strict=True))
    bars = walk(120, 2, 23)
    high, low, close = (pd.DataFrame(bars[name]) for name in ("high", "low", "close"))
    bottom = np.minimum(low, close.shift())
    pressure, ranges = close - bottom, np.maximum(high, close.shift()) - bottom
    shares = [pressure.rolling(n).sum() / ranges.rolling(n).sum() for n in lengths]
    expected = 100 * (4 * shares[0] + 2 * shares[1] + shares[2]) / 7
    (ours,) = kernels.run("ultosc", [bars["high"], bars["low"], bars["close"]], params)
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "value"), [("lrsi", 0.0), ("rsx", 50.0), ("stc", 0.0), ("cti", 0.0), ("ebsw", 0.0), ("psl", 0.0)]
)
def test_a_price_that_never_moves(name: str, value: float) -> None:
    (out,) = kernels.run(name, [np.full((300, 1), 0.1)], CATALOGUE[name].defaults)
    assert set(out[CATALOGUE[name].lookback(CATALOGUE[name].defaults) :, 0]) == {value}
