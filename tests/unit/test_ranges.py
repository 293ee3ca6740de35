"""Byte ranges of RFC 9110."""

import pytest

from api.ranges import Range, satisfiable


@pytest.mark.parametrize(
    ("header", "served"),
    [
        (None, None),
        ("items=0-5", None),
        ("bytes=abc", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=5-2", None),
        ("bytes=0-1,5-2", None),
        ("bytes=0-" + "9" * 5000, None),
        ("bytes=" + ",".join(["0-0"] * 17), None),
        ("bytes=0-", [(0, 100)]),
        ("Bytes=0-", [(0, 100)]),
        ("bytes=0-9", [(0, 10)]),
        ("bytes=99-", [(99, 100)]),
        ("bytes=90-500", [(90, 100)]),
        ("bytes=-5", [(95, 100)]),
        ("bytes=-500", [(0, 100)]),
        ("bytes=0-9, 20-29", [(0, 10), (20, 30)]),
        ("bytes=20-29,0-9", [(0, 10), (20, 30)]),
        ("bytes=0-9,10-19", [(0, 20)]),
        ("bytes=0-50,20-29,-60", [(0, 100)]),
        ("bytes=0-9,100-", [(0, 10)]),
        ("bytes=100-", []),
        ("bytes=100-,-0", []),
        ("bytes=-0", []),
    ],
)
def test_which_ranges_of_a_hundred_bytes_are_served(header: str | None, served: list[Range] | None) -> None:
    assert satisfiable(header, 100) == served


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1"])
def test_nothing_lies_in_an_empty_file(header: str) -> None:
    assert satisfiable(header, 0) == []
