"""Bodies of jobs: what they mean, and what is said of those that mean nothing."""

from datetime import date
from types import MappingProxyType
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.bounds import MAX_ERRORS, MAX_SERIES, MAX_SYMBOLS
from api.job_body import JobPlan, read_job
from api.job_bounds import JobBounds
from common.dataset import Manifest, SymbolInfo
from common.errors import InvalidParameters, KalpiError, NotFound
from common.jobs import JobRequest, TableFormat
from common.query import Warmup
from common.settings import Settings
from common.tiers import TIERS, TierName

FREE, PRO, PREMIUM = (TIERS[name] for name in TierName)
FIRST, AS_OF = date(2022, 9, 30), date(2025, 9, 30)
SMA = [{"name": "sma"}]
BOUNDS = JobBounds.of(Settings())


def make_manifest(*names: str) -> Manifest:
    symbols = {name: SymbolInfo(name, FIRST, AS_OF, 756) for name in sorted(names)}
    return Manifest("v", AS_OF, 756 * len(names), synthetic=True, source={}, symbols=MappingProxyType(symbols))


MANIFEST = make_manifest("BAJAJ-AUTO", "M&M", "RELIANCE", "TCS")


def read(manifest: Manifest = MANIFEST, **fields: Any) -> JobPlan:  # noqa: ANN401
    return read_job(orjson.dumps({"symbols": ["TCS"], "indicators": SMA} | fields), manifest, PREMIUM, BOUNDS)


def faults(**fields: Any) -> dict[tuple[str | int, ...], str]:  # noqa: ANN401
    with pytest.raises(InvalidParameters) as found:
        read(**fields)
    return {e.loc: e.msg for e in found.value.errors}


def fault(*loc: str | int, **fields: Any) -> str:  # noqa: ANN401
    """What is said of the one place that is wrong."""
    found = faults(**fields)
    assert list(found) == [("body", *loc)]
    return found[("body", *loc)]


def labels(*indicators: object) -> list[str]:
    return [series.label for series in read(indicators=list(indicators)).request.series]


def test_defaults_are_those_of_the_tier() -> None:
    plan = read_job(orjson.dumps({"symbols": ["TCS"], "indicators": SMA}), MANIFEST, FREE, BOUNDS)
    assert plan.request == JobRequest(
        symbols=("TCS",),
        series=plan.request.series,
        start_date=date(2025, 6, 30),
        end_date=AS_OF,
        format=TableFormat.PARQUET,
    )
    assert plan.rank == 0
    assert read(format=None, start_date=None, warmup=None).request.start_date == FIRST
    assert read(format="arrow").request.format is TableFormat.ARROW


def test_symbols_are_sorted_and_distinct() -> None:
    assert read(symbols=["TCS", "M&M", "TCS"]).request.symbols == ("M&M", "TCS")
    assert read(symbols="*").request.symbols == tuple(MANIFEST.symbols)


def test_a_grid_is_every_combination() -> None:
    macd = {"name": "macd", "params": {"fast_period": [5, 10], "slow_period": [20, 30, 40]}}
    assert labels(macd) == [f"macd_{fast}_{slow}_9" for fast in (5, 10) for slow in (20, 30, 40)]
    assert read(indicators=[macd], symbols="*").request.cost == 4 * 6


def test_labels_name_what_differs() -> None:
    assert labels({"name": "sma", "as": "trend"}) == ["trend"]
    assert labels({"name": "sma", "as": "trend", "params": {"period": [7]}}) == ["trend"]
    grid = {"name": "sma", "as": "trend", "params": {"period": [7, 8], "source": ["close", "hl2"]}}
    assert labels(grid) == ["trend_7_close", "trend_7_hl2", "trend_8_close", "trend_8_hl2"]
    assert labels({"name": "sma"}, {"name": "sma", "params": {"source": "hl2"}}) == ["sma_20", "sma_20_hl2"]
    assert read(indicators=[{"name": "macd", "as": "m"}]).request.columns == ["m.macd", "m.signal", "m.histogram"]


@pytest.mark.parametrize(
    ("indicators", "place"),
    [
        ([{"name": "sma"}, {"name": "sma", "params": {"period": 20}}], 1),
        ([{"name": "sma", "params": {"period": [5, 5]}}], 0),
        ([{"name": "sma", "as": "x"}, {"name": "ema", "as": "x"}], 1),
        ([{"name": "macd", "as": "x"}, {"name": "sma", "as": "x.signal"}], 1),
        ([{"name": "sma", "as": "date"}], 0),
    ],
)
def test_no_column_is_there_twice(indicators: list[Any], place: int) -> None:
    assert "twice" in fault("indicators", place, indicators=indicators)


def test_a_bar_is_a_column_only_when_it_is_asked_for() -> None:
    closing = [{"name": "sma", "as": "close"}]
    assert read(indicators=closing).request.columns == ["close"]
    assert "twice" in fault("indicators", 0, indicators=closing, include_ohlcv=True)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("symbols", None, "is missing"),
        ("symbols", [], "is an empty list"),
        ("symbols", "TCS", "is a string"),
        ("symbols", 7, "is a number"),
        ("indicators", None, "is missing"),
        ("indicators", [], "is an empty list"),
        ("indicators", {}, "is an object"),
        ("start_date", "2025-02-30", "not a day of the calendar"),
        ("start_date", 20250101, "write YYYY-MM-DD"),
        ("start_date", "2025-10-01", "is after end_date 2025-09-30"),
        ("end_date", "soon", "write YYYY-MM-DD"),
        ("format", "xls", "'xls' is not one of parquet, csv, json, arrow, xlsx"),
        ("format", 1, "a number is not one of"),
        ("interval", "1h", "'1h' is not one of 1d"),
        ("warmup", True, "true is not one of full, none"),
        ("include_ohlcv", "yes", "is a string, not true or false"),
        ("fromat", "csv", "did you mean 'format'?"),
        ("webhook_uri", "https://example.com", "did you mean 'webhook_url'?"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object, said: str) -> None:
    assert said in fault(field, **{field: value})


@pytest.mark.parametrize(
    ("indicator", "loc", "said"),
    [
        (7, (), "is a number, not an object"),
        ({}, ("name",), "is missing"),
        ({"name": 3}, ("name",), "is a number"),
        ({"name": "sma", "param": {}}, ("param",), "did you mean 'params'?"),
        ({"name": "sma", "params": []}, ("params",), "is a list"),
        ({"name": "sma", "params": {"perod": 5}}, ("params", "perod"), "did you mean 'period'?"),
        ({"name": "sma", "params": {"period": 1}}, ("params", "period"), "1 is not between 2 and 100000"),
        ({"name": "sma", "params": {"period": 2.5}}, ("params", "period"), "not a whole number"),
        ({"name": "sma", "params": {"period": True}}, ("params", "period"), "not a whole number"),
        ({"name": "sma", "params": {"period": {}}}, ("params", "period"), "not a whole number"),
        ({"name": "sma", "params": {"period": []}}, ("params", "period"), "is an empty list"),
        ({"name": "sma", "params": {"period": [5, "x"]}}, ("params", "period", 1), "'x' is not a whole number"),
        ({"name": "sma", "params": {"period": [[5]]}}, ("params", "period", 0), "not a whole number"),
        ({"name": "sma", "params": {"source": "clsoe"}}, ("params", "source"), "did you mean 'close'?"),
        ({"name": "macd", "params": {"fast_period": [5, 30]}}, ("params", "fast_period"), "30 is not below"),
        ({"name": "sma", "as": "a b"}, ("as",), "is not 1 to 64 characters"),
        ({"name": "sma", "as": ""}, ("as",), "is not 1 to 64 characters"),
        ({"name": "sma", "as": "x" * 65}, ("as",), "is not 1 to 64 characters"),
        ({"name": "sma", "as": 5}, ("as",), "is not 1 to 64 characters"),
    ],
)
def test_a_wrong_indicator_is_named_by_its_place(indicator: object, loc: tuple[str | int, ...], said: str) -> None:
    assert said in fault("indicators", 1, *loc, indicators=[{"name": "ema"}, indicator])


def test_a_wrong_symbol_is_named_by_its_place() -> None:
    assert faults(symbols=["TCS", "", 5]) == {
        ("body", "symbols", 1): "is an empty string, not a symbol",
        ("body", "symbols", 2): "is a number, not a symbol",
    }


def test_all_that_is_wrong_is_said_at_once() -> None:
    found = faults(symbols=[], format="xls", indicators=[{"name": "sma", "params": {"period": [0, 1]}}])
    assert len(found) == 4
    assert len(faults(symbols=[5] * 1000)) == MAX_ERRORS


def test_names_that_are_not_there_come_after_wrong_values() -> None:
    with pytest.raises(NotFound, match="symbol 'TSC' not found") as symbol:
        read(symbols=["TCS", "TSC"])
    assert symbol.value.did_you_mean == ["TCS"]
    with pytest.raises(NotFound, match="indicator 'smaa' not found") as indicator:
        read(indicators=[{"name": "smaa", "params": {"x": 1}}])
    assert indicator.value.did_you_mean[0] == "sma"
    assert faults(symbols=["TSC"], format="xls")


def test_jobs_are_bounded() -> None:
    many = make_manifest(*(f"S{i:05}" for i in range(MAX_SYMBOLS + 1)))
    assert "5,001 symbols" in fault_of(many, symbols="*")
    periods = list(range(2, MAX_SERIES + 3))
    assert "more than 200 values" in fault("indicators", 0, "params", "period", indicators=[grid(periods)])
    assert len(read(indicators=[grid(periods[:MAX_SERIES])]).request.series) == MAX_SERIES
    fifteen = {"name": "macd", "params": {"fast_period": periods[:15], "slow_period": [p + 20 for p in periods[:15]]}}
    assert "more than 200 series" in fault("indicators", indicators=[fifteen])
    assert "more than 200 series" in fault("indicators", indicators=[grid(periods[:150]), grid(periods[:51], "ema")])
    assert "201 entries" in fault("indicators", indicators=[{"name": "sma"}] * 201)
    bands = [{"name": "bbands", "params": {"period": periods[:MAX_SERIES]}}]
    del_one = make_manifest(*list(many.symbols)[1:])
    assert "2,275,560,000 cells; a job may have 1,000,000,000" in fault_of(del_one, symbols="*", indicators=bands)


def test_a_sheet_is_bounded() -> None:
    wide = make_manifest(*(f"S{i:05}" for i in range(1_400)))
    all_of = {"symbols": "*", "format": "xlsx", "start_date": "2022-09-30"}
    assert fault_of(wide, **all_of) == (
        "xlsx: the table has about 1,058,401 rows, its header among them; a sheet may have 1,048,576;"
        " ask for another format"
    )
    assert read(make_manifest(*list(wide.symbols)[:1_386]), **all_of).rows == 1_047_816
    many = [grid(list(range(2, 30)))]
    assert "cells; a job in xlsx may have 20,000,000" in fault_of(
        make_manifest(*list(wide.symbols)[:1_000]), indicators=many, **all_of
    )


def test_a_tier_bounds_symbols_times_series() -> None:
    bounds = JobBounds.of(Settings(free_job_series=4, pro_job_series=8, premium_job_series=12))
    for count, rank in ((1, 0), (2, 1), (3, 2), (4, 3)):
        body = {"symbols": "*", "indicators": [grid(list(range(2, 2 + count)))]}
        assert read_job(orjson.dumps(body), MANIFEST, FREE, bounds).rank == rank


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (17, "is a number, not a URL"),
        ("https://", "host"),
        ("http://example.com/", "https"),
        ("https://127.0.0.1/", "is no public address"),
    ],
)
def test_a_webhook_goes_to_the_outside(url: object, said: str) -> None:
    assert said in fault("webhook_url", webhook_url=url)


def test_a_webhook_is_kept_with_the_plan() -> None:
    assert read().webhook_url is None
    assert read(webhook_url="https://example.com/kalpi").webhook_url == "https://example.com/kalpi"


def grid(periods: list[int], name: str = "sma") -> dict[str, Any]:
    return {"name": name, "params": {"period": periods}}


def fault_of(manifest: Manifest, **fields: Any) -> str:  # noqa: ANN401
    with pytest.raises(InvalidParameters) as found:
        read(manifest, **fields)
    return found.value.errors[0].msg


@pytest.mark.parametrize(
    ("fields", "rank"),
    [
        ({}, 0),
        ({"indicators": [{"name": "rsi"}]}, 1),
        ({"indicators": [{"name": "bbands"}]}, 2),
        ({"start_date": "2025-06-30"}, 0),
        ({"start_date": "2025-06-29"}, 1),
        ({"start_date": "2024-09-29"}, 2),
        ({"start_date": "2022-09-29"}, 3),
        ({"end_date": "2024-09-29"}, 2),
        ({"end_date": "2030-01-01"}, 0),
    ],
)
def test_the_rank_is_that_of_the_lowest_tier_that_may(fields: dict[str, Any], rank: int) -> None:
    body = orjson.dumps({"symbols": ["TCS"], "indicators": SMA} | fields)
    assert read_job(body, MANIFEST, FREE, BOUNDS).rank == rank


def test_rows_are_counted_or_estimated() -> None:
    assert read(symbols="*").rows == 4 * 756
    assert 55 <= read(start_date="2025-07-01").rows <= 70
    assert read(start_date="2025-10-01", end_date="2025-10-05").rows == 0


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"7", b'"x"', b"null", b"\xff", b'{"symbols": NaN}', b'{"a": ' + b"[" * 5000]
)
def test_what_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidParameters) as found:
        read_job(body, MANIFEST, FREE, BOUNDS)
    assert found.value.errors[0].loc == ("body",)


def test_numbers_too_long_to_be_read_are_refused() -> None:
    body = b'{"symbols": ["TCS"], "indicators": [{"name": "sma", "params": {"period": 1' + b"0" * 400 + b"}}]}"
    with pytest.raises(InvalidParameters):
        read_job(body, MANIFEST, FREE, BOUNDS)


def test_the_request_is_the_same_after_the_database() -> None:
    request = read(
        symbols="*", indicators=[{"name": "bbands", "params": {"multiplier": [1, 2.5]}}], warmup="none"
    ).request
    assert request.warmup is Warmup.NONE
    assert JobRequest.from_json(orjson.loads(orjson.dumps(request.to_json()))) == request


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=8,
)
_fields = st.sampled_from(
    ["symbols", "indicators", "start_date", "end_date", "interval", "warmup", "include_ohlcv", "format"]
)
_entries = st.lists(
    st.dictionaries(st.sampled_from(["name", "params", "as"]), _json | st.just("sma"), max_size=3), max_size=3
)


@given(st.dictionaries(_fields, _json | _entries, max_size=8))
def test_any_object_is_a_job_or_an_error_of_ours(fields: dict[str, Any]) -> None:
    try:
        plan = read_job(orjson.dumps({"symbols": ["TCS"], "indicators": SMA} | fields), MANIFEST, PREMIUM, BOUNDS)
    except KalpiError:
        return
    assert plan.request.cost > 0
