"""Thrift's compact protocol, as far as it takes to find numbers in what somebody else has written, and to change them.

Source: "Thrift Compact protocol encoding" of Apache Thrift.
"""

from collections.abc import Iterator
from typing import NamedTuple

_DONE = 0
_BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 3, 7, 8, 9, 10, 11, 12
_INTEGERS = frozenset({4, 5, 6})
_BOOLEANS = frozenset({1, 2})
_LONG_LIST = 15


class Integer(NamedTuple):
    """An integer, and the bytes [start, stop) it is written in."""

    start: int
    stop: int
    value: int


class Reader:
    """Walks through one message. What `fields` and `items` announce must be read or skipped before they go on."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self.position = 0

    def fields(self) -> Iterator[tuple[int, int]]:
        """Number and type of each field of a struct."""
        number = 0
        while (head := self._byte()) != _DONE:
            delta, kind = head >> 4, head & 15
            number = number + delta if delta else _from_zigzag(self._varint())
            yield number, kind

    def items(self) -> Iterator[int]:
        """Type of each item of a list."""
        head = self._byte()
        count, kind = head >> 4, head & 15
        if count == _LONG_LIST:
            count = self._varint()
        for _ in range(count):
            yield kind

    def integer(self) -> Integer:
        start = self.position
        value = _from_zigzag(self._varint())
        return Integer(start, self.position, value)

    def skip(self, kind: int) -> None:  # noqa: C901 - one case per type
        """Whatever comes next, of that type, in a struct."""
        if kind in _INTEGERS:
            self._varint()
        elif kind == _BINARY:
            length = self._varint()
            self.position += length
        elif kind == _STRUCT:
            for _, inner in self.fields():
                self.skip(inner)
        elif kind in {_LIST, _SET}:
            for inner in self.items():
                self._skip_item(inner)
        elif kind == _BYTE:
            self.position += 1
        elif kind == _DOUBLE:
            self.position += 8
        elif kind == _MAP:
            self._skip_map()
        elif kind not in _BOOLEANS:  # a boolean of a struct is its type
            raise ValueError(f"type {kind} is none of Thrift's")

    def _skip_item(self, kind: int) -> None:
        """As `skip`, in a list or a map."""
        if kind in _BOOLEANS:
            self.position += 1
        else:
            self.skip(kind)

    def _skip_map(self) -> None:
        count = self._varint()
        kinds = self._byte() if count else 0
        for _ in range(count):
            self._skip_item(kinds >> 4)
            self._skip_item(kinds & 15)

    def _byte(self) -> int:
        byte = self._message[self.position]
        self.position += 1
        return byte

    def _varint(self) -> int:
        value, shift = 0, 0
        while (byte := self._byte()) >= 128:  # noqa: PLR2004 - the bit that says there is more
            value |= (byte & 127) << shift
            shift += 7
        return value | byte << shift


def _from_zigzag(value: int) -> int:
    return value >> 1 ^ -(value & 1)


def integer(value: int) -> bytes:
    """An integer as it is written."""
    return _unsigned(value << 1 if value >= 0 else ~value << 1 | 1)


def list_head(count: int, kind: int = _STRUCT) -> bytes:
    """What comes before so many items of a list."""
    return bytes([count << 4 | kind]) if count < _LONG_LIST else bytes([_LONG_LIST << 4 | kind]) + _unsigned(count)


def _unsigned(value: int) -> bytes:
    written = bytearray()
    while value >= 128:  # noqa: PLR2004 - as above
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)
