"""Pieces of an Arrow stream: its messages, without the schema that begins it and the mark that ends it.

Each piece brings a dictionary of its own for the symbols, which takes the place of the one before.
"""

import io
from collections.abc import Iterable
from typing import BinaryIO

import pyarrow as pa

from worker.pieces.copying import Sink, copy

_END = b"\xff\xff\xff\xff\x00\x00\x00\x00"


def write_piece(table: pa.Table, sink: Sink, _first_row: int) -> None:
    if not table.num_rows:
        return
    written = io.BytesIO()
    with pa.ipc.new_stream(written, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    with written.getbuffer() as stream:
        sink.write(stream[len(_head(table.schema)) : len(stream) - len(_END)])


def join(pieces: Iterable[BinaryIO], schema: pa.Schema, sink: Sink) -> None:
    sink.write(_head(schema))
    for piece in pieces:
        piece.seek(0)
        copy(piece, sink)
    sink.write(_END)


def _head(schema: pa.Schema) -> bytes:
    """The message that begins a stream."""
    written = io.BytesIO()
    with pa.ipc.new_stream(written, schema):
        pass
    return written.getvalue()[: -len(_END)]
