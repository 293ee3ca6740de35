"""Thrift's compact protocol, where Parquet's footers are written in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.pieces.thrift import Reader, integer, list_head


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_come_back(value: int) -> None:
    written = integer(value)
    found = Reader(b"x" + written + b"y")
    found.position = 1
    assert found.integer() == (1, 1 + len(written), value)
    assert found.position == 1 + len(written)


def test_integers_as_thrift_writes_them() -> None:
    assert [integer(value).hex() for value in (0, -1, 1, -2, 63, 64, 2**31)] == [
        "00", "01", "02", "03", "7e", "8001", "8080808010"
    ]  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 14, 15, 16, 127, 128, 40_000])
def test_lists_of_any_length(count: int) -> None:
    message = list_head(count, 5) + b"".join(integer(i) for i in range(count))
    reader = Reader(message)
    assert [reader.integer().value for kind in reader.items() if kind == 5] == list(range(count))
    skipping = Reader(message)
    skipping.skip(9)
    assert skipping.position == len(message)


def test_what_is_not_wanted_is_skipped_whole() -> None:
    """A struct of every type: true, false, byte, i16, double, text, list of booleans, map, struct; then an i64."""
    inner = b"\x15\x02\x00"
    message = (
        b"\x11\x12\x13\x7f\x14\x03\x17" + b"\x00" * 8 + b"\x18\x03abc"
        b"\x19\x21\x01\x02\x1b\x01\x85\x01a\x04\x1c" + inner + b"\x06\xd0\x0f\x0e\x00"
    )  # fmt: skip
    reader = Reader(message)
    seen = []
    for number, kind in reader.fields():
        if number == 1000:
            seen.append(reader.integer().value)
        else:
            reader.skip(kind)
    assert seen == [7]
    assert reader.position == len(message)


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(ValueError, match="type 14"):
        Reader(b"").skip(14)
