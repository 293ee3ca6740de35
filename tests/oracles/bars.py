"""Bars to compute on: made up, or real where the real data is at hand."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.catalogue.spec import SOURCES, IndicatorSpec, Params

Series = NDArray[np.float64]
Bars = Mapping[str, Series]
"""Each of SOURCES and "date" (days since 1970-01-01), arrays of one shape: (rows,) or (rows, symbols)."""

REAL = Path(__file__).parents[3] / "shared" / "data" / "nifty50_daily_2020_2025.parquet"


def with_averages(bars: Mapping[str, Series]) -> dict[str, Series]:
    """With hl2, hlc3 and ohlc4 as TA-Lib computes them."""
    o, h, l, c = (bars[name] for name in ("open", "high", "low", "close"))  # noqa: E741 - the field's own terms
    return {**bars, "hl2": (h + l) / 2.0, "hlc3": (h + l + c) / 3.0, "ohlc4": (h + l + c + o) / 4.0}


def walk(rows: int, symbols: int, seed: int = 0, *, scale: float = 1.0, volume_scale: float = 1.0) -> dict[str, Series]:
    """A random walk of shape (rows, symbols), prices around 100 * `scale`, with days off and gaps over night."""
    random = np.random.default_rng(seed)
    shape = (rows, symbols)
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.02, shape), axis=0))
    opened = np.roll(close, 1, axis=0) * np.exp(random.normal(0, 0.005, shape))
    if rows:
        opened[0] = close[0] * 1.01
    high = np.maximum(opened, close) * np.exp(np.abs(random.normal(0, 0.006, shape)))
    low = np.minimum(opened, close) * np.exp(-np.abs(random.normal(0, 0.006, shape)))
    volume = np.rint(np.exp(random.normal(11, 0.5, shape)))
    days = np.repeat(_business_days(rows)[:, None], symbols, axis=1)
    bars = {"open": opened, "high": high, "low": low, "close": close}
    bars = {name: np.ascontiguousarray(values) * scale for name, values in bars.items()}
    return with_averages({**bars, "volume": volume * volume_scale, "date": days})


def flat(rows: int, symbols: int, *, price: float = 0.1, volume: float = 1000.0) -> dict[str, Series]:
    """The same price and volume every day."""
    shape = (rows, symbols)
    bars = {name: np.full(shape, price) for name in ("open", "high", "low", "close")}
    days = np.repeat(_business_days(rows)[:, None], symbols, axis=1)
    return with_averages({**bars, "volume": np.full(shape, volume), "date": days})


def _business_days(rows: int) -> Series:
    start = np.datetime64("2021-01-04")
    return np.busday_offset(start, np.arange(rows), roll="forward").astype(np.float64)


def inputs_of(spec: IndicatorSpec, params: Params, bars: Bars) -> Sequence[Series]:
    """What the kernel of `spec` takes, in its order."""
    return [bars[str(params[name]) if name not in SOURCES and name != "date" else name] for name in spec.inputs]


@cache
def real() -> Mapping[str, Bars]:
    """The real bars of each symbol, arrays of shape (rows,)."""
    result = {}
    for symbol, group in pd.read_parquet(REAL).sort_values(["symbol", "date"]).groupby("symbol"):
        bars = {name: group[name].to_numpy(np.float64) for name in ("open", "high", "low", "close", "volume")}
        days = pd.to_datetime(group["date"]).to_numpy().astype("datetime64[D]").astype(np.float64)
        result[str(symbol)] = with_averages({**bars, "date": days})
    return result
