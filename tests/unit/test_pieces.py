"""Tables of jobs as bytes: every format says the same, and equal tables are equal bytes."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from common.jobs import TableFormat
from tests.unit.encode_kit import AWKWARD
from worker.encode import encode_table, read_part, write_part

SYMBOLS = ["BAJAJ-AUTO", "M&M", 'a"b,c', "],[", "50%s", "é"]


def part(symbols: Sequence[str], bars: bool = True) -> pa.Table:
    rows = len(AWKWARD)
    codes = np.repeat(np.arange(len(symbols), dtype=np.int32), rows)
    numbers = pa.array(AWKWARD * len(symbols), from_pandas=True)
    columns: dict[str, Any] = {
        "symbol": pa.DictionaryArray.from_arrays(codes, pa.array(symbols, pa.string())),
        "date": pa.array(np.tile(np.arange(19_000, 19_000 + rows, dtype=np.int32), len(symbols))).cast(pa.date32()),
    }
    if bars:
        columns |= {"close": numbers, "volume": pa.array(np.arange(len(codes)) * 7)}
    columns |= {"sma_10": numbers, '100% "up"': numbers}
    return pa.table(columns)


def encoded(parts: Sequence[pa.Table], form: TableFormat) -> bytes:
    sink = io.BytesIO()
    assert encode_table(iter(parts), parts[0].schema, form, sink) == sum(p.num_rows for p in parts)
    return sink.getvalue()


def plain(table: pa.Table) -> list[dict[str, Any]]:
    return table.to_pylist()


PARTS = [part(SYMBOLS[:2]), part([]), part(SYMBOLS[2:])]
ROWS = [row for p in PARTS for row in plain(p)]


def test_parquet_table() -> None:
    file = pq.ParquetFile(io.BytesIO(encoded(PARTS, TableFormat.PARQUET)))
    assert plain(file.read()) == ROWS
    assert file.schema_arrow.field("symbol").type == pa.string()
    assert file.schema_arrow.field("date").type == pa.date32()
    assert file.schema_arrow.field("volume").type == pa.int64()
    assert file.num_row_groups == 2  # none for the empty part
    assert file.metadata.row_group(0).column(2).compression == "ZSTD"
    assert "BYTE_STREAM_SPLIT" in file.metadata.row_group(0).column(2).encodings


def test_arrow_table() -> None:
    with pa.ipc.open_stream(encoded(PARTS, TableFormat.ARROW)) as reader:
        batches = list(reader)
    assert [batch.num_rows for batch in batches] == [PARTS[0].num_rows, PARTS[2].num_rows]  # none for the empty part
    assert batches[0].schema == PARTS[0].schema
    assert [row for batch in batches for row in batch.to_pylist()] == ROWS


def test_json_table() -> None:
    assert json.loads(encoded(PARTS, TableFormat.JSON)) == [{**row, "date": row["date"].isoformat()} for row in ROWS]
    assert encoded([part(["A"], bars=False)], TableFormat.JSON).startswith(
        b'[{"symbol":"A","date":"2022-01-08","sma_10":0.1,"100% \\"up\\"":0.1}'
    )


def test_csv_table() -> None:
    text = encoded(PARTS, TableFormat.CSV).decode()
    assert text.splitlines()[0] == 'symbol,date,close,volume,sma_10,"100% ""up"""'
    assert "\r" not in text
    read = list(csv.DictReader(io.StringIO(text)))
    assert len(read) == len(ROWS)
    for cells, row in zip(read, ROWS, strict=True):
        assert (cells["symbol"], cells["date"]) == (row["symbol"], row["date"].isoformat())
        assert cells["volume"] == str(row["volume"])
        for name in ("close", "sma_10"):
            assert (float(cells[name]) if cells[name] else None) == row[name]


@pytest.mark.parametrize("form", TableFormat)
def test_equal_parts_give_equal_bytes(form: TableFormat) -> None:
    assert encoded(PARTS, form) == encoded([part(SYMBOLS[:2]), part([]), part(SYMBOLS[2:])], form)


@pytest.mark.parametrize("form", [TableFormat.CSV, TableFormat.JSON])
def test_text_does_not_show_the_parts(form: TableFormat) -> None:
    columns = [c for c in PARTS[0].column_names if c != "volume"]
    cut = [p.select(columns) for p in PARTS]
    assert encoded(cut, form) == encoded([part(SYMBOLS).select(columns)], form)


@pytest.mark.parametrize(
    ("form", "empty"),
    [(TableFormat.JSON, b"[]"), (TableFormat.CSV, b'symbol,date,close,volume,sma_10,"100% ""up"""\n')],
)
def test_a_table_of_nothing(form: TableFormat, empty: bytes) -> None:
    assert encoded([part([])], form) == empty
    assert pq.read_table(io.BytesIO(encoded([part([])], TableFormat.PARQUET))).num_rows == 0
    with pa.ipc.open_stream(encoded([part([])], TableFormat.ARROW)) as reader:
        assert reader.read_all() == part([])


def test_more_rows_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {form: encoded(PARTS, form) for form in TableFormat}
    monkeypatch.setattr("worker.encode._CHUNK", 7)
    assert {form: encoded(PARTS, form) for form in TableFormat} == whole


def test_parts_come_back(tmp_path: Path) -> None:
    for table in PARTS:
        with (tmp_path / "part").open("wb") as sink:
            write_part(table, sink)
        assert read_part(tmp_path / "part") == table
    torn = tmp_path / "torn"
    torn.write_bytes((tmp_path / "part").read_bytes()[:100])
    with pytest.raises(pa.ArrowInvalid):
        read_part(torn)
    with pytest.raises(OSError, match="absent"):
        read_part(tmp_path / "absent")
