"""Results in a filesystem of pyarrow. The one module of the API that knows it, loaded where the store is such a one."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any

from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.problems import problem
from api.ranges import Stored, satisfiable
from common.errors import StartupError, Unavailable

_CHUNK = 2**20


class RemoteResults:
    def __init__(self, filesystem: Any, path: str) -> None:  # noqa: ANN401 - pyarrow has no types
        self._filesystem = filesystem
        self._path = path.rstrip("/")

    async def response(self, stored: Stored, headers: Mapping[str, str]) -> Response | None:
        try:
            opened = await asyncio.to_thread(self._filesystem.open_input_file, f"{self._path}/{stored.name}")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable("result store") from error
        return RemoteFile(opened, stored, headers)


class RemoteFile(Response):
    """An open file, whole or one range of it; of several ranges that are asked for, all of it is given."""

    def __init__(self, opened: Any, stored: Stored, headers: Mapping[str, str]) -> None:  # noqa: ANN401 - as above
        super().__init__(headers=dict(headers), media_type=stored.media_type)
        self._opened = opened
        self._stored = stored

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        size = self._stored.size
        try:
            condition = request.headers.get("if-range")
            asked = request.headers.get("range") if condition in {None, self.headers["etag"]} else None
            ranges = satisfiable(asked, size)
            if ranges == []:
                refused = problem(request, 416, "No such range", {"Content-Range": f"bytes */{size}"})
                await refused(scope, receive, send)
                return
            first, last = _bounds(ranges[0], size) if ranges and len(ranges) == 1 else (0, size - 1)
            partial = ranges is not None and len(ranges) == 1
            headers = {
                **{name: value for name, value in self.headers.items() if name != "content-length"},
                "Accept-Ranges": "bytes",
                "Content-Length": str(last + 1 - first),
                "Content-Disposition": f'attachment; filename="{self._stored.filename}"',
                **({"Content-Range": f"bytes {first}-{last}/{size}"} if partial else {}),
            }
            body = self._chunks(first, last + 1)
            await StreamingResponse(body, 206 if partial else 200, headers)(scope, receive, send)
        finally:
            with suppress(OSError):
                await asyncio.to_thread(self._opened.close)

    async def _chunks(self, start: int, stop: int) -> AsyncIterator[bytes]:
        await asyncio.to_thread(self._opened.seek, start)
        while start < stop:
            chunk = await asyncio.to_thread(self._opened.read, min(_CHUNK, stop - start))
            if not chunk:
                raise OSError(f"{self._stored.name} ends before its end")
            yield chunk
            start += len(chunk)


def _bounds(spec: str, size: int) -> tuple[int, int]:
    """First and last byte of a range that lies in the file."""
    first, _, last = spec.partition("-")
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1


def open_remote(uri: str) -> RemoteResults:
    """Raises StartupError when pyarrow is not there, or does not know the URI."""
    try:
        from pyarrow import ArrowException, fs  # noqa: PLC0415 - so that its absence has a word
    except ImportError:
        raise StartupError(f"KALPI_RESULTS_URI is {uri!r}: the API needs pyarrow to serve results from there") from None
    try:
        return RemoteResults(*fs.FileSystem.from_uri(uri))
    except (ArrowException, ValueError, OSError) as error:
        raise StartupError(f"KALPI_RESULTS_URI is {uri!r}, which pyarrow does not know ({error})") from None
