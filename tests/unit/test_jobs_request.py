"""Jobs before any database: what they cost, which columns they have, how they are cut."""

from datetime import date
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import CATALOGUE
from common.jobs import ENDED, LIVE, JobRequest, JobState, Series, TableFormat, cut
from common.query import Warmup


def series(name: str, label: str | None = None) -> Series:
    params = CATALOGUE[name].defaults
    return Series(label or CATALOGUE[name].label(params), name, tuple(params.items()))


def request(**more: Any) -> JobRequest:  # noqa: ANN401
    fields = {
        "symbols": ("BAJAJ-AUTO", "M&M"),
        "series": (series("sma"), series("macd", "trend")),
        "start_date": date(2024, 1, 1),
        "end_date": date(2024, 2, 1),
        "format": TableFormat.CSV,
    }
    return JobRequest(**{**fields, **more})


def test_cost_is_symbols_times_series() -> None:
    assert request().cost == 4


def test_columns() -> None:
    own = ["sma_20", "trend.macd", "trend.signal", "trend.histogram"]
    assert request().columns == own
    assert request(include_ohlcv=True).columns == ["open", "high", "low", "close", "volume", *own]


@pytest.mark.parametrize("change", [{}, {"include_ohlcv": True}, {"warmup": Warmup.NONE}, {"format": TableFormat.JSON}])
def test_requests_come_back(change: dict[str, Any]) -> None:
    stored = orjson.loads(orjson.dumps(request(**change).to_json()))
    assert JobRequest.from_json(stored) == request(**change)


def test_a_job_stored_before_an_indicator_gained_a_parameter_has_its_default() -> None:
    stored = orjson.loads(orjson.dumps(request().to_json()))
    del stored["series"][1]["params"]["signal_period"]
    assert JobRequest.from_json(stored) == request()


def test_every_state_is_live_or_ended() -> None:
    assert set(JobState) == LIVE | ENDED
    assert not LIVE & ENDED


def test_every_format_has_a_media_type() -> None:
    assert len({form.media_type for form in TableFormat}) == len(TableFormat)


@given(
    rows=st.lists(st.integers(0, 2000), min_size=1, max_size=60),
    columns=st.integers(0, 50),
    cells=st.integers(1, 200_000),
)
def test_parts_hold_every_symbol_once_in_order(rows: list[int], columns: int, cells: int) -> None:
    symbols = [f"S{i:03d}" for i in range(len(rows))]
    sizes = dict(zip(symbols, rows, strict=True))
    parts = cut(symbols, sizes, columns, cells)
    assert [symbol for part in parts for symbol in part] == symbols
    assert all(parts)
    assert cut(symbols, sizes, columns, cells) == parts
    for part in parts:
        assert len(part) == 1 or sum(sizes[s] for s in part) * max(columns, 1) <= cells


def test_nothing_is_no_part() -> None:
    assert cut([], {}, 3, 100) == []
