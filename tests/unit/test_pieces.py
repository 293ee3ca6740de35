"""Tables of jobs in pieces: every format says the same, and equal tables are equal bytes."""

import csv
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.compute
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from typing_extensions import Buffer

from common.errors import KalpiError
from common.jobs import XLSX_ROWS, TableFormat
from tests.unit.encode_kit import AWKWARD
from worker.pieces import TornPiece, join, parquet, write_piece
from worker.pieces.thrift import integer, list_head

SYMBOLS = ["BAJAJ-AUTO", "M&M", 'a"b,c', "],[", "50%s", "é", "=1+1", "@SUM(A1)"]


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


class OneWay:
    """A sink that cannot be looked back into."""

    def __init__(self) -> None:
        self.content = bytearray()

    def write(self, data: Buffer, /) -> int:
        self.content += data
        return len(memoryview(data))

    def flush(self) -> None:
        pass


def pieces_of(parts: Sequence[pa.Table], form: TableFormat) -> list[io.BytesIO]:
    pieces = []
    first_row = 0
    for table in parts:
        pieces.append(io.BytesIO())
        write_piece(table, form, pieces[-1], first_row)
        first_row += table.num_rows
    return pieces


def encoded(parts: Sequence[pa.Table], form: TableFormat) -> bytes:
    sink = OneWay()
    join(one_at_a_time(pieces_of(parts, form)), parts[0].schema, form, sink)
    return bytes(sink.content)


def one_at_a_time(pieces: Sequence[io.BytesIO]) -> Iterator[io.BytesIO]:
    """As a job opens them: none is there to be read when the next is."""
    for piece in pieces:
        with piece:
            yield piece


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


@pytest.mark.parametrize("count", [0, 1, 2, 14, 15, 16, 40])
def test_pieces_join_to_the_file_that_pyarrow_writes_at_once(count: int) -> None:
    """Byte for byte, however many row groups there are: a list of 15 is written in another way."""
    tables = [part([f"S{i:02}", f"T{i:02}"]) for i in range(count)] or [part([])]
    written = io.BytesIO()
    with parquet.open_writer(written, tables[0].schema, dictionaries=["symbol", "date"]) as writer:
        for table in tables[:count]:
            writer.write_table(table)
    assert encoded(tables, TableFormat.PARQUET) == written.getvalue()


@pytest.mark.parametrize("how", [{"memory_map": True}, {"pre_buffer": True}, {"pre_buffer": False}])
def test_parquet_is_read_in_every_way(how: dict[str, bool], tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(encoded(PARTS, TableFormat.PARQUET))
    table = pq.read_table(path, **how)
    table.validate(full=True)
    assert plain(table) == ROWS


def test_a_filter_leaves_out_row_groups(tmp_path: Path) -> None:
    """A job's parts are runs of its sorted symbols."""
    parts = [part(["A", "B"]), part(["C", "D"]), part(["E"])]
    path = tmp_path / "table.parquet"
    path.write_bytes(encoded(parts, TableFormat.PARQUET))
    dataset = pa.dataset.dataset(path)
    [fragment] = dataset.get_fragments()
    wanted = pa.dataset.field("symbol") == "D"
    assert [[g.id for g in f.row_groups] for f in fragment.split_by_row_group(wanted)] == [[1]]
    assert plain(dataset.to_table(filter=wanted)) == [row for row in plain(parts[1]) if row["symbol"] == "D"]


@pytest.mark.parametrize("count", [1, 16])
def test_every_row_group_is_where_the_footer_says(count: int) -> None:
    tables = [part([f"S{i:02}", f"T{i:02}"]) for i in range(count)]
    content = encoded(tables, TableFormat.PARQUET)
    file = pq.ParquetFile(io.BytesIO(content))
    assert (file.metadata.num_rows, file.num_row_groups) == (sum(t.num_rows for t in tables), count)
    end = 4
    for i, table in enumerate(tables):
        group = file.metadata.row_group(i)
        assert plain(file.read_row_group(i)) == plain(table)
        for j in range(group.num_columns):
            column = group.column(j)
            start = column.data_page_offset
            if column.has_dictionary_page:
                start = min(start, column.dictionary_page_offset)
            assert start == end
            end = start + column.total_compressed_size
        symbols = group.column(0).statistics
        assert (symbols.min, symbols.max) == (f"S{i:02}", f"T{i:02}")
    assert len(content) == end + file.metadata.serialized_size + 8
    found = pq.read_table(io.BytesIO(content), filters=[("symbol", "==", "T00")])
    assert plain(found) == plain(tables[0].filter(pa.compute.equal(tables[0]["symbol"].cast(pa.string()), "T00")))


def test_a_row_group_that_says_its_number_gets_its_own() -> None:
    """As the standard lets it; the pyarrow of today does not write it."""

    def row_groups(first: int) -> bytes:
        return b"".join(b"\x74" + integer(first + i) + b"\x00" for i in range(2))

    footer = b"\x49" + list_head(2) + row_groups(0) + b"\x00"
    count, description, cuts = parquet._describe(footer)
    assert (count, description) == (2, row_groups(0))
    assert parquet._moved(description, cuts, by=1000, groups=63) == row_groups(63)


def test_a_piece_of_more_row_groups_than_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pyarrow cuts what has more than a million rows."""
    write_table = pq.ParquetWriter.write_table

    def in_sevens(writer: pq.ParquetWriter, table: pa.Table, row_group_size: int) -> None:
        assert row_group_size
        write_table(writer, table, row_group_size=7)

    monkeypatch.setattr(pq.ParquetWriter, "write_table", in_sevens)
    file = pq.ParquetFile(io.BytesIO(encoded(PARTS, TableFormat.PARQUET)))
    assert plain(file.read()) == ROWS
    assert file.num_row_groups == sum(-(-p.num_rows // 7) for p in PARTS)


@pytest.fixture(scope="module")
def spreadsheet() -> bytes:
    return encoded(PARTS, TableFormat.XLSX)


def test_sheet(spreadsheet: bytes) -> None:
    [sheet] = openpyxl.load_workbook(io.BytesIO(spreadsheet))
    header, *rows = sheet.iter_rows()
    assert [cell.value for cell in header] == PARTS[0].column_names
    assert all(cell.font.bold for cell in header)
    assert sheet.freeze_panes == "C2"
    assert len(rows) == len(ROWS)
    for cells, row in zip(rows, ROWS, strict=True):
        symbol, day, *numbers = cells
        assert (symbol.value, symbol.data_type) == (row["symbol"], "s")
        assert (day.value.date(), day.number_format) == (row["date"], "yyyy-mm-dd")
        for cell, name in zip(numbers, list(row)[2:], strict=True):
            value = row[name]
            if value is None or abs(value) > 9.9e307:
                assert cell.value is None
            else:
                assert cell.value == pytest.approx(value, rel=1e-15)


def test_a_sheet_is_well_formed_and_has_its_rows_in_order(spreadsheet: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(spreadsheet)) as file:
        assert file.testzip() is None
        xml = ET.fromstring(file.read("xl/worksheets/sheet1.xml"))
    space = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
    numbers = [int(row.attrib["r"]) for row in xml.iter(f"{space}row")]
    assert numbers == list(range(1, len(ROWS) + 2))
    assert xml.find(f"{space}dimension") is None
    assert not list(xml.iter(f"{space}f"))  # no formula


@pytest.mark.parametrize("parts", [PARTS, [part([])]])
def test_a_sheet_can_be_filtered_down_to_its_last_row(parts: list[pa.Table]) -> None:
    content = encoded(parts, TableFormat.XLSX)
    last_row = 1 + sum(p.num_rows for p in parts)
    sheet = openpyxl.load_workbook(io.BytesIO(content)).active
    assert sheet.auto_filter.ref == f"A1:F{last_row}"
    with zipfile.ZipFile(io.BytesIO(content)) as file:
        assert f"Sheet1!$A$1:$F${last_row}<".encode() in file.read("xl/workbook.xml")
        assert not [name for name in file.namelist() if str(XLSX_ROWS - 1).encode() in file.read(name)]


def test_a_sheet_is_read_row_by_row(spreadsheet: bytes) -> None:
    book = openpyxl.load_workbook(io.BytesIO(spreadsheet), read_only=True)
    _, *rows = book.active.values
    book.close()
    assert [(symbol, day.date()) for symbol, day, *_ in rows] == [(row["symbol"], row["date"]) for row in ROWS]


def test_a_sheet_has_no_place_for_a_row_too_many() -> None:
    [table, *_] = PARTS
    room = XLSX_ROWS - 1 - table.num_rows
    write_piece(table, TableFormat.XLSX, OneWay(), room)
    with pytest.raises(KalpiError, match="more rows than the 1,048,575"):
        write_piece(table, TableFormat.XLSX, OneWay(), room + 1)


@pytest.mark.parametrize("form", [TableFormat.PARQUET, TableFormat.XLSX])
def test_a_torn_piece_is_told_from_a_whole_one(form: TableFormat) -> None:
    [piece] = pieces_of(PARTS[:1], form)
    whole = piece.getvalue()
    for torn in (whole[100:], whole[:-1], whole[:-100], whole[:10], b"", b"x" + whole):
        with pytest.raises(TornPiece):
            join([io.BytesIO(torn)], PARTS[0].schema, form, OneWay())


def test_arrow_table() -> None:
    with pa.ipc.open_stream(encoded(PARTS, TableFormat.ARROW)) as reader:
        batches = list(reader)
    assert [batch.num_rows for batch in batches] == [PARTS[0].num_rows, PARTS[2].num_rows]  # none for the empty part
    assert batches[0].schema == PARTS[0].schema
    assert [row for batch in batches for row in batch.to_pylist()] == ROWS
    with pa.ipc.open_stream(encoded(PARTS, TableFormat.ARROW)) as reader:
        assert plain(reader.read_all()) == ROWS


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
    sheet = openpyxl.load_workbook(io.BytesIO(encoded([part([])], TableFormat.XLSX))).active
    assert [[cell.value for cell in row] for row in sheet.iter_rows()] == [part([]).column_names]
    with pa.ipc.open_stream(encoded([part([])], TableFormat.ARROW)) as reader:
        assert reader.read_all() == part([])


def test_more_rows_than_a_chunk(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = {form: encoded(PARTS, form) for form in TableFormat}
    monkeypatch.setattr("worker.pieces.text._CHUNK", 7)
    monkeypatch.setattr("worker.pieces.copying._CHUNK", 11)
    assert {form: encoded(PARTS, form) for form in TableFormat} == whole
