"""Questions to the small market of the compute tests (`market` in conftest)."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from common.catalogue import CATALOGUE
from common.jobs import JobRequest, Series, TableFormat
from common.query import IndicatorQuery
from worker import kernels
from worker.compute import ValuesFrame, compute_values
from worker.market.store import Market

END = date(2024, 6, 28)
YOUNG = ["SYN002", "SYN005"]
SOME = ["sma", "ema", "rsi", "macd", "bbands", "atr", "mfi", "vwap"]
"""Indicators of one series and of several, with one output and with more, with the calendar as an input."""


def query(symbol: str, indicator: str = "ema", start: date | None = None, **more: Any) -> IndicatorQuery:  # noqa: ANN401
    params = CATALOGUE[indicator].read_params(more.pop("params", {}))
    return IndicatorQuery(
        symbol, indicator, tuple(params.items()), start or date(2023, 1, 1), more.pop("end", END), **more
    )


def answer(market: Market, asked: IndicatorQuery) -> ValuesFrame:
    (frame,) = compute_values(market, [asked])
    assert isinstance(frame, ValuesFrame)
    return frame


def whole(market: Market, symbol: str, source: str = "close") -> np.ndarray:
    place = market.place(symbol)
    return market.source_panel(place.block, source, [place.column])


def of_kernel(market: Market, symbol: str, indicator: str, last_rows: int = 0) -> Sequence[np.ndarray]:
    """With default parameters over all rows, or the last ones alone."""
    spec = CATALOGUE[indicator]
    names = [str(spec.defaults.get(name, name)) for name in spec.inputs]
    inputs = [np.ascontiguousarray(whole(market, symbol, name)[-last_rows:]) for name in names]
    return kernels.run(indicator, inputs, spec.defaults)


def request(market: Market, names: Sequence[str], **more: Any) -> JobRequest:  # noqa: ANN401
    series = []
    for name in names:
        spec = CATALOGUE[name]
        params = spec.defaults
        series.append(Series(spec.label(params), name, tuple(params.items())))
    defaults = {"start_date": date(2024, 5, 1), "end_date": END, "format": TableFormat.PARQUET}
    return JobRequest(tuple(market.manifest.symbols), tuple(series), **{**defaults, **more})
