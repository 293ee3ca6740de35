"""Numbers become bytes in their final form: answers of the fast path, tables of jobs, and the parts in between.

NaN inside is null, and an empty cell in CSV. Numbers are written so that reading them gives the same float64. Equal
input gives equal bytes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, groupby, repeat
from operator import attrgetter
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from common.answer import pack
from common.jobs import TableFormat
from common.query import Form, Interval
from common.version import ENGINE_VERSION
from worker import compression
from worker.compute import BarsFrame, Frame
from worker.market.bars import Floats

Column = NDArray[np.float64] | NDArray[np.int64]

_CHUNK = 16_384
"""Rows of a text format that are in memory as text at once."""

_QUOTED = frozenset('",')

_METADATA = b"kalpi"
"""Key in the metadata of an Arrow schema or a Parquet file: what JSON says beside the numbers, as JSON."""

_LEAST = 512
"""Bytes of an answer that is worth compressing, and the share of them that a coding may leave."""
_WORTHWHILE = 0.9

_WINDOWS = 64


# --- answers to one query


def pack_values(frame: Frame) -> bytes:
    """One answer as it is kept (`common.answer`): compressed here, once, and by nobody after."""
    body = encode_values(frame)
    form = frame.query.form
    if form is Form.PARQUET or len(body) < _LEAST:  # Parquet is compressed inside
        return pack(body)
    shared = _dates_as_json(frame.dates.tobytes()) if form is Form.JSON else b""
    return pack(body, _if_smaller(compression.gzip(body, shared), body), _if_smaller(compression.zstd(body), body))


def _if_smaller(coded: bytes, body: bytes) -> bytes | None:
    return coded if len(coded) <= _WORTHWHILE * len(body) else None


def encode_values(frame: Frame) -> bytes:
    """One answer in the form its query asks for, not compressed."""
    return _VALUES[frame.query.form](frame)


def _about(frame: Frame) -> dict[str, Any]:
    """What an answer says beside its numbers."""
    query = frame.query
    if isinstance(frame, BarsFrame):
        return {"symbol": query.symbol, "data_version": frame.data_version}
    about: dict[str, Any] = {
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
    }
    if query.interval is not Interval.DAY:
        about["last_bar_final"] = frame.last_bar_final
    if frame.history <= frame.lookback:
        first = f"{query.indicator} with these parameters has its first value in row {frame.lookback + 1}"
        about["warnings"] = [f"{query.symbol} has {frame.history} rows to compute on; {first}"]
    return about


def _values_as_json(frame: Frame) -> bytes:
    answer = _about(frame)
    answer["dates"] = orjson.Fragment(_dates_as_json(frame.dates.tobytes()))
    if isinstance(frame, BarsFrame):
        answer["values"] = _bars(frame.ohlcv)
    else:
        answer["values"] = dict(frame.outputs)
        if frame.ohlcv is not None:
            answer["ohlcv"] = _bars(frame.ohlcv)
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def _values_as_csv(frame: Frame) -> bytes:
    columns = _columns(frame)
    return _csv_line(["date", *columns]) + _csv_lines(_dates_as_text(frame.dates.tobytes()), list(columns.values()))


def _values_as_arrow(frame: Frame) -> bytes:
    table = _values_as_table(frame, {_METADATA: orjson.dumps(_about(frame))})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_batch(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def _values_as_parquet(frame: Frame) -> bytes:
    table = _values_as_table(frame)
    sink = pa.BufferOutputStream()
    with _parquet_writer(sink, table.schema, dictionaries=False) as writer:
        writer.write_batch(table)
        writer.add_key_value_metadata({_METADATA: orjson.dumps(_about(frame)).decode()})
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


_VALUES: Mapping[Form, Callable[[Frame], bytes]] = {
    Form.JSON: _values_as_json,
    Form.CSV: _values_as_csv,
    Form.ARROW: _values_as_arrow,
    Form.PARQUET: _values_as_parquet,
}


def _columns(frame: Frame) -> dict[str, Column]:
    """The numbers of an answer that is one table: the bars, then the outputs."""
    bars = _bars(frame.ohlcv) if frame.ohlcv is not None else {}
    return bars if isinstance(frame, BarsFrame) else {**bars, **frame.outputs}


def _bars(ohlcv: Mapping[str, Floats]) -> dict[str, Column]:
    """The bars as they are written: volume in whole numbers, unless the data has fractions."""
    volume = ohlcv["volume"]
    whole = np.rint(volume).astype(np.int64)
    return {**ohlcv, "volume": whole if np.array_equal(whole, volume) else volume}


def _values_as_table(frame: Frame, metadata: Mapping[bytes, bytes] | None = None) -> pa.RecordBatch:
    columns = _columns(frame)
    arrays = [_dates_as_arrow(frame.dates.tobytes()), *(_arrow(values) for values in columns.values())]
    fields = [pa.field(name, array.type) for name, array in zip(("date", *columns), arrays, strict=True)]
    return pa.record_batch(arrays, schema=pa.schema(fields, metadata))


def _arrow(values: Column) -> pa.Array:
    """Null where a value is not finite."""
    finite = np.isfinite(values)
    return pa.array(values, mask=None if finite.all() else ~finite)


# Dates of answers, from the bytes of their datetime64[D]. Most that are asked for at one time are of a few windows.


@lru_cache(_WINDOWS)
def _dates_as_json(days: bytes) -> bytes:
    return orjson.dumps(_dates(days).tolist())


@lru_cache(_WINDOWS)
def _dates_as_text(days: bytes) -> Sequence[str]:
    return np.datetime_as_string(_dates(days)).tolist()  # type: ignore[no-any-return]


@lru_cache(_WINDOWS)
def _dates_as_arrow(days: bytes) -> pa.Array:
    return pa.array(_dates(days).astype(np.int32)).cast(pa.date32())


def _dates(days: bytes) -> NDArray[np.datetime64]:
    return np.frombuffer(days, "datetime64[D]")


# --- tables of jobs


def encode_table(parts: Iterable[pa.Table], schema: pa.Schema, form: TableFormat, sink: BinaryIO) -> int:
    """Write `parts`, all of `schema`, one after the other as one table; returns the number of rows.

    One part is in memory at a time. Raises what reading a part or writing to `sink` raises.
    """
    return _TABLES[form](parts, schema, sink)


def _table_as_parquet(parts: Iterable[pa.Table], schema: pa.Schema, sink: BinaryIO) -> int:
    """A row group per part. No Arrow schema inside: a reader gets plain strings, dates and numbers."""
    rows = 0
    with _parquet_writer(sink, schema, dictionaries=["symbol", "date"]) as writer:
        for part in parts:
            if part.num_rows:
                writer.write_table(part.cast(schema), row_group_size=part.num_rows)
                rows += part.num_rows
    return rows


def _parquet_writer(sink: BinaryIO, schema: pa.Schema, *, dictionaries: list[str] | bool) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        use_dictionary=dictionaries,
        use_byte_stream_split=[field.name for field in schema if pa.types.is_floating(field.type)],
        store_schema=False,
    )


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


def _table_as_arrow(parts: Iterable[pa.Table], schema: pa.Schema, sink: BinaryIO) -> int:
    """A stream of a record batch per part; the symbols of each are a dictionary of its own."""
    rows = 0
    with pa.ipc.new_stream(sink, schema) as writer:
        for part in parts:
            if part.num_rows:
                writer.write_table(part.cast(schema).combine_chunks())
                rows += part.num_rows
    return rows


_TABLES: Mapping[TableFormat, Callable[[Iterable[pa.Table], pa.Schema, BinaryIO], int]] = {
    TableFormat.PARQUET: _table_as_parquet,
    TableFormat.CSV: _table_as_csv,
    TableFormat.JSON: _table_as_json,
    TableFormat.ARROW: _table_as_arrow,
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
    rows = _rows_of(columns, null="")
    return "".join(chain.from_iterable(zip(keys, repeat(","), rows, repeat("\n"), strict=False))).encode()


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
