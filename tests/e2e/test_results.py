"""Results on their way to the client, from a folder and from an object store."""

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from sqlalchemy import create_engine, text

from cli.backends import sqlalchemy_url
from tests.integration.job_kit import wait_until
from tests.object_store import LOGIN, ObjectStore, serving
from tests.stack import Account, Stack, started

MB = 2**20
BODY: dict[str, Any] = {
    "symbols": "*",
    "indicators": [{"name": "sma", "params": {"period": [10, 20]}}],
    "format": "csv",
}
GROWTH = 32 * MB


@dataclass(frozen=True)
class Result:
    job_id: str
    url: str
    file: str


@dataclass(frozen=True)
class Place:
    """A stack, a user of it, and the object store where its results lie if that is no folder."""

    stack: Stack
    account: Account
    client: httpx.Client
    objects: ObjectStore | None

    @classmethod
    def of(cls, stack: Stack, objects: ObjectStore | None = None) -> "Place":
        account = stack.create_user("premium")
        return cls(stack, account, stack.client(account), objects)

    def complete(self) -> Result:
        answer = self.client.post("/v1/jobs", json=BODY, headers={"Prefer": "wait=30"})
        job = answer.json()
        assert (answer.status_code, job["status"]) == (200, "completed")
        file = self.change("UPDATE jobs SET created_at = created_at WHERE id = :id RETURNING result_file", id=job["id"])
        return Result(job["id"], job["urls"]["result"], file)

    def enlarge(self, result: Result, size: int) -> None:
        """Makes it `size` zeros, as if it had been that from the start."""
        if self.objects is None:
            for length in (0, size):
                os.truncate(self.path(result), length)
        else:
            self.objects.objects[f"prefix/{result.file}"] = bytes(size)
        self.change("UPDATE jobs SET result_bytes = :size WHERE id = :id RETURNING id", id=result.job_id, size=size)

    def tear(self, result: Result) -> None:
        if self.objects is None:
            os.truncate(self.path(result), 100)
        else:
            self.objects.objects[f"prefix/{result.file}"] = b"torn"

    def remove(self, result: Result) -> None:
        if self.objects is None:
            self.path(result).unlink()
        else:
            del self.objects.objects[f"prefix/{result.file}"]

    def path(self, result: Result) -> Path:
        return self.stack.state_dir / "results" / result.file

    def change(self, statement: str, **values: object) -> Any:  # noqa: ANN401 - what the statement returns
        engine = create_engine(sqlalchemy_url(self.stack.up["database_url"]))
        try:
            with engine.begin() as connection:
                return connection.execute(text(statement), values).scalar_one()
        finally:
            engine.dispose()


@pytest.fixture(scope="module")
def places(stack: Stack, sample_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    """The same service twice, but for where results lie."""
    with ExitStack() as running:
        objects = running.enter_context(serving())
        far = running.enter_context(
            started(
                tmp_path_factory.mktemp("far") / "state",
                *("--data", str(sample_file), "--workers", "1"),
                env={**LOGIN, "KALPI_RESULTS_URI": objects.uri},
            )
        )
        made = {"folder": Place.of(stack), "object store": Place.of(far, objects)}
        yield made
        for place in made.values():
            place.client.close()


@pytest.fixture(scope="module", params=["folder", "object store"])
def place(request: pytest.FixtureRequest, places: dict[str, Place]) -> Place:
    return places[request.param]


def test_a_result_is_the_same_wherever_it_lies(places: dict[str, Place]) -> None:
    one, other = (place.client.get(place.complete().url) for place in places.values())
    assert one.content == other.content
    assert len(one.content) > 0
    changing = {"date", "content-disposition", "x-request-id"}
    assert {name: value for name, value in one.headers.items() if name not in changing} == {
        name: value for name, value in other.headers.items() if name not in changing
    }
    objects = places["object store"].objects
    assert objects is not None
    assert not any("/pieces/" in name for name in objects.files())
    assert not list((places["object store"].stack.state_dir / "results").glob("*"))


def test_ranges_conditions_and_heads(place: Place) -> None:
    get, url = place.client.get, place.complete().url
    whole = get(url)
    size, etag = len(whole.content), whole.headers["ETag"]
    assert whole.headers["Accept-Ranges"] == "bytes"
    piece = get(url, headers={"Range": "bytes=7-10"})
    assert (piece.status_code, piece.content) == (206, whole.content[7:11])
    assert (piece.headers["Content-Range"], piece.headers["ETag"]) == (f"bytes 7-10/{size}", etag)
    pieces = get(url, headers={"Range": "bytes=0-4,-3"})
    assert pieces.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    assert int(pieces.headers["Content-Length"]) == len(pieces.content)
    assert [whole.content[:5], whole.content[-3:]] == [
        part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in pieces.content.split(b"\r\n--")[1:-1]
    ]
    assert get(url, headers={"Range": "bytes=7-10", "If-Range": '"other"'}).content == whole.content
    assert get(url, headers={"Range": f"bytes={size}-"}).status_code == 416
    assert get(url, headers={"If-None-Match": etag}).status_code == 304
    head = place.client.head(url)
    assert (head.status_code, head.headers["Content-Length"], head.content) == (200, str(size), b"")


def test_a_result_that_has_vanished_or_is_torn_is_gone(place: Place) -> None:
    for harm in (place.remove, place.tear):
        result = place.complete()
        harm(result)
        answer = place.client.get(result.url)
        detail = f"The result of job {result.job_id} is no longer stored"
        assert (answer.status_code, answer.json()["detail"]) == (410, detail)


def test_a_download_whose_result_goes_ends_well_or_breaks_off(place: Place) -> None:
    result, size = place.complete(), 64 * MB
    place.enlarge(result, size)
    got = 0
    try:
        with place.client.stream("GET", result.url) as answer:
            for chunk in answer.iter_raw():
                if not got:
                    place.remove(result)
                assert not any(chunk)
                got += len(chunk)
    except httpx.RemoteProtocolError:
        assert place.objects is not None
        assert got < size
    else:
        assert place.objects is None
        assert got == size
    assert place.client.get(result.url).status_code == 410


def test_the_memory_of_the_api_does_not_grow_with_a_result(place: Place) -> None:
    """Its reader takes a little, then nothing until the API has stopped reading ahead of it, then the rest."""
    result, size = place.complete(), 256 * MB
    place.client.get(result.url)
    place.enlarge(result, size)
    api = psutil.Process(place.stack.pid("api"))
    before = api.memory_info().rss
    address = urlsplit(place.stack.url)
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        reader.settimeout(30)
        reader.connect((address.hostname, address.port))
        head = [f"GET {result.url} HTTP/1.1", "Host: kalpi", "Connection: close"]
        head += [f"{name}: {value}" for name, value in place.account.headers.items()]
        reader.sendall("\r\n".join([*head, "", ""]).encode())
        answer = reader.recv(4096, socket.MSG_WAITALL)
        assert f"\r\ncontent-length: {size}\r\n".encode() in answer.lower()
        got = len(answer.partition(b"\r\n\r\n")[2])
        wait_until(lambda: api.cpu_percent(0.2) < 20)
        assert api.memory_info().rss - before < GROWTH
        peak, buffer = 0, bytearray(MB)
        while count := reader.recv_into(buffer):
            peak = max(peak, api.memory_info().rss)
            got += count
    assert got == size
    assert peak - before < GROWTH
