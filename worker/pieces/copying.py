"""Bytes from one file into another, a little at a time."""

import io
import struct
from typing import BinaryIO, Protocol

from typing_extensions import Buffer

_CHUNK = 2**20


class Sink(Protocol):
    """What bytes go into; it need not be a file that can be looked back into."""

    def write(self, data: Buffer, /) -> int: ...

    def flush(self) -> None: ...


class TornPiece(Exception):  # noqa: N818
    """A piece that ends before its end."""


def copy(source: BinaryIO, sink: Sink, size: int | None = None) -> None:
    """The next `size` bytes, or all the rest. Raises TornPiece when there are fewer."""
    left = size
    while left is None or left > 0:
        chunk = source.read(_CHUNK if left is None else min(_CHUNK, left))
        if not chunk:
            if left is None:
                return
            raise TornPiece(f"{left} bytes are missing")
        sink.write(chunk)
        left = None if left is None else left - len(chunk)


def read_exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise TornPiece(f"{size - len(data)} bytes are missing")
    return data


def read_trailer(piece: BinaryIO, layout: struct.Struct) -> tuple[int, tuple[int, ...]]:
    """How many bytes come before the trailer, and what it says. Raises TornPiece when there is no room for one."""
    before = piece.seek(max(0, piece.seek(0, io.SEEK_END) - layout.size))
    return before, layout.unpack(read_exactly(piece, layout.size))
