"""Results on their way out: what of a file is sent, when it is read, and that it is closed."""

import asyncio
import email
import io
from dataclasses import dataclass, field

import pytest
from fastapi import Request
from starlette.types import Message, Scope

from api.stored_file import Stored, serve

MB = 2**20
CONTENT = bytes(range(100))
ETAG = '"abc"'


@dataclass
class Client:
    """Takes what is sent, and leaves when it has had `patience` bytes."""

    opened: io.BytesIO
    patience: int | None = None
    read_ahead: int = 0
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self.body += message["body"]
        self.read_ahead = max(self.read_ahead, 0 if self.opened.closed else self.opened.tell() - len(self.body))
        if self.patience is not None and len(self.body) >= self.patience:
            self.left.set()
            await asyncio.Event().wait()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}


def get(content: bytes = CONTENT, *, size: int | None = None, patience: int | None = None, **headers: str) -> Client:
    """A request for a file of `content` that should have `size` bytes; `is_head="1"` for HEAD."""
    client = Client(io.BytesIO(content), patience)
    state = {"is_head": True} if headers.pop("is_head", None) else {}
    named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope: Scope = {"type": "http", "method": "GET", "headers": named, "state": state, "asgi": {"spec_version": "2.3"}}
    stored = Stored("of-a-job", len(content) if size is None else size, ETAG, "text/csv", "kalpi.csv")

    async def answer() -> None:
        await serve(Request(scope), stored, client.opened)(scope, client.receive, client.send)

    try:
        asyncio.run(answer())
    finally:
        assert client.opened.closed
    return client


def test_the_whole_of_it() -> None:
    client = get()
    assert (client.status, client.body) == (200, CONTENT)
    assert client.headers == {
        "etag": ETAG,
        "cache-control": "private, no-cache",
        "content-type": "text/csv",
        "content-disposition": 'attachment; filename="kalpi.csv"',
        "accept-ranges": "bytes",
        "content-length": "100",
    }


@pytest.mark.parametrize(
    ("asked", "start", "stop"), [("bytes=0-0", 0, 1), ("bytes=90-", 90, 100), ("bytes=-3", 97, 100)]
)
def test_one_range(asked: str, start: int, stop: int) -> None:
    client = get(range=asked)
    assert (client.status, client.body) == (206, CONTENT[start:stop])
    assert client.headers["content-range"] == f"bytes {start}-{stop - 1}/100"
    assert client.headers["content-length"] == str(stop - start)


def test_several_ranges_come_as_parts_of_one_message() -> None:
    client = get(range="bytes=90-,0-4,2-9")
    assert client.status == 206
    assert int(client.headers["content-length"]) == len(client.body)
    assert "content-range" not in client.headers
    message = email.message_from_bytes(f"Content-Type: {client.headers['content-type']}\r\n".encode() + client.body)
    parts = message.get_payload()
    assert isinstance(parts, list)
    assert [(part["Content-Type"], part["Content-Range"]) for part in parts] == [
        ("text/csv", "bytes 0-9/100"),
        ("text/csv", "bytes 90-99/100"),
    ]
    boundary = message.get_boundary()
    assert boundary is not None
    bodies = [one.partition(b"\r\n\r\n")[2] for one in client.body.split(f"\r\n--{boundary}".encode())[1:-1]]
    assert bodies == [CONTENT[:10], CONTENT[90:]]


def test_no_range_that_lies_in_it() -> None:
    client = get(range="bytes=100-")
    assert (client.status, client.headers["content-range"]) == (416, "bytes */100")
    assert client.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("condition", "status"), [(ETAG, 206), ('"other"', 200), (f"W/{ETAG}", 200), ("Wed, 21 Oct 2026 07:28:00 GMT", 200)]
)
def test_a_range_of_what_was_had_before_alone(condition: str, status: int) -> None:
    assert get(range="bytes=5-", if_range=condition).status == status


@pytest.mark.parametrize("asked", ["", "bytes=5-6"])
def test_the_head_of_it_has_its_size_and_reads_nothing(asked: str) -> None:
    client = get(range=asked, is_head="1")
    assert (client.status, client.headers["content-length"], client.body) == (200, "100", b"")


def test_no_more_is_read_before_what_was_read_is_sent() -> None:
    client = get(bytes(5 * MB + 1))
    assert len(client.body) == 5 * MB + 1
    assert client.read_ahead == 0


def test_nothing_is_read_for_who_has_left() -> None:
    client = get(bytes(5 * MB), patience=2 * MB)
    assert len(client.body) == 2 * MB


def test_a_file_that_ends_too_soon_breaks_off_instead_of_ending_well() -> None:
    with pytest.raises(EOFError, match="10 bytes before byte 110"):
        get(size=110)
