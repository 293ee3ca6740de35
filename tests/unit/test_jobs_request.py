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
    weights=st.lists(st.floats(0, 2000), min_size=1, max_size=60),
    most=st.floats(0.5, 200_000),
)
def test_parts_hold_every_symbol_once_in_order_and_are_about_equal(weights: list[float], most: float) -> None:
    symbols = [f"S{i:03d}" for i in range(len(weights))]
    parts = cut(symbols, weights, most)
    assert [symbol for part in parts for symbol in part] == symbols
    assert all(parts)
    assert cut(symbols, weights, most) == parts
    weight = dict(zip(symbols, weights, strict=True))
    share = sum(weights) / max(1, min(len(symbols), round(sum(weights) / most)))
    for part in parts:
        assert sum(weight[s] for s in part) <= share + 2 * max(weights) + 1e-6


def test_a_job_is_cut_into_as_few_parts_as_its_work_asks_for() -> None:
    symbols = [f"S{i:03d}" for i in range(500)]
    assert [len(part) for part in cut(symbols, [1.0] * 500, 100.0)] == [100] * 5
    assert [len(part) for part in cut(symbols, [1.0] * 500, 1e9)] == [500]
    assert [len(part) for part in cut(symbols, [1.0] * 500, 0.1)] == [1] * 500


def test_nothing_is_no_part() -> None:
    assert cut([], [], 100) == []
