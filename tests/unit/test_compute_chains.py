"""Indicators of indicators over a small market."""

from datetime import date
from typing import Any

import numpy as np
import pytest

from common.catalogue import CATALOGUE
from common.catalogue.chain import link
from common.jobs import JobRequest, Series, TableFormat
from tests.unit.compute_kit import END, answer, query
from worker import kernels
from worker.compute import compute_table
from worker.market.store import Market

CHAINS = [
    ("sma", "rsi(14)", "rsi", {}, 0),
    ("ema", "macd(5,10,3).histogram", "macd", {"fast_period": 5, "slow_period": 10, "signal_period": 3}, 2),
    ("bbands", "obv", "obv", {}, 0),
    ("rsi", "atr(7)", "atr", {"period": 7}, 0),
]


@pytest.mark.parametrize(("outer", "source", "inner", "params", "output"), CHAINS)
def test_an_output_as_source(
    market: Market,
    *,
    outer: str,
    source: str,
    inner: str,
    params: dict[str, Any],
    output: int,
) -> None:
    spec = CATALOGUE[inner]
    first = query("SYN001", inner, params=params)
    values = list(answer(market, first).outputs.values())[output]
    lookback = spec.lookback(dict(first.params))
    expected = kernels.run(outer, [values[lookback:, None].copy()], CATALOGUE[outer].defaults)
    frame = answer(market, query("SYN001", outer, params={"source": source}))
    assert frame.lookback == lookback + CATALOGUE[outer].lookback(CATALOGUE[outer].defaults)
    for got, panel in zip(frame.outputs.values(), expected, strict=True):
        assert np.isnan(got[: frame.lookback]).all()
        assert np.isfinite(got[frame.lookback])
        assert got[lookback:].tobytes() == panel[:, 0].tobytes()


def test_a_chain_of_four(market: Market) -> None:
    frame = answer(market, query("SYN001", "sma", params={"source": "ema(3,source=rsi(5,source=sma(4,source=obv)))"}))
    assert frame.lookback == 19 + 2 + 5 + 3
    (values,) = frame.outputs.values()
    assert np.isnan(values[: frame.lookback]).all()
    assert np.isfinite(values[frame.lookback :]).all()


def test_sources_that_begin_at_different_rows(market: Market) -> None:
    params = {"source": "sma(30)", "source2": "ema(5)", "period": 5}
    frame = answer(market, query("SYN001", "correl", params=params))
    (values,) = frame.outputs.values()
    one, two = (answer(market, query("SYN001", n, params={"period": p})) for n, p in (("sma", 30), ("ema", 5)))
    inputs = [np.ascontiguousarray(next(iter(f.outputs.values()))[29:, None]) for f in (one, two)]
    (expected,) = kernels.run("correl", inputs, {**CATALOGUE["correl"].defaults, "period": 5})
    assert values[29:].tobytes() == expected[:, 0].tobytes()
    assert frame.lookback == 29 + CATALOGUE["correl"].lookback({"period": 5})


@pytest.mark.parametrize("source", ["vwap(anchor=2024-02-01)", "ln(source=mom)", "zigzag(2,lookahead=true).pivot"])
@pytest.mark.parametrize("outer", ["ema", "sma", "rsi", "bbands"])
def test_a_source_with_gaps_takes_away_what_depends_on_it(market: Market, outer: str, source: str) -> None:
    inner = link(source)
    first = query("SYN001", inner.spec.name, params=dict(inner.params))
    values = list(answer(market, first).outputs.values())[inner.output]
    assert np.isnan(values[inner.lookback :]).any()
    expected = kernels.run(outer, [values[inner.lookback :, None].copy()], CATALOGUE[outer].defaults)
    frame = answer(market, query("SYN001", outer, params={"source": source}))
    for got, panel in zip(frame.outputs.values(), expected, strict=True):
        np.testing.assert_array_equal(got[inner.lookback :], panel[:, 0])


def test_a_recurrence_starts_where_its_source_does(market: Market) -> None:
    frame = answer(market, query("SYN001", "ema", params={"source": "vwap(anchor=2024-02-01)", "period": 5}))
    anchored = answer(market, query("SYN001", "vwap", params={"anchor": "2024-02-01"}))
    start = int(np.flatnonzero(np.isfinite(anchored.outputs["vwap"]))[0])
    assert start > 0
    assert np.isnan(frame.outputs["ema"][: start + 4]).all()
    assert np.isfinite(frame.outputs["ema"][start + 4 :]).all()


def test_a_chain_in_a_table_is_the_chain_of_a_query(market: Market) -> None:
    params = CATALOGUE["ema"].read_params({"source": "macd(5,10,3).signal"})
    series = Series("chained", "ema", tuple(params.items()))
    asked = JobRequest(tuple(market.manifest.symbols), (series,), date(2024, 1, 1), END, TableFormat.PARQUET)
    table, errors = compute_table(market, asked, asked.symbols)
    assert not errors
    frame = table.to_pandas()
    for symbol in asked.symbols:
        single = answer(market, query(symbol, "ema", date(2024, 1, 1), params={"source": "macd(5,10,3).signal"}))
        np.testing.assert_array_equal(frame.loc[frame["symbol"] == symbol, "chained"], single.outputs["ema"])
