"""Byte ranges of RFC 9110."""

import pytest

from api.ranges import satisfiable


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
        ("bytes=0-", ["0-"]),
        ("bytes=0-9", ["0-9"]),
        ("bytes=99-", ["99-"]),
        ("bytes=-5", ["-5"]),
        ("bytes=-500", ["-500"]),
        ("bytes=0-9, 20-29", ["0-9", "20-29"]),
        ("bytes=0-9,100-", ["0-9"]),
        ("bytes=100-", []),
        ("bytes=-0", []),
    ],
)
def test_which_ranges_of_a_hundred_bytes_are_served(header: str | None, served: list[str] | None) -> None:
    assert satisfiable(header, 100) == served
