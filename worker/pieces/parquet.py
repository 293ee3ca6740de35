"""Pieces of a Parquet file: row groups that are joined as they are.

A part writes a file, nearly always of one row group. Its piece is that file, and how its footer describes the row
groups, cut at the numbers that say where in the file something lies: they are all that changes in a longer file.

    file | descriptions of its row groups | cuts: (start, stop, value) int64
    | rows, row groups, bytes of the row groups, of the file, of the descriptions, number of cuts: int64
"""

import io
import struct
from array import array
from collections.abc import Iterable
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from typing_extensions import Buffer

from worker.pieces.copying import Sink, TornPiece, copy, read_exactly, read_trailer
from worker.pieces.thrift import Integer, Reader, integer, list_head

_MAGIC = b"PAR1"
_TRAILER = struct.Struct("<qqqqqq")
_CUT = 24  # bytes
_FOOTER_TAIL = 8  # its length, and the magic

# Field numbers of parquet.thrift.
_NUM_ROWS, _ROW_GROUPS = 3, 4
_COLUMNS, _GROUP_OFFSET, _ORDINAL = 1, 5, 7
_CHUNK_OFFSETS, _CHUNK_METADATA = frozenset({2, 4, 6}), 3
_PAGE_OFFSETS = frozenset({9, 10, 11, 14})

_FIRST_ORDINAL = -1
"""In place of an offset: the number of a row group in the file. That of the second in its piece is one less."""


def open_writer(sink: BinaryIO, schema: pa.Schema, *, dictionaries: list[str] | bool) -> pq.ParquetWriter:
    """zstd, byte-stream-split floats. No Arrow schema inside: a reader gets plain strings, dates and numbers."""
    return pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        use_dictionary=dictionaries,
        use_byte_stream_split=[field.name for field in schema if pa.types.is_floating(field.type)],
        store_schema=False,
    )


def write_piece(table: pa.Table, sink: Sink, _first_row: int) -> None:
    file = _write_file(table, sink)
    footer = file.end[:-_FOOTER_TAIL]
    groups, description, cuts = _describe(footer)
    sink.write(description)
    sink.write(cuts.tobytes())
    data = file.size - len(file.end) - len(_MAGIC)
    sink.write(_TRAILER.pack(table.num_rows, groups, data, file.size, len(description), len(cuts) // 3))


def join(pieces: Iterable[BinaryIO], schema: pa.Schema, sink: Sink) -> None:
    position = len(_MAGIC)
    sink.write(_MAGIC)
    descriptions: list[bytes] = []
    rows = groups = 0
    for piece in pieces:
        size, (more_rows, more_groups, data, file, described, cut) = read_trailer(piece, _TRAILER)
        if file + described + cut * _CUT != size:
            raise TornPiece(f"it has {size} bytes and says otherwise")
        piece.seek(len(_MAGIC))
        copy(piece, sink, data)
        piece.seek(file)
        description, cuts = read_exactly(piece, described), array("q", read_exactly(piece, cut * _CUT))
        descriptions.append(_moved(description, cuts, position - len(_MAGIC), groups))
        position += data
        rows += more_rows
        groups += more_groups
    footer = _footer_of(schema, rows, groups, descriptions)
    sink.write(footer)
    sink.write(struct.pack("<i", len(footer)) + _MAGIC)


class _Passing:
    """A file on its way into a sink: how long it is, and its end, from `keep` on."""

    closed = False

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._keeps = False
        self.size = 0
        self.end = b""

    def keep(self) -> None:
        self._keeps = True

    def write(self, data: Buffer, /) -> int:
        written = memoryview(data).nbytes
        self._sink.write(data)
        self.size += written
        if self._keeps:
            self.end += bytes(data)
        return written

    def flush(self) -> None:
        """Whoever opened the sink does that."""

    def close(self) -> None:
        """As `flush`."""


def _write_file(table: pa.Table, sink: Sink) -> _Passing:
    """A file of one row group; of none without rows. The end that is kept is its footer."""
    file = _Passing(sink)
    with open_writer(pa.PythonFile(file, "w"), table.schema, dictionaries=["symbol", "date"]) as writer:
        if table.num_rows:
            writer.write_table(table, row_group_size=table.num_rows)
        file.keep()
    return file


def _describe(footer: bytes) -> tuple[int, bytes, "array[int]"]:
    """How many row groups there are, their descriptions, and the cuts in those."""
    reader = Reader(footer)
    for number, kind in reader.fields():
        if number != _ROW_GROUPS:
            reader.skip(kind)
            continue
        start, groups = reader.position, 0
        found: list[Integer] = []
        for _ in reader.items():
            start = start if groups else reader.position
            found += _offsets(reader, _FIRST_ORDINAL - groups)
            groups += 1
        cuts = array("q")
        for one in found:
            cuts.extend((one.start - start, one.stop - start, one.value))
        return groups, footer[start : reader.position] if groups else b"", cuts
    raise ValueError("the footer has no list of row groups")


def _offsets(reader: Reader, ordinal: int) -> list[Integer]:
    """The numbers of a row group that depend on where in the file it lies, in their order."""
    found: list[Integer] = []
    for number, kind in reader.fields():
        if number == _COLUMNS:
            for _ in reader.items():
                found += _chunk_offsets(reader)
        elif number == _GROUP_OFFSET:
            found.append(reader.integer())
        elif number == _ORDINAL:
            found.append(reader.integer()._replace(value=ordinal))
        else:
            reader.skip(kind)
    return [one for one in found if one.value]  # 0 stands for none


def _chunk_offsets(reader: Reader) -> list[Integer]:
    found: list[Integer] = []
    for number, kind in reader.fields():
        if number in _CHUNK_OFFSETS:
            found.append(reader.integer())
        elif number == _CHUNK_METADATA:
            for inner, inner_kind in reader.fields():
                if inner in _PAGE_OFFSETS:
                    found.append(reader.integer())
                else:
                    reader.skip(inner_kind)
        else:
            reader.skip(kind)
    return found


def _moved(description: bytes, cuts: "array[int]", by: int, groups: int) -> bytes:
    """The descriptions of row groups that lie `by` bytes further on, after `groups` others."""
    written: list[bytes] = []
    last = 0
    numbers = iter(cuts)
    for start, stop, value in zip(numbers, numbers, numbers, strict=True):
        moved = value + by if value >= 0 else _FIRST_ORDINAL - value + groups
        written += (description[last:start], integer(moved))
        last = stop
    written.append(description[last:])
    return b"".join(written)


def _footer_of(schema: pa.Schema, rows: int, groups: int, descriptions: list[bytes]) -> bytes:
    """The footer of an empty file, with the row groups and their rows in it."""
    empty = _write_file(schema.empty_table(), io.BytesIO()).end[:-_FOOTER_TAIL]
    reader = Reader(empty)
    written: list[bytes] = []
    last = 0
    for number, kind in reader.fields():
        start = reader.position
        reader.skip(kind)
        if number == _NUM_ROWS:
            written += (empty[last:start], integer(rows))
            last = reader.position
        elif number == _ROW_GROUPS:
            written += (empty[last:start], list_head(groups), *descriptions)
            last = reader.position
    return b"".join((*written, empty[last:]))
