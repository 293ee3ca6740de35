"""Results on their way out: whole or in byte ranges, a little at a time."""

import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from api.problems import problem
from api.ranges import Range, satisfiable

_CHUNK = 2**20
"""Each is a trip to a thread, and to the store. No more than one is in memory: the next is read when it is sent."""

_Stretch = tuple[bytes, Range]
"""Bytes of ours, and the range of the file that follows them."""

_NOTHING = (0, 0)


@dataclass(frozen=True, slots=True)
class Stored:
    """A result: its name in the store, its size in bytes, and how it is handed out."""

    name: str
    size: int
    etag: str
    media_type: str
    filename: str


class StoredFile(StreamingResponse):
    """Stretches of an open file, which is closed when they have been sent, however that ends."""

    def __init__(self, opened: BinaryIO, stretches: Sequence[_Stretch], status: int, headers: dict[str, str]) -> None:
        length = sum(len(before) + stop - start for before, (start, stop) in stretches)
        super().__init__(self._chunks(), status, {**headers, "Content-Length": str(length)})
        self._opened = opened
        self._stretches = stretches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._opened.close()

    async def _chunks(self) -> AsyncIterator[bytes]:
        for before, (start, stop) in self._stretches:
            if before:
                yield before
            for at in range(start, stop, _CHUNK):
                yield await run_in_threadpool(self._read, at, min(_CHUNK, stop - at))

    def _read(self, at: int, size: int) -> bytes:
        """A download that cannot go on breaks off: what has been sent cannot be taken back."""
        self._opened.seek(at)
        data = self._opened.read(size)
        if len(data) < size:
            raise EOFError(f"the result ends {size - len(data)} bytes before byte {at + size}")
        return data


def serve(request: Request, stored: Stored, opened: BinaryIO) -> Response:
    """`opened`, as much of it as the request asks for. Ranges that make no sense are ignored."""
    size = stored.size
    headers = {
        **_validators(stored),
        "Content-Type": stored.media_type,
        "Content-Disposition": f'attachment; filename="{stored.filename}"',
        "Accept-Ranges": "bytes",
    }
    if request.scope["state"].get("is_head"):
        opened.close()
        return Response(headers={**headers, "Content-Length": str(size)})
    match satisfiable(_asked(request, stored.etag), size):
        case None:
            return StoredFile(opened, [(b"", (0, size))], 200, headers)
        case []:
            opened.close()
            return problem(request, 416, "No such range", {"Content-Range": f"bytes */{size}"})
        case [one]:
            return StoredFile(opened, [(b"", one)], 206, {**headers, "Content-Range": _content_range(one, size)})
        case several:
            boundary = secrets.token_hex(16)
            headers["Content-Type"] = f"multipart/byteranges; boundary={boundary}"
            return StoredFile(opened, _multipart(several, stored, boundary), 206, headers)


def unchanged(stored: Stored) -> Response:
    """For who has it already."""
    return Response(status_code=304, headers=_validators(stored))


def _validators(stored: Stored) -> dict[str, str]:
    return {"ETag": stored.etag, "Cache-Control": "private, no-cache"}


def _asked(request: Request, etag: str) -> str | None:
    """The ranges that are asked for, unless of another result."""
    return request.headers.get("range") if request.headers.get("if-range") in {None, etag} else None


def _content_range(one: Range, size: int) -> str:
    return f"bytes {one[0]}-{one[1] - 1}/{size}"


def _multipart(ranges: list[Range], stored: Stored, boundary: str) -> list[_Stretch]:
    """RFC 9110, 14.6."""
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {stored.media_type}\r\n"
        f"Content-Range: {_content_range(one, stored.size)}\r\n\r\n"
        for one in ranges
    ]
    parts = [(head.encode(), one) for head, one in zip(heads, ranges, strict=True)]
    return [*parts, (f"\r\n--{boundary}--\r\n".encode(), _NOTHING)]
