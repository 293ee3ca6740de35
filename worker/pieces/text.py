"""Pieces of CSV and JSON: the lines of their rows."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO

import numpy as np
import orjson
import pyarrow as pa

from worker.pieces.copying import Sink, copy
from worker.text import Column, csv_cell, csv_line, csv_lines, rows_of

_CHUNK = 16_384
"""Rows that are in memory as text at once."""


def write_csv(table: pa.Table, sink: Sink, _first_row: int) -> None:
    for part in _chunks(table):
        # Quoted once per symbol, not once per row.
        symbols, codes = coded(part.column("symbol"))
        quoted = [csv_cell(symbol) for symbol in symbols]
        keys = [f"{quoted[code]},{day}" for code, day in zip(codes, _days(part), strict=True)]
        sink.write(csv_lines(keys, [_numbers(column) for column in part.columns[2:]]))


def join_csv(pieces: Iterable[BinaryIO], schema: pa.Schema, sink: Sink) -> None:
    sink.write(csv_line(schema.names))
    for piece in pieces:
        piece.seek(0)
        copy(piece, sink)


def write_json(table: pa.Table, sink: Sink, _first_row: int) -> None:
    """One object per row, commas between them."""
    keys = [orjson.dumps(name).decode().replace("%", "%%") for name in table.schema.names]
    record = "{" + ",".join(f"{key}:%s" for key in keys) + "}"
    separator = b""
    for part in _chunks(table):
        symbols, codes = coded(part.column("symbol"))
        quoted = [orjson.dumps(symbol).decode() for symbol in symbols]
        numbers = rows_of([_numbers(column) for column in part.columns[2:]], null="null")
        records = [
            record % (quoted[code], f'"{day}"', *row.split(","))
            for code, day, row in zip(codes, _days(part), numbers, strict=True)
        ]
        sink.write(separator)
        sink.write(",".join(records).encode())
        separator = b","


def join_json(pieces: Iterable[BinaryIO], _schema: pa.Schema, sink: Sink) -> None:
    """An array of what the pieces hold."""
    sink.write(b"[")
    separator = b""
    for piece in pieces:
        piece.seek(0)
        first = piece.read(1)
        if first:
            sink.write(separator + first)
            copy(piece, sink)
            separator = b","
    sink.write(b"]")


def _chunks(table: pa.Table) -> Iterator[pa.Table]:
    """Its rows in slices of at most _CHUNK, none of them empty."""
    for start in range(0, table.num_rows, _CHUNK):
        yield table.slice(start, _CHUNK)


def coded(column: pa.ChunkedArray) -> tuple[list[str], list[int]]:
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
