"""Averages weighted by volume and of volume that TA-Lib has not, by their definitions, column by column."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.oracles.bars import walk, with_averages
from tests.oracles.formulas import Formula, check_formula, computed

Parameters = Mapping[str, Any]


def _bars(rows: int = 420, symbols: int = 2) -> dict[str, np.ndarray]:
    """A walk with days without trade and days without a range."""
    bars = walk(rows, symbols, 31)
    bars["volume"][17::41] = 0.0
    for name in ("open", "high", "low"):
        bars[name][29::53] = bars["close"][29::53]
    return with_averages(bars)


def weighted(x: pd.Series, volume: pd.Series, length: int) -> pd.Series:
    windows = range(length - 1, len(x))
    means = [np.average(x[t - length + 1 : t + 1], weights=volume[t - length + 1 : t + 1]) for t in windows]
    return pd.Series(means, x.index[length - 1 :]).reindex(x.index)


def vwmacd(bars: pd.DataFrame, p: Parameters) -> list[pd.Series]:
    """pandas-ta: its signal is weighted by volume as well."""
    x = bars[p["source"]]
    line = weighted(x, bars.volume, p["fast_period"]) - weighted(x, bars.volume, p["slow_period"])
    signal = weighted(line, bars.volume, p["signal_period"])
    return [line, signal, line - signal]


def _stretches(bars: pd.DataFrame, anchor: str) -> pd.Series:
    """What pandas calls the period of each bar; none before an anchor that is a date."""
    days = pd.to_datetime(bars.date, unit="D")
    names = {"session": "D", "week": "W-FRI", "month": "M", "year": "Y"}
    if anchor in names:
        return days.dt.to_period(names[anchor]).astype(str)
    since = "1900-01-01" if anchor == "all" else anchor
    return pd.Series("one", bars.index).where(days >= since)


def vwap_bands(bars: pd.DataFrame, p: Parameters) -> list[pd.Series]:
    """Each value from all bars of its stretch, anew."""
    middle, width = (pd.Series(np.nan, bars.index) for _ in range(2))
    for _, stretch in bars.groupby(_stretches(bars, p["anchor"])):
        for end in range(1, len(stretch) + 1):
            part = stretch.iloc[:end]
            if part.volume.sum() > 0:
                mean = np.average(part.hlc3, weights=part.volume)
                middle[part.index[-1]] = mean
                width[part.index[-1]] = np.sqrt(np.average((part.hlc3 - mean) ** 2, weights=part.volume))
    reach = p.get("multiplier", 0.0) * width
    return [middle + reach, middle, middle - reach]


def vosc(bars: pd.DataFrame, p: Parameters) -> list[pd.Series]:
    """Achelis, in percent."""
    fast, slow = (bars.volume.rolling(p[name]).mean() for name in ("fast_period", "slow_period"))
    return [100 * (fast - slow) / slow]


def _profile(part: pd.DataFrame, bins: int, share: float) -> tuple[float, float, float]:
    """The volume of each bin as the overlap of each bar with it; the value area by Steidlmayer's walk."""
    edges = np.linspace(part.low.min(), part.high.max(), bins + 1)
    held = np.zeros(bins)
    for bar in part.itertuples():
        if bar.high > bar.low:
            overlap = np.minimum(edges[1:], bar.high) - np.maximum(edges[:-1], bar.low)
            held += bar.volume * np.maximum(overlap, 0.0) / (bar.high - bar.low)
        else:
            held[min(np.searchsorted(edges, bar.low, "right") - 1, bins - 1)] += bar.volume
    held = np.round(held / held.max(), 9)  # so that bins the same bars span are equal
    equals = np.flatnonzero(held == 1.0)
    control = low = high = int(equals[np.argmin(np.abs(equals - (bins - 1) / 2))])
    while held[low : high + 1].sum() < share * held.sum():
        above = held[high + 1] if high + 1 < bins else -1.0
        below = held[low - 1] if low else -1.0
        up = above > below or (above == below and high - control <= control - low)
        low, high = (low, high + 1) if up else (low - 1, high)
    return (edges[control] + edges[control + 1]) / 2, edges[high + 1], edges[low]


def volume_profile(bars: pd.DataFrame, p: Parameters) -> list[pd.Series]:
    length = p["period"]
    values = [
        _profile(bars.iloc[t - length + 1 : t + 1], p["bins"], p["value_area"] / 100)
        for t in range(length - 1, len(bars))
    ]
    return [pd.Series(values, bars.index[length - 1 :]).reindex(bars.index) for values in zip(*values, strict=True)]


CASES: Sequence[tuple[str, Parameters, int, Formula]] = (
    ("vwmacd", {}, 420, vwmacd),
    ("vwmacd", {"fast_period": 2, "slow_period": 7, "signal_period": 2, "source": "hlc3"}, 420, vwmacd),
    *(
        ("vwap_bands", {"anchor": anchor, "multiplier": 2.5}, 130, vwap_bands)
        for anchor in ("all", "session", "week", "month", "year", "2021-02-28", "2035-01-01", "1970-01-01")
    ),
    *(
        ("vwap", {"anchor": anchor}, 300, lambda bars, p: vwap_bands(bars, p)[1:2])
        for anchor in ("session", "week", "month", "year", "2021-02-28", "2035-01-01")
    ),
    ("vosc", {}, 420, vosc),
    ("vosc", {"fast_period": 1, "slow_period": 5}, 420, vosc),
    ("average_volume", {}, 420, lambda bars, p: [bars.volume.rolling(p["period"]).mean()]),
    ("volume_profile", {}, 150, volume_profile),
    ("volume_profile", {"period": 5, "bins": 200, "value_area": 30.0}, 60, volume_profile),
    ("volume_profile", {"period": 60, "bins": 2, "value_area": 100.0}, 130, volume_profile),
)


@pytest.mark.parametrize(("name", "given", "rows", "formula"), CASES, ids=lambda v: v if isinstance(v, str) else None)
def test_as_defined(name: str, given: Parameters, rows: int, formula: Formula) -> None:
    check_formula(name, given, _bars(rows), formula)


@pytest.mark.parametrize("name", ["vwma", "vwmacd", "vwap", "vwap_bands", "rvol", "volume_profile"])
def test_no_value_where_nothing_was_traded(name: str) -> None:
    bars = _bars()
    bars["volume"][:] = 0.0
    assert all(np.isnan(panel).all() for panel in computed(name, {}, bars))


def test_the_average_of_equal_prices_is_that_price() -> None:
    bars = with_averages({name: np.full((90, 2), 0.1) for name in ("open", "high", "low", "close")})
    bars |= {"volume": _bars(90)["volume"], "date": _bars(90)["date"]}
    for panel in (*computed("vwma", {"source": "hlc3"}, bars), *computed("volume_profile", {}, bars)):
        np.testing.assert_allclose(panel[19:], 0.1, rtol=1e-15)
    upper, middle, lower = computed("vwap_bands", {"anchor": "year"}, bars)
    np.testing.assert_array_equal(upper, middle)
    np.testing.assert_array_equal(lower, middle)


def test_deviations_far_below_the_price_keep_their_digits() -> None:
    """A sum of squares would have none left: a millionth of a millionth of the price, squared."""
    random = np.random.default_rng(3)
    steps, volume = random.integers(0, 64, 300), random.integers(1, 1000, 300)
    bars = {
        "hlc3": (1e9 + steps / 1024.0)[:, None],
        "volume": volume.astype(float)[:, None],
        "date": np.zeros((300, 1)),
    }
    upper, middle, lower = (out[-1, 0] for out in computed("vwap_bands", {}, bars))
    weights = [Fraction(int(v)) for v in volume]
    prices = [Fraction(int(step), 1024) for step in steps]
    mean = sum(w * x for w, x in zip(weights, prices, strict=True)) / sum(weights)
    variance = sum(w * (x - mean) ** 2 for w, x in zip(weights, prices, strict=True)) / sum(weights)
    assert middle == pytest.approx(1e9 + float(mean), abs=1e-6)
    assert (upper - lower) / 2 == pytest.approx(float(variance) ** 0.5, abs=3e-7)


def test_a_window_forgets_what_has_left_it() -> None:
    bars = _bars()
    before = computed("vwma", {}, bars)[0]
    bars["volume"][40] = 1e30
    np.testing.assert_array_equal(computed("vwma", {}, bars)[0][80:], before[80:])
