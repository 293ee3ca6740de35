"""Queries: one canonical form, one key."""

import dataclasses
from datetime import date
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.catalogue import CATALOGUE
from common.query import Form, IndicatorQuery, Warmup, read_date
from common.version import ENGINE_VERSION


def query(**more: Any) -> IndicatorQuery:  # noqa: ANN401
    params = tuple(CATALOGUE["macd"].defaults.items())
    given_ = {"symbol": "M&M", "indicator": "macd", "params": params, "start_date": date(2024, 1, 1)}
    return IndicatorQuery(**{**given_, "end_date": date(2024, 2, 1), **more})


def test_the_key_has_its_five_parts_behind_both_versions() -> None:
    assert query().cache_key("v1") == (
        f"values2:v1:{ENGINE_VERSION}:M&M:2024-01-01:2024-02-01:macd:"
        "fast_period=12,slow_period=26,signal_period=9,source=close,interval=1d,warmup=full,form=json"
    )


DIFFERENT = [
    {"symbol": "M"},
    {"indicator": "sma", "params": (("period", 20), ("source", "close"))},
    {"params": (("fast_period", 11), ("slow_period", 26), ("signal_period", 9), ("source", "close"))},
    {"start_date": date(2024, 1, 2)},
    {"end_date": date(2024, 2, 2)},
    {"warmup": Warmup.NONE},
    {"include_ohlcv": True},
    {"form": Form.CSV},
]


def test_every_difference_shows_in_the_key() -> None:
    queries = [query(), *(query(**change) for change in DIFFERENT)]
    assert len({q.cache_key("v1") for q in queries}) == len(queries)
    assert {f.name for f in dataclasses.fields(IndicatorQuery)} - {name for d in DIFFERENT for name in d} == {
        "interval"
    }
    assert query().cache_key("v1") != query().cache_key("v2")


@given(st.text(max_size=32), st.text(max_size=32))
def test_no_two_symbols_share_a_key(a: str, b: str) -> None:
    keys = {query(symbol=symbol).cache_key("v") for symbol in (a, b)}
    assert len(keys) == len({a, b})
    assert all(key.count(":") == 7 for key in keys)


@pytest.mark.parametrize("change", [{}, *DIFFERENT])
def test_messages_come_back(change: dict[str, Any]) -> None:
    sent = orjson.loads(orjson.dumps(query(**change).to_message()))
    assert IndicatorQuery.from_message(sent) == query(**change)


def test_a_message_from_before_an_indicator_gained_a_parameter_has_its_default() -> None:
    sent = query().to_message()
    del sent["params"]["signal_period"]
    assert IndicatorQuery.from_message(sent) == query()


def test_dates() -> None:
    assert read_date("2024-02-29") == date(2024, 2, 29)


@pytest.mark.parametrize(
    "raw",
    [
        "2024-02-31",
        "2023-02-29",
        "2024-1-1",
        "20240101",
        "2024-01-01T00:00",
        "",
        "0000-01-01",
        "٢٠٢٤-01-01",
        20240101,
        None,
    ],
)
def test_no_dates(raw: object) -> None:
    with pytest.raises(ValueError, match=r"is not a (date|day)"):
        read_date(raw)
