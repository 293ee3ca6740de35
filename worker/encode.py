"""Numbers become bytes in their final form: answers of the fast path, tables of jobs, and the parts in between.

NaN inside is null in JSON and Parquet and an empty cell in CSV. Numbers are written so that reading them gives the
same float64. Equal input gives equal bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from common.jobs import TableFormat
from common.query import Form, Interval
from common.version import ENGINE_VERSION
from worker.compute import ValuesFrame
from worker.market.bars import Floats

Column = NDArray[np.float64] | NDArray[np.int64]

_CHUNK = 16_384
"""Rows of a text format that are in memory as text at once."""

_QUOTED = frozenset('",')


# --- answers to one query


def encode_values(frame: ValuesFrame) -> bytes:
    """One answer in the form its query asks for."""
    return _VALUES[frame.query.form](frame)


def _values_as_json(frame: ValuesFrame) -> bytes:
    query = frame.query
    answer: dict[str, Any] = {
        "symbol": query.symbol,
        "indicator": query.indicator,
        "params": dict(query.params),
        "interval": query.interval,
        "start_date": query.start_date,
        "end_date": query.end_date,
        "warmup": query.warmup,
        "lookback": frame.lookback,
        "data_version": frame.data_version,
        "engine_version": ENGINE_VERSION,
        "dates": frame.dates.tolist(),
        "values": dict(frame.outputs),
    }
    if query.interval is not Interval.DAY:
        answer["last_bar_final"] = frame.last_bar_final
    if frame.history <= frame.lookback:
        first = f"{query.indicator} with these parameters has its first value in row {frame.lookback + 1}"
        answer["warnings"] = [f"{query.symbol} has {frame.history} rows to compute on; {first}"]
    if frame.ohlcv is not None:
        answer["ohlcv"] = _bars(frame.ohlcv)
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _values_as_csv(frame: ValuesFrame) -> bytes:
    columns: dict[str, Column] = {**(_bars(frame.ohlcv) if frame.ohlcv is not None else {}), **frame.outputs}
    dates = np.datetime_as_string(frame.dates).tolist()
    return _csv_line(["date", *columns]) + _csv_lines(dates, list(columns.values()))


_VALUES: Mapping[Form, Callable[[ValuesFrame], bytes]] = {Form.JSON: _values_as_json, Form.CSV: _values_as_csv}


def _bars(ohlcv: Mapping[str, Floats]) -> dict[str, Column]:
    """The bars as they are written: volume in whole numbers, unless the data has fractions."""
    volume = ohlcv["volume"]
    whole = np.rint(volume).astype(np.int64)
    return {**ohlcv, "volume": whole if np.array_equal(whole, volume) else volume}


# --- tables of jobs


def encode_table(parts: Iterable[pa.Table], schema: pa.Schema, form: TableFormat, sink: BinaryIO) -> int:
    """Write `parts`, all of `schema`, one after the other as one table; returns the number of rows.

    One part is in memory at a time. Raises what reading a part or writing to `sink` raises.
    """
    return _TABLES[form](parts, schema, sink)


def _table_as_parquet(parts: Iterable[pa.Table], schema: pa.Schema, sink: BinaryIO) -> int:
    """A row group per part. No Arrow schema inside: a reader gets plain strings, dates and numbers."""
    numbers = [field.name for field in schema if pa.types.is_floating(field.type)]
    rows = 0
    with pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        use_dictionary=["symbol", "date"],
        use_byte_stream_split=numbers,
        store_schema=False,
    ) as writer:
        for part in parts:
            if part.num_rows:
                writer.write_table(part.cast(schema), row_group_size=part.num_rows)
                rows += part.num_rows
    return rows


def _table_as_csv(parts: Iterable[pa.Table], schema: pa.Schema, sink: BinaryIO) -> int:
    sink.write(_csv_line(schema.names))
    rows = 0
    for part in _chunks(parts):
        # Quoted once per symbol, not once per row.
        symbols, codes = _coded(part.column("symbol"))
        quoted = [_csv_cell(symbol) for symbol in symbols]
        keys = [f"{quoted[code]},{day}" for code, day in zip(codes, _days(part), strict=True)]
        sink.write(_csv_lines(keys, [_numbers(column) for column in part.columns[2:]]))
        rows += part.num_rows
    return rows


def _table_as_json(parts: Iterable[pa.Table], schema: pa.Schema, sink: BinaryIO) -> int:
    """An array of one object per row."""
    keys = [orjson.dumps(name).decode().replace("%", "%%") for name in schema.names]
    record = "{" + ",".join(f"{key}:%s" for key in keys) + "}"
    rows = 0
    for part in _chunks(parts):
        symbols, codes = _coded(part.column("symbol"))
        quoted = [orjson.dumps(symbol).decode() for symbol in symbols]
        numbers = _rows_of([_numbers(column) for column in part.columns[2:]], null="null")
        records = [
            record % (quoted[code], f'"{day}"', *row.split(","))
            for code, day, row in zip(codes, _days(part), numbers, strict=True)
        ]
        sink.write(b"," if rows else b"[")
        sink.write(",".join(records).encode())
        rows += part.num_rows
    sink.write(b"]" if rows else b"[]")
    return rows


_TABLES: Mapping[TableFormat, Callable[[Iterable[pa.Table], pa.Schema, BinaryIO], int]] = {
    TableFormat.PARQUET: _table_as_parquet,
    TableFormat.CSV: _table_as_csv,
    TableFormat.JSON: _table_as_json,
}


def _chunks(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows of `parts` in slices of at most _CHUNK, none of them empty."""
    for part in parts:
        for start in range(0, part.num_rows, _CHUNK):
            yield part.slice(start, _CHUNK)


def _coded(column: pa.ChunkedArray) -> tuple[list[str], list[int]]:
    """The distinct texts of a column, and per row the number of its text."""
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.unify_dictionaries().combine_chunks()
    return whole.dictionary.to_pylist(), whole.indices.to_pylist()


def _days(part: pa.Table) -> list[str]:
    days = part.column("date").to_numpy().astype("datetime64[D]")
    texts: list[str] = np.datetime_as_string(days).tolist()
    return texts


def _numbers(column: pa.ChunkedArray) -> Column:
    """As a numpy array, NaN for null."""
    return column.to_numpy()  # type: ignore[no-any-return]


# --- CSV


def _csv_cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.intersection(text) else text


def _csv_line(cells: Sequence[str]) -> bytes:
    return (",".join(map(_csv_cell, cells)) + "\n").encode()


def _csv_lines(keys: Sequence[str], columns: Sequence[Column]) -> bytes:
    """A line per row: its key, ready to be written, then its number of each column."""
    return "".join([f"{key},{row}\n" for key, row in zip(keys, _rows_of(columns, null=""), strict=True)]).encode()


def _rows_of(columns: Sequence[Column], null: str) -> Iterable[str]:
    """The numbers of each row, separated by commas.

    Neighbours of one type are formatted by orjson as one matrix, which is cut apart at its brackets.
    """
    if not len(columns[0]):
        return []
    runs = []
    for _, run in groupby(columns, key=attrgetter("dtype")):
        text = orjson.dumps(np.stack(list(run), axis=1), option=orjson.OPT_SERIALIZE_NUMPY).decode()
        runs.append(text[2:-2].replace("null", null).split("],["))
    return runs[0] if len(runs) == 1 else map(",".join, zip(*runs, strict=True))


# --- parts on their way into one table


def write_part(table: pa.Table, sink: BinaryIO) -> None:
    """Write a table for `read_part`: Arrow's own layout, no compression, so that reading is mapping."""
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_part(path: Path) -> pa.Table:
    """The table `write_part` wrote, memory-mapped. Raises OSError or pa.ArrowInvalid when it is not there or torn."""
    with pa.memory_map(str(path)) as source:
        return pa.ipc.open_file(source).read_all()
