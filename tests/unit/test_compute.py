"""Queries and parts of jobs over a small market."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from celery.exceptions import SoftTimeLimitExceeded
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from common.catalogue import CATALOGUE
from common.errors import DataError, KalpiError, NotFound
from common.jobs import JobRequest, TableFormat
from common.query import BARS, IndicatorQuery, Interval, Warmup
from tests.unit.compute_kit import END, SOME, YOUNG, answer, of_kernel, query, request, whole
from worker import kernels
from worker.compute import BarsFrame, ValuesFrame, compute_table, compute_values, table_schema
from worker.market.bars import FIELDS
from worker.market.publish import publish
from worker.market.sample import generate
from worker.market.store import Market


def test_three_blocks(market: Market) -> None:
    assert [set(block.symbols) for block in market.blocks][2] == set(YOUNG)
    assert len(market.blocks) == 3


@pytest.mark.parametrize("indicator", SOME)
@pytest.mark.parametrize("symbol", ["SYN001", *YOUNG, "SYN006"])
def test_a_frame_is_the_kernel_cut_to_the_window(market: Market, indicator: str, symbol: str) -> None:
    start = date(2024, 5, 1)
    frame = answer(market, query(symbol, indicator, start))
    days = market.days(market.place(symbol)).astype("datetime64[D]")
    inside = (days >= np.datetime64(start)) & (days <= np.datetime64(END))
    np.testing.assert_array_equal(frame.dates, days[inside])
    expected = of_kernel(market, symbol, indicator)
    assert list(frame.outputs) == [output.name for output in CATALOGUE[indicator].outputs]
    for values, panel in zip(frame.outputs.values(), expected, strict=True):
        assert values.tobytes() == panel[inside, 0].tobytes()
    assert frame.lookback == CATALOGUE[indicator].lookback(CATALOGUE[indicator].defaults)
    assert frame.data_version == market.data_version


@given(st.integers(0, 365), st.integers(0, 365), st.sampled_from(SOME), st.sampled_from(["SYN001", "SYN002"]))
@settings(max_examples=60, deadline=None)
def test_a_value_does_not_depend_on_the_window(market: Market, a: int, b: int, indicator: str, symbol: str) -> None:
    start, end = (END - timedelta(days=d) for d in (max(a, b), min(a, b)))
    part = answer(market, query(symbol, indicator, start, end=end))
    full = answer(market, query(symbol, indicator))
    rows = np.isin(full.dates, part.dates)
    assert len(part.dates) == rows.sum()
    for name, values in part.outputs.items():
        assert values.tobytes() == full.outputs[name][rows].tobytes()


@pytest.mark.parametrize("indicator", SOME)
def test_without_warmup_only_the_window_is_seen(market: Market, indicator: str) -> None:
    frame = answer(market, query("SYN001", indicator, date(2024, 3, 1), warmup=Warmup.NONE))
    rows = len(frame.dates)
    expected = of_kernel(market, "SYN001", indicator, rows)
    for values, panel in zip(frame.outputs.values(), expected, strict=True):
        assert values.tobytes() == panel[:, 0].tobytes()
        assert np.isnan(values[: frame.lookback]).all()


@pytest.mark.parametrize("warmup", Warmup)
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (date(1990, 1, 1), date(1990, 2, 1)),
        (date(2030, 1, 1), date(2031, 1, 1)),
        (date(2024, 6, 22), date(2024, 6, 23)),  # a weekend
        (date(2024, 6, 1), date(2024, 5, 1)),
    ],
)
def test_outside_the_data_is_empty(market: Market, warmup: Warmup, start: date, end: date) -> None:
    for indicator in SOME:
        frame = answer(market, query("SYN001", indicator, start, end=end, warmup=warmup, include_ohlcv=True))
        assert len(frame.dates) == 0
        assert frame.ohlcv is not None
        assert all(len(values) == 0 for values in (*frame.outputs.values(), *frame.ohlcv.values()))


def test_bars_come_along(market: Market) -> None:
    frame = answer(market, query("SYN006", start=date(2024, 6, 1), include_ohlcv=True))
    assert frame.ohlcv is not None
    assert list(frame.ohlcv) == list(FIELDS)
    for field, values in frame.ohlcv.items():
        np.testing.assert_array_equal(values, whole(market, "SYN006", field)[-len(values) :, 0])


def test_many_at_once_are_as_many_alone(market: Market) -> None:
    asked = [
        query(symbol, indicator, start, warmup=warmup)
        for symbol in market.manifest.symbols
        for indicator in SOME
        for start in (date(2024, 1, 1), date(2024, 6, 1))
        for warmup in Warmup
    ]
    asked += asked[::5]
    for one, frame in zip(asked, compute_values(market, asked), strict=True):
        alone = answer(market, one)
        assert isinstance(frame, ValuesFrame)
        assert frame.query == one
        for name, values in frame.outputs.items():
            assert values.tobytes() == alone.outputs[name].tobytes()


def test_a_wrong_query_is_its_own_answer(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(kernels, "KERNELS", {**kernels.KERNELS, "rsi": broken})
    good, unknown, bad = compute_values(market, [query("SYN001"), query("SYN01"), query("SYN001", "rsi")])
    assert isinstance(good, ValuesFrame)
    assert isinstance(unknown, NotFound)
    assert isinstance(bad, KalpiError)
    assert "secret" not in str(bad)
    assert isinstance(bad.__cause__, ZeroDivisionError)


# --- tables


@pytest.mark.parametrize("warmup", Warmup)
def test_a_table_holds_what_single_queries_answer(market: Market, warmup: Warmup) -> None:
    asked = request(market, SOME, warmup=warmup, include_ohlcv=True)
    table, errors = compute_table(market, asked, asked.symbols[::-1])
    assert errors == []
    assert table.schema == table_schema(asked)
    assert table.column_names == ["symbol", "date", *asked.columns]
    assert table.schema.field("volume").type == pa.int64()
    frame = table.to_pandas()
    keys = list(zip(frame["symbol"].astype(str), frame["date"], strict=True))
    assert keys == sorted(keys)
    for symbol, rows in frame.groupby("symbol", observed=True):
        for series in asked.series:
            single = answer(market, query(str(symbol), series.indicator, asked.start_date, warmup=warmup))
            np.testing.assert_array_equal(rows["date"].to_numpy().astype("datetime64[D]"), single.dates)
            for column, values in zip(series.columns, single.outputs.values(), strict=True):
                assert rows[column].to_numpy().tobytes() == values.tobytes() or np.array_equal(
                    rows[column].to_numpy(), values, equal_nan=True
                )
        np.testing.assert_array_equal(rows["volume"], whole(market, str(symbol), "volume")[-len(rows) :, 0])


def test_no_value_is_null_never_nan(market: Market) -> None:
    asked = request(market, ["sma"], start_date=date(2023, 1, 1))
    table, _ = compute_table(market, asked, ["SYN001", "SYN002"])
    column = table.column("sma_20")
    assert column.null_count == 2 * 19
    assert np.isfinite(column.drop_null().to_numpy()).all()


def test_the_cut_into_parts_does_not_show(market: Market) -> None:
    asked = request(market, SOME)
    together, _ = compute_table(market, asked, asked.symbols)
    parts = [compute_table(market, asked, [symbol])[0] for symbol in asked.symbols]
    plain = pa.schema(
        [
            table_schema(asked).field(i).with_type(pa.string() if not i else f.type)
            for i, f in enumerate(together.schema)
        ]
    )
    assert pa.concat_tables([p.cast(plain) for p in parts]).combine_chunks() == together.cast(plain).combine_chunks()


@pytest.mark.parametrize("error", [MemoryError(), ValueError("secret"), DataError("/srv/secret is missing")])
def test_a_failed_series_leaves_the_others(market: Market, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    of_sma = kernels.KERNELS["sma"]

    def broken(inputs: Any, params: Any, outputs: Any, scratch: Any) -> None:  # noqa: ANN401
        outputs[0][:] = 1.0
        if inputs[0].shape[1] == len(YOUNG):
            raise error
        of_sma(inputs, params, outputs, scratch)

    asked = request(market, ["ema", "sma"])
    expected, _ = compute_table(market, asked, asked.symbols)
    monkeypatch.setattr(kernels, "KERNELS", {**kernels.KERNELS, "sma": broken})
    with capture_logs() as logs:
        table, errors = compute_table(market, asked, asked.symbols)
    assert [entry["event"] for entry in logs] == ["series_failed"]
    assert [(e.symbol, e.indicator) for e in errors] == [(symbol, "sma_20") for symbol in YOUNG]
    assert all("secret" not in e.detail and e.detail for e in errors)
    assert table.column("ema_20") == expected.column("ema_20")
    frame = table.to_pandas()
    young = frame["symbol"].isin(YOUNG)
    assert frame.loc[young, "sma_20"].isna().all()
    assert frame.loc[~young, "sma_20"].notna().all()


def test_being_told_to_stop_stops(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(kernels, "KERNELS", {**kernels.KERNELS, "sma": stopped})
    asked = request(market, ["sma"])
    with pytest.raises(SoftTimeLimitExceeded):
        compute_table(market, asked, asked.symbols)
    with pytest.raises(SoftTimeLimitExceeded):
        compute_values(market, [query("SYN001", "sma")])


def test_a_symbol_that_is_gone(market: Market) -> None:
    asked = request(market, ["sma", "ema"])
    table, errors = compute_table(market, asked, ["SYN001", "GONE"])
    assert {e.symbol for e in errors} == {"GONE"}
    assert len(errors) == 2
    assert set(table.column("symbol").to_pylist()) == {"SYN001"}
    empty, _ = compute_table(market, asked, ["GONE"])
    assert empty.num_rows == 0
    assert empty.schema == table_schema(asked)


# --- bars


def bars_query(symbol: str, start: date = date(2023, 1, 1), **more: Any) -> IndicatorQuery:  # noqa: ANN401
    return IndicatorQuery(symbol, BARS, (), start, more.pop("end", END), **more)


@pytest.mark.parametrize("interval", list(Interval))
@pytest.mark.parametrize("symbol", ["SYN001", *YOUNG])
def test_bars_are_those_of_the_market_cut_to_the_window(market: Market, symbol: str, interval: Interval) -> None:
    start, end = date(2024, 3, 2), date(2024, 6, 2)
    (frame,) = compute_values(market, [bars_query(symbol, start, end=end, interval=interval)])
    assert isinstance(frame, BarsFrame)
    bars = market.at(interval)
    place = bars.place(symbol)
    days = bars.days(place).astype("datetime64[D]")
    inside = (days >= np.datetime64(start)) & (days <= np.datetime64(end))
    assert inside.any()
    np.testing.assert_array_equal(frame.dates, days[inside])
    assert tuple(frame.ohlcv) == FIELDS
    for field, values in frame.ohlcv.items():
        np.testing.assert_array_equal(values, bars.panel(place.block, field)[inside, place.column])
        assert values.flags.c_contiguous


def test_bars_and_indicators_are_answered_together(market: Market) -> None:
    asked = [
        query("SYN001", "sma", include_ohlcv=True),
        bars_query("NOPE"),
        bars_query("SYN001"),
        query("NOPE"),
        bars_query("SYN002", date(2024, 5, 1)),
        query("SYN002", "sma", date(2024, 5, 1)),
        bars_query("SYN003", END + timedelta(days=1), end=END + timedelta(days=9)),
    ]
    first, nowhere, bars, also_nowhere, late, of_late, after = compute_values(market, asked)
    assert isinstance(nowhere, NotFound)
    assert isinstance(also_nowhere, NotFound)
    assert isinstance(first, ValuesFrame)
    assert isinstance(of_late, ValuesFrame)
    assert isinstance(bars, BarsFrame)
    assert isinstance(late, BarsFrame)
    assert isinstance(after, BarsFrame)
    assert first.ohlcv is not None
    for field in FIELDS:
        np.testing.assert_array_equal(bars.ohlcv[field], first.ohlcv[field])
    np.testing.assert_array_equal(late.dates, of_late.dates)
    assert len(after.dates) == len(after.ohlcv["close"]) == 0
    assert [bars.query, late.query] == [asked[2], asked[4]]


def test_a_query_for_bars_comes_back_from_its_message() -> None:
    asked = bars_query("SYN001")
    assert IndicatorQuery.from_message(asked.to_message()) == asked
    assert ":ohlcv:" in asked.cache_key("v1")
    with pytest.raises(NotFound):
        _ = asked.spec


def test_a_table_of_bars_alone(market: Market) -> None:
    asked = JobRequest(("NOPE", "SYN001", "SYN002"), (), date(2024, 5, 1), END, TableFormat.CSV, include_ohlcv=True)
    assert asked.cost == 3
    table, errors = compute_table(market, asked, asked.symbols)
    assert table.column_names == ["symbol", "date", *FIELDS]
    assert [(error.symbol, error.indicator) for error in errors] == [("NOPE", BARS)]
    frame = table.to_pandas()
    for symbol in ("SYN001", "SYN002"):
        (single,) = compute_values(market, [bars_query(symbol, date(2024, 5, 1))])
        assert isinstance(single, BarsFrame)
        for field in FIELDS:
            np.testing.assert_array_equal(frame.loc[frame["symbol"] == symbol, field], single.ohlcv[field])


# --- weeks and months


@pytest.mark.parametrize("interval", [Interval.WEEK, Interval.MONTH])
def test_other_intervals(market: Market, interval: Interval) -> None:
    frame = answer(market, query("SYN001", "sma", params={"period": 3}, interval=interval, include_ohlcv=True))
    bars = market.at(interval)
    place = bars.place("SYN001")
    np.testing.assert_array_equal(frame.dates, bars.days(place).astype("datetime64[D]"))
    close = bars.panel(place.block, "close")[:, place.column]
    np.testing.assert_allclose(frame.outputs["sma"][2:], (close[2:] + close[1:-1] + close[:-2]) / 3, rtol=1e-12)
    assert frame.ohlcv is not None
    np.testing.assert_array_equal(frame.ohlcv["close"], close)
    assert frame.last_bar_final  # END is a Friday and the month's last day of trading


def test_the_last_bar_of_an_open_month_is_marked(tmp_path: Path) -> None:
    publish(generate(2, 1, date(2024, 6, 26)), tmp_path, {})
    market = Market.open(tmp_path)
    for interval in (Interval.WEEK, Interval.MONTH):
        assert not answer(market, query("SYN001", "sma", interval=interval)).last_bar_final
        assert answer(market, query("SYN001", "sma", interval=interval, end=date(2024, 6, 20))).last_bar_final
    assert answer(market, query("SYN001", "sma")).last_bar_final


def test_a_table_of_weeks(market: Market) -> None:
    asked = request(market, ["sma", "macd"], interval=Interval.WEEK, start_date=date(2023, 1, 1))
    table, errors = compute_table(market, asked, asked.symbols)
    assert not errors
    frame = table.to_pandas()
    for symbol in asked.symbols:
        single = answer(market, query(symbol, "sma", interval=Interval.WEEK))
        np.testing.assert_array_equal(frame.loc[frame["symbol"] == symbol, "sma_20"], single.outputs["sma"])
