"""Files, whole or in byte ranges (RFC 9110, 14)."""

import re
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import FileResponse
from starlette.types import Receive, Scope, Send

from api.problems import problem

_RANGES = re.compile(r"bytes=\s*(\d{0,18}-\d{0,18}(?:\s*,\s*\d{0,18}-\d{0,18}){0,15})\s*")


@dataclass(frozen=True, slots=True)
class Stored:
    """A result: its name in the store, its size in bytes, and how it is handed out."""

    name: str
    size: int
    media_type: str
    filename: str


def satisfiable(header: str | None, size: int) -> list[str] | None:
    """The ranges of `header` that lie in a file of `size` bytes; None when the header is to be ignored.

    An unknown unit, a malformed range or one that ends before it begins makes the whole header void. An empty list
    means that there is nothing to serve.
    """
    found = _RANGES.fullmatch(header) if header is not None else None
    if found is None:
        return None
    served = []
    for spec in (part.strip() for part in found[1].split(",")):
        first, _, last = spec.partition("-")
        if not (first or last) or (first and last and int(first) > int(last)):
            return None
        if int(first) < size if first else int(last) > 0:
            served.append(spec)
    return served


class StoredFile(FileResponse):
    """A file whose size is known. Ranges that make no sense are ignored; where none is left, 416 as a problem."""

    chunk_size = 2**20  # each is a trip to a thread

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.stat_result is None:
            raise ValueError("stat_result is missing")
        size = self.stat_result.st_size
        request = Request(scope)
        ranges = satisfiable(request.headers.get("range"), size)
        if ranges == []:
            await problem(request, 416, "No such range", {"Content-Range": f"bytes */{size}"})(scope, receive, send)
            return
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        if ranges:
            headers.append((b"range", f"bytes={','.join(ranges)}".encode()))
        await super().__call__({**scope, "headers": headers}, receive, send)
