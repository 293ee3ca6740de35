"""Volatility by its definitions, in pandas."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from common.catalogue import CATALOGUE
from common.errors import InvalidParameters
from tests.oracles.bars import walk
from tests.oracles.formulas import check_formula, computed
from worker import kernels

BARS = walk(160, 1, 23)
BAR = pd.DataFrame({name: values[:, 0] for name, values in BARS.items()})
HIGH, LOW, CLOSE, OPEN = (BAR[name] for name in ("high", "low", "close", "open"))
TRUE_RANGE = pd.concat([HIGH - LOW, (HIGH - CLOSE.shift()).abs(), (LOW - CLOSE.shift()).abs()], axis=1).max(
    axis=1, skipna=False
)


def seeded(x: pd.Series, length: int, alpha: float) -> pd.Series:
    """Exponential average from the mean of the first `length` values on."""
    first = x.notna().to_numpy().argmax() + length - 1
    start = x.where(x.index > first)
    start[first] = x.iloc[first - length + 1 : first + 1].mean()
    return start.ewm(alpha=alpha, adjust=False).mean()


def _atr(p: dict[str, Any]) -> list[pd.Series]:
    """Wilder, New Concepts in Technical Trading Systems; the other averages as charts offer them."""
    match p["convention"]:
        case "sma":
            return [TRUE_RANGE.rolling(p["period"]).mean()]
        case "ema":
            return [seeded(TRUE_RANGE, p["period"], 2 / (p["period"] + 1))]
    return [seeded(TRUE_RANGE, p["period"], 1 / p["period"])]


def _historical(p: dict[str, Any]) -> list[pd.Series]:
    """Hull, Options, Futures, and Other Derivatives; simple returns of the population are tulip's `volatility`."""
    back = CLOSE.shift()
    returns = np.log(CLOSE / back) if p["returns"] == "log" else CLOSE / back - 1
    deviation = returns.rolling(p["period"]).std(ddof=int(p["convention"] == "sample"))
    return [100 * deviation * np.sqrt(p["periods_per_year"])]


def _ulcer(p: dict[str, Any]) -> list[pd.Series]:
    """StockCharts ChartSchool, Ulcer Index."""
    highest = CLOSE.rolling(p["period"]).max()
    drop = 100 * (CLOSE - highest) / highest
    return [(drop**2).rolling(p["period"]).mean() ** 0.5]


def _chop(p: dict[str, Any]) -> list[pd.Series]:
    """TradingView: 100 * log10(sum(ATR(1), n) / (highest - lowest)) / log10(n); Stock.Indicators: of true ranges."""
    top, bottom = HIGH, LOW
    if p["extremes"] == "true_range":
        top, bottom = np.maximum(HIGH, CLOSE.shift()), np.minimum(LOW, CLOSE.shift())
    n = p["period"]
    covered = top.rolling(n).max() - bottom.rolling(n).min()
    return [100 * np.log10(TRUE_RANGE.rolling(n).sum() / covered) / np.log10(n)]


def _thermo(p: dict[str, Any]) -> list[pd.Series]:
    """Elder, Come into My Trading Room; `absolute` as in pandas-ta."""
    up, down = HIGH - HIGH.shift(), LOW.shift() - LOW
    if p["convention"] == "absolute":
        reach = pd.concat([up.abs(), down.abs()], axis=1).max(axis=1, skipna=False)
    else:
        inside = (up < 0) & (down < 0)
        reach = up.where(up > down, down).mask(inside, 0.0)
    mean = seeded(reach, p["period"], 2 / (p["period"] + 1))
    quiet, explosive = reach < p["quiet_multiplier"] * mean, reach > p["explosive_multiplier"] * mean
    return [reach.where(mean.notna()), mean, quiet.where(mean.notna()), explosive.where(mean.notna())]


def _pdist(_p: dict[str, Any]) -> list[pd.Series]:
    """ProRealCode, PriceDistance."""
    return [2 * (HIGH - LOW) - (CLOSE - OPEN).abs() + (OPEN - CLOSE.shift()).abs()]


def _drawdown(_p: dict[str, Any]) -> list[pd.Series]:
    peak = CLOSE.cummax()
    return [peak - CLOSE, 100 * (1 - CLOSE / peak), np.log(peak / CLOSE)]


@pytest.mark.parametrize(
    ("name", "params", "formula"),
    [
        ("atr", {"convention": "sma"}, _atr),
        ("atr", {"convention": "ema", "period": 5}, _atr),
        ("atr", {"period": 9}, _atr),
        ("historical_volatility", {}, _historical),
        ("historical_volatility", {"period": 5, "periods_per_year": 52, "convention": "population"}, _historical),
        ("historical_volatility", {"returns": "simple", "convention": "population"}, _historical),
        ("ulcer_index", {}, _ulcer),
        ("ulcer_index", {"period": 3}, _ulcer),
        ("chop", {}, _chop),
        ("chop", {"period": 5, "extremes": "true_range"}, _chop),
        ("thermo", {}, _thermo),
        ("thermo", {"period": 7, "convention": "absolute", "explosive_multiplier": 1.5}, _thermo),
        ("thermo", {"quiet_multiplier": 0.8, "explosive_multiplier": 0.8}, _thermo),
        ("pdist", {}, _pdist),
        ("drawdown", {}, _drawdown),
    ],
)
def test_as_defined(name: str, params: dict[str, Any], formula: Callable[[dict[str, Any]], list[pd.Series]]) -> None:
    check_formula(name, params, BARS, lambda _symbol, p: formula(dict(p)))


def test_no_market_is_quiet_and_explosive() -> None:
    with pytest.raises(InvalidParameters, match=r"2 is above explosive_multiplier 1\.5"):
        CATALOGUE["thermo"].read_params({"quiet_multiplier": 2, "explosive_multiplier": 1.5})
    _reach, _mean, quiet, explosive = computed("thermo", {}, BARS)
    assert 0.3 < np.nanmean(quiet) < 0.8
    assert 0 < np.nanmean(explosive) < 0.2
    assert not np.nansum(quiet * explosive)


def test_no_volatility_where_a_return_is_not_defined() -> None:
    close = BARS["close"].copy()
    close[50] = 0.0
    (out,) = kernels.run("historical_volatility", [close], CATALOGUE["historical_volatility"].defaults)
    assert list(np.flatnonzero(np.isnan(out[20:, 0])) + 20) == list(range(50, 71))
    assert not np.isinf(out).any()
