"""Volume flow that TA-Lib has not, by its publications, in pandas, column by column."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.catalogue import CATALOGUE
from tests.oracles.bars import walk, with_averages
from tests.oracles.formulas import Formula, check_formula, computed

Parameters = Mapping[str, Any]


def _bars(rows: int = 420, symbols: int = 2) -> dict[str, np.ndarray]:
    """A walk with days without trade, days without a range and days like the one before."""
    bars = walk(rows, symbols, 23)
    bars["volume"][17::41] = 0.0
    for name in ("open", "high", "low"):
        bars[name][29::53] = bars["close"][29::53]
    for name in ("open", "high", "low", "close"):
        bars[name][90::67] = bars[name][89::67][: len(bars[name][90::67])]
    return with_averages(bars)


def ema(x: pd.Series, length: int) -> pd.Series:
    """Seeded with the mean of its first `length` values."""
    known = x.dropna()
    seeded = known.iloc[length - 1 :].copy()
    seeded.iloc[0] = known.iloc[:length].mean()
    return seeded.ewm(alpha=2 / (length + 1), adjust=False).mean().reindex(x.index)


def on_balance(bars: pd.DataFrame) -> pd.Series:
    signed = np.sign(bars.close.diff()) * bars.volume
    signed.iloc[0] = bars.volume.iloc[0]
    return signed.cumsum()


def aobv(bars: pd.DataFrame, p: Parameters) -> list[pd.Series]:
    """pandas-ta: a run is where the fast average increases and the slow one in- or decreases over run_length bars."""
    line = on_balance(bars)
    lengths = p["fast_period"], p["slow_period"]
    fast, slow = (ema(line, n) if p["ma_type"] == "ema" else line.rolling(n).mean() for n in lengths)
    lift, drift = fast.diff(p["run_period"]), slow.diff(p["run_period"])
    window = line.rolling(p["range_period"])
    long = (lift > 0) & (drift < 0) | (lift > 0) & (drift > 0)
    short = (lift < 0) & (drift > 0) | (lift < 0) & (drift < 0)
    return [line, window.min(), window.max(), fast, slow, *(run.where(drift.notna()) for run in (long, short))]


def _force(bars: pd.DataFrame, convention: str) -> pd.Series:
    """Klinger's volume force as FM Labs writes it, and as Investopedia does."""
    dm, total = bars.high - bars.low, bars.high + bars.low + bars.close
    trend, cm, forces = 0, 0.0, [np.nan]
    for t in range(1, len(bars)):
        now = trend if bars.hlc3.iloc[t] == bars.hlc3.iloc[t - 1] else 1 if total.iloc[t] > total.iloc[t - 1] else -1
        cm = cm + dm.iloc[t] if now == trend else dm.iloc[t - 1] + dm.iloc[t]
        trend = now
        ratio = dm.iloc[t] / cm
        factor = abs(2 * ratio - 1) if convention == "klinger" else abs(2 * (ratio - 1))
        forces.append(bars.volume.iloc[t] * factor * trend * 100)
    return pd.Series(forces, bars.index)


def kvo(bars: pd.DataFrame, p: Parameters) -> list[pd.Series]:
    if p["convention"] == "signed_volume":  # pandas-ta, TradingView
        force = np.sign(bars.hlc3.diff()) * bars.volume
    else:
        force = _force(bars, p["convention"])
    line = ema(force, p["fast_period"]) - ema(force, p["slow_period"])
    return [line, ema(line, p["signal_period"])]


def _ease(bars: pd.DataFrame, divisor: float) -> pd.Series:
    """StockCharts: distance moved over the box ratio (volume / divisor) / (high - low)."""
    distance = ((bars.high + bars.low) / 2).diff()
    with np.errstate(divide="ignore"):
        box = (bars.volume / divisor) / (bars.high - bars.low)
    ease = distance / box
    return ease.where((bars.volume > 0) | distance.isna(), 0.0)


def pvol(bars: pd.DataFrame, p: Parameters) -> list[pd.Series]:
    product = bars.close * bars.volume
    return [product * np.sign(bars.close.diff()) if p["signed"] else product]


def pvr(bars: pd.DataFrame, _p: Parameters) -> list[pd.Series]:
    """Macek: the four cases, spelled out."""
    price, volume = bars.close.diff(), bars.volume.diff()
    cases = [(price >= 0) & (volume >= 0), (price >= 0) & (volume < 0), (price < 0) & (volume >= 0)]
    return [pd.Series(np.select(cases, [1.0, 2.0, 3.0], 4.0), bars.index).where(price.notna())]


def vfi(bars: pd.DataFrame, p: Parameters) -> list[pd.Series]:
    """Katsanos' own MetaStock formula."""
    length, typical = p["period"], bars.hlc3
    inter = np.log(typical).diff()
    cutoff = p["threshold"] * inter.rolling(30).std(ddof=0) * bars.close
    usual = bars.volume.rolling(length).mean().shift()
    counted = np.minimum(bars.volume, usual * p["volume_limit"])
    move = typical.diff()
    flow = pd.Series(np.where(move > cutoff, counted, np.where(move < -cutoff, -counted, 0.0)), bars.index)
    flow[cutoff.isna() | usual.isna()] = np.nan
    return [ema(flow.rolling(length).sum() / usual, p["smooth_period"])]


CASES: Sequence[tuple[str, Parameters, Formula]] = (
    ("aobv", {}, aobv),
    ("aobv", {"fast_period": 3, "slow_period": 20, "range_period": 30, "run_period": 5, "ma_type": "sma"}, aobv),
    *(("kvo", {"convention": name}, kvo) for name in ("klinger", "investopedia", "signed_volume")),
    ("kvo", {"fast_period": 2, "slow_period": 5, "signal_period": 1}, kvo),
    ("emv", {}, lambda bars, p: [_ease(bars, p["divisor"])]),
    ("eom", {}, lambda bars, p: [_ease(bars, p["divisor"]).rolling(p["period"]).mean()]),
    ("eom", {"period": 2, "divisor": 1.0}, lambda bars, p: [_ease(bars, p["divisor"]).rolling(p["period"]).mean()]),
    ("pvol", {}, pvol),
    ("pvol", {"signed": True}, pvol),
    ("pvr", {}, pvr),
    ("vfi", {}, vfi),
    ("vfi", {"period": 10, "smooth_period": 1, "threshold": 0.5, "volume_limit": 1.1}, vfi),
)


@pytest.mark.parametrize(("name", "given", "formula"), CASES, ids=lambda v: v if isinstance(v, str) else None)
def test_as_published(name: str, given: Parameters, formula: Formula) -> None:
    check_formula(name, given, _bars(), formula)


NO_VOLUME: Mapping[str, float] = {
    "mfi": 0.0,
    "cmf": 0.0,
    "marketfi": 0.0,
    "emv": 0.0,
    "eom": 0.0,
    "vfi": 0.0,
    "efi": 0.0,
}


@pytest.mark.parametrize(("name", "value"), NO_VOLUME.items())
def test_nothing_traded_is_no_flow(name: str, value: float) -> None:
    bars = _bars()
    bars["volume"][:] = 0.0
    spec = CATALOGUE[name]
    for panel in computed(name, {}, bars):
        np.testing.assert_array_equal(panel[spec.lookback(spec.defaults) :], value)


def test_windows_forget_what_has_left_them() -> None:
    """TA-Lib's windows subtract what leaves them, and keep the rounding of a huge volume for ever."""
    bars = _bars()
    plain = computed("cmf", {}, bars)[0], computed("mfi", {}, bars)[0]
    bars["volume"][40] = 1e30
    for before, after in zip(plain, (computed("cmf", {}, bars)[0], computed("mfi", {}, bars)[0]), strict=True):
        np.testing.assert_array_equal(after[80:], before[80:])
