"""Byte ranges (RFC 9110, 14)."""

import re

_RANGES = re.compile(r"bytes=\s*(\d{0,18}-\d{0,18}(?:\s*,\s*\d{0,18}-\d{0,18}){0,15})\s*", re.IGNORECASE)

Range = tuple[int, int]
"""The first byte, and the one behind the last."""


def satisfiable(header: str | None, size: int) -> list[Range] | None:
    """The ranges of `header` that lie in a file of `size` bytes; None when the header is to be ignored.

    An unknown unit, a malformed range or one that ends before it begins makes the whole header void. An empty list
    means that there is nothing to serve. Of ranges that overlap or touch one is made, so none asks for a byte twice.
    """
    found = _RANGES.fullmatch(header) if header is not None else None
    if found is None:
        return None
    ranges = []
    for spec in found[1].split(","):
        first, _, last = spec.strip().partition("-")
        if not (first or last) or (first and last and int(first) > int(last)):
            return None
        start = int(first) if first else max(0, size - int(last))
        stop = min(int(last) + 1, size) if first and last else size
        if start < stop:
            ranges.append((start, stop))
    return ranges if len(ranges) < 2 else _joined(ranges)  # noqa: PLR2004 - one is joined already


def _joined(ranges: list[Range]) -> list[Range]:
    """In the order of the file."""
    joined: list[Range] = []
    for start, stop in sorted(ranges):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
        else:
            joined.append((start, stop))
    return joined
