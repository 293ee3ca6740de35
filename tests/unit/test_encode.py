"""Numbers into bytes and back."""

import csv
import gzip
import io
import json
import math
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.answer import unpack
from common.catalogue import CATALOGUE
from common.query import BARS, Form, IndicatorQuery, Interval
from common.version import ENGINE_VERSION
from tests.unit.encode_kit import AWKWARD
from worker import compression
from worker.compute import BarsFrame, Frame, ValuesFrame
from worker.encode import encode_values, pack_values


def frame(values: Sequence[float], form: Form, indicator: str = "sma", bars: bool = False) -> ValuesFrame:
    spec = CATALOGUE[indicator]
    array = np.array(values, np.float64)
    query = IndicatorQuery(
        "M&M",
        indicator,
        tuple(spec.defaults.items()),
        date(2024, 1, 1),
        date(2024, 2, 1),
        include_ohlcv=bars,
        form=form,
    )
    outputs = {output.name: array for output in spec.outputs}
    rows = len(values)
    return ValuesFrame(query, "abc", 19, days(rows), outputs, 500, ohlcv(rows) if bars else None)


def bars_frame(rows: int, form: Form) -> BarsFrame:
    query = IndicatorQuery("M&M", BARS, (), date(2024, 1, 1), date(2024, 2, 1), form=form)
    return BarsFrame(query, "abc", days(rows), ohlcv(rows))


def days(rows: int) -> np.ndarray:
    return np.datetime64("2024-01-01") + np.arange(rows)


def ohlcv(rows: int) -> dict[str, np.ndarray]:
    prices = {name: np.arange(rows) + 1.5 for name in ("open", "high", "low", "close")}
    return {**prices, "volume": np.arange(rows) + 1e6}


def table_of(frame: Frame) -> pa.Table:
    """What a reader finds in an Arrow stream or a Parquet file."""
    source = io.BytesIO(encode_values(frame))
    return pa.ipc.open_stream(source).read_all() if frame.query.form is Form.ARROW else pq.read_table(source)


def test_json_says_what_the_contract_says() -> None:
    answer = json.loads(encode_values(frame(AWKWARD, Form.JSON, "macd", bars=True)))
    assert list(answer) == [
        "symbol", "indicator", "params", "interval", "start_date", "end_date", "warmup", "lookback",
        "data_version", "engine_version", "dates", "values", "ohlcv",
    ]  # fmt: skip
    assert answer["params"] == {"fast_period": 12, "slow_period": 26, "signal_period": 9, "source": "close"}
    assert (answer["symbol"], answer["interval"], answer["warmup"]) == ("M&M", "1d", "full")
    assert (answer["start_date"], answer["dates"][1]) == ("2024-01-01", "2024-01-02")
    assert (answer["data_version"], answer["engine_version"]) == ("abc", ENGINE_VERSION)
    assert list(answer["values"]) == ["macd", "signal", "histogram"]
    assert answer["values"]["macd"] == [*AWKWARD[:-1], None]
    assert list(answer["ohlcv"]) == ["open", "high", "low", "close", "volume"]
    assert answer["ohlcv"]["volume"][0] == 1_000_000
    assert isinstance(answer["ohlcv"]["volume"][0], int)
    assert "ohlcv" not in json.loads(encode_values(frame(AWKWARD, Form.JSON)))


def test_a_longer_lookback_than_history_is_a_warning() -> None:
    short = replace(frame([math.nan] * 3, Form.JSON), history=19)
    (warning,) = json.loads(encode_values(short))["warnings"]
    assert warning == "M&M has 19 rows to compute on; sma with these parameters has its first value in row 20"
    assert "warnings" not in json.loads(encode_values(replace(short, history=20)))


def test_weeks_and_months_say_whether_the_last_is_over() -> None:
    daily = frame([1.0], Form.JSON)
    assert "last_bar_final" not in json.loads(encode_values(daily))
    for final in (True, False):
        weekly = replace(daily, query=replace(daily.query, interval=Interval.WEEK), last_bar_final=final)
        assert json.loads(encode_values(weekly))["last_bar_final"] is final


def test_csv_says_what_the_contract_says() -> None:
    lines = encode_values(frame(AWKWARD, Form.CSV, "macd")).decode().split("\n")
    assert lines[0] == "date,macd,signal,histogram"
    assert lines[-1] == ""
    cells = [line.split(",") for line in lines[1:-1]]
    assert [row[0] for row in cells[:2]] == ["2024-01-01", "2024-01-02"]
    for row, value in zip(cells, AWKWARD, strict=True):
        assert row[1:] == [""] * 3 if math.isnan(value) else [float(cell) for cell in row[1:]] == [value] * 3
    with_bars = encode_values(frame([1.0], Form.CSV, bars=True)).decode()
    assert with_bars == "date,open,high,low,close,volume,sma\n2024-01-01,1.5,1.5,1.5,1.5,1000000,1.0\n"


def test_nothing_is_still_well_formed() -> None:
    answer = json.loads(encode_values(frame([], Form.JSON)))
    assert (answer["dates"], answer["values"]) == ([], {"sma": []})
    assert encode_values(frame([], Form.CSV)) == b"date,sma\n"
    assert encode_values(frame([], Form.CSV, bars=True)) == b"date,open,high,low,close,volume,sma\n"


def test_infinity_is_never_written() -> None:
    for form in (Form.JSON, Form.CSV):
        assert b"inf" not in encode_values(frame([math.inf, -math.inf], form)).lower()
    for form in (Form.ARROW, Form.PARQUET):
        assert table_of(frame([math.inf, -math.inf], form)).column("sma").to_pylist() == [None, None]


BINARY = pytest.mark.parametrize("form", [Form.ARROW, Form.PARQUET])


@BINARY
def test_tables_say_what_the_contract_says(form: Form) -> None:
    table = table_of(frame(AWKWARD, form, "macd", bars=True))
    assert table.column_names == ["date", "open", "high", "low", "close", "volume", "macd", "signal", "histogram"]
    kinds = [pa.date32(), *[pa.float64()] * 4, pa.int64(), *[pa.float64()] * 3]
    assert table.schema.types == kinds
    assert table.column("date").to_pylist()[1] == date(2024, 1, 2)
    assert table.column("volume").to_pylist()[0] == 1_000_000
    assert table.column("macd").to_pylist() == [*AWKWARD[:-1], None]
    assert table_of(frame(AWKWARD, form)).column_names == ["date", "sma"]


@BINARY
def test_the_metadata_of_tables_say_the_rest(form: Form) -> None:
    for asked in (frame(AWKWARD, form, "macd"), replace(frame(AWKWARD, form), history=3)):
        as_json = replace(asked, query=replace(asked.query, form=Form.JSON))
        expected = json.loads(encode_values(as_json))
        del expected["dates"], expected["values"]
        metadata = table_of(asked).schema.metadata
        assert set(metadata) == {b"kalpi"}
        assert json.loads(metadata[b"kalpi"]) == expected
    assert json.loads(table_of(bars_frame(3, form)).schema.metadata[b"kalpi"]) == {
        "symbol": "M&M",
        "data_version": "abc",
    }


def test_pandas_reads_parquet_as_it_is() -> None:
    read = pd.read_parquet(io.BytesIO(encode_values(frame(AWKWARD, Form.PARQUET, bars=True))))
    assert list(read.columns) == ["date", "open", "high", "low", "close", "volume", "sma"]
    assert isinstance(read.index, pd.RangeIndex)
    assert read["volume"].dtype == np.int64
    np.testing.assert_array_equal(read["sma"], AWKWARD)


def test_parquet_is_compressed_as_tables_of_jobs_are() -> None:
    file = pq.ParquetFile(io.BytesIO(encode_values(frame(AWKWARD, Form.PARQUET))))
    assert file.num_row_groups == 1
    column = file.metadata.row_group(0).column(1)
    assert column.compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in column.encodings


@BINARY
def test_a_table_of_no_days(form: Form) -> None:
    table = table_of(frame([], form, bars=True))
    assert (table.num_rows, table.column_names[-1]) == (0, "sma")


@BINARY
def test_volume_with_fractions_stays_as_it_is(form: Form) -> None:
    asked = bars_frame(2, form)
    table = table_of(replace(asked, ohlcv={**asked.ohlcv, "volume": np.array([1.5, 2.0])}))
    assert table.column("volume").to_pylist() == [1.5, 2.0]


@given(st.lists(st.floats(), max_size=40))
def test_numbers_of_tables_come_back(values: list[float]) -> None:
    expected = [value if math.isfinite(value) else None for value in values]
    for form in (Form.ARROW, Form.PARQUET):
        assert table_of(frame(values, form)).column("sma").to_pylist() == expected


# --- bars


def test_bars_as_json() -> None:
    assert json.loads(encode_values(bars_frame(2, Form.JSON))) == {
        "symbol": "M&M",
        "data_version": "abc",
        "dates": ["2024-01-01", "2024-01-02"],
        "values": {
            "open": [1.5, 2.5],
            "high": [1.5, 2.5],
            "low": [1.5, 2.5],
            "close": [1.5, 2.5],
            "volume": [1_000_000, 1_000_001],
        },
    }
    assert b"1000000," in encode_values(bars_frame(2, Form.JSON))


def test_bars_as_csv() -> None:
    head = b"date,open,high,low,close,volume\n"
    assert encode_values(bars_frame(1, Form.CSV)) == head + b"2024-01-01,1.5,1.5,1.5,1.5,1000000\n"
    assert encode_values(bars_frame(0, Form.CSV)) == head


@BINARY
def test_bars_as_tables(form: Form) -> None:
    table = table_of(bars_frame(2, form))
    assert table.column_names == ["date", "open", "high", "low", "close", "volume"]
    assert table.schema.types == [pa.date32(), *[pa.float64()] * 4, pa.int64()]
    assert table.column("volume").to_pylist() == [1_000_000, 1_000_001]


# --- content codings


def unzstd(coded: bytes, size: int) -> bytes:
    return pa.Codec("zstd").decompress(coded, size, asbytes=True)


PRICES = np.random.default_rng(0).normal(100, 1, 250).tolist()


@pytest.mark.parametrize("form", [Form.JSON, Form.CSV, Form.ARROW])
@pytest.mark.parametrize("indicator", ["sma", BARS])
def test_answers_are_compressed(form: Form, indicator: str) -> None:
    asked = bars_frame(250, form) if indicator == BARS else frame(PRICES, form, indicator, bars=True)
    answer = unpack(pack_values(asked))
    assert answer.identity == encode_values(asked)
    assert answer.gzip is not None
    assert gzip.decompress(answer.gzip) == answer.identity
    assert answer.zstd is not None
    assert unzstd(answer.zstd, len(answer.identity)) == answer.identity
    assert max(len(answer.gzip), len(answer.zstd)) <= 0.9 * len(answer.identity)
    assert pack_values(asked) == pack_values(replace(asked))


def test_what_is_short_is_not_compressed() -> None:
    for asked in (frame([1.0], Form.JSON), frame([1.0] * 9, Form.CSV)):
        answer = unpack(pack_values(asked))
        assert len(answer.identity) < 512
        assert (answer.gzip, answer.zstd) == (None, None)


def test_parquet_is_not_compressed_again() -> None:
    answer = unpack(pack_values(frame(PRICES, Form.PARQUET)))
    assert len(answer.identity) > 512
    assert (answer.gzip, answer.zstd) == (None, None)


def test_what_compression_hardly_shortens_is_kept_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = frame(PRICES, Form.JSON)
    size = len(encode_values(asked))
    monkeypatch.setattr(compression, "gzip", lambda body, _: body[: int(0.9 * size)])
    monkeypatch.setattr(compression, "zstd", lambda body: body[: int(0.9 * size) + 1])
    answer = unpack(pack_values(asked))
    assert answer.gzip is not None
    assert answer.zstd is None


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300))
def test_gzip_comes_back_wherever_the_shared_piece_is(before: bytes, shared: bytes, after: bytes) -> None:
    body = before + shared + after
    for coded in (compression.gzip(body), compression.gzip(body, shared), compression.gzip(body, b"not there")):
        assert gzip.decompress(coded) == body
        reader = zlib.decompressobj(16 + zlib.MAX_WBITS)  # as clients read it: one member, complete
        assert reader.decompress(coded) == body
        assert reader.eof
        assert not reader.unused_data


def test_gzip_of_a_shared_piece_far_behind_comes_back() -> None:
    for before in (65_535, 65_536):
        body = b"x" * before + b"shared" + b"1.25," * 30_000
        assert gzip.decompress(compression.gzip(body, b"shared")) == body


@given(st.lists(st.floats(), max_size=40))
def test_numbers_come_back(values: list[float]) -> None:
    answer = json.loads(encode_values(frame(values, Form.JSON)))["values"]["sma"]
    cells = [row["sma"] for row in csv.DictReader(io.StringIO(encode_values(frame(values, Form.CSV)).decode()))]
    for value, number, cell in zip(values, answer, cells, strict=True):
        if math.isfinite(value):
            assert number == value
            assert float(cell) == value
        else:
            assert number is None
            assert cell == ""
