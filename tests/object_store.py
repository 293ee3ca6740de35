"""A small object store that speaks as much of S3 as pyarrow asks for. What is in it is there to be looked at."""

import io
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "kalpi"
LOGIN = {"AWS_ACCESS_KEY_ID": "anyone", "AWS_SECRET_ACCESS_KEY": "anything", "AWS_EC2_METADATA_DISABLED": "true"}
"""Environment of its clients; it asks nobody who he is."""


@dataclass
class ObjectStore:
    """Objects by key, and uploads that nobody has completed: their key, and parts by number."""

    uri: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[str, tuple[str, dict[int, bytes]]] = field(default_factory=dict)
    is_full: bool = False
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def files(self) -> list[str]:
        """Keys below the prefix of `uri`, without the marks of empty folders."""
        return sorted(key.partition("/")[2] for key in self.objects if not key.endswith("/"))


@contextmanager
def serving() -> Iterator[ObjectStore]:
    """One on loopback, with an empty bucket; its URI has a prefix."""
    store = ObjectStore()
    handler = type("Handler", (_Handler,), {"store": store})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        store.uri = f"s3://{BUCKET}/prefix?endpoint_override=127.0.0.1:{server.server_port}&scheme=http&region=here"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield store
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    store: ObjectStore

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_PUT(self) -> None:
        key, query, body = self._read()
        if self.store.is_full:
            self._fail(507, "StorageFull")
        elif "uploadId" in query:
            self.store.uploads[query["uploadId"]][1][int(query["partNumber"])] = body
            self._answer(ETag='"part"')
        else:
            self.store.objects[key] = body
            self._answer(ETag='"whole"')

    def do_POST(self) -> None:
        key, query, body = self._read()
        if "uploads" in query:
            upload = f"upload-{next(self.store.numbers)}"
            self.store.uploads[upload] = (key, {})
            self._answer(_document("InitiateMultipartUploadResult", f"<UploadId>{upload}</UploadId>"))
        elif "uploadId" in query:
            key, parts = self.store.uploads.pop(query["uploadId"])
            self.store.objects[key] = b"".join(parts[number] for number in sorted(parts))
            self._answer(_document("CompleteMultipartUploadResult", "<ETag>whole</ETag>"))
        else:
            for doomed in re.findall(r"<Key>(.*?)</Key>", body.decode()):
                self.store.objects.pop(doomed, None)
            self._answer(_document("DeleteResult", ""))

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        key, query, _ = self._read()
        if "list-type" in query:
            self._answer(self._listing(query.get("prefix", ""), query.get("delimiter")))
        elif (content := self.store.objects.get(key)) is None:
            self._fail(404, "NoSuchKey")
        elif asked := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            self._answer(content[int(asked[1]) : int(asked[2]) + 1], 206)
        else:
            self._answer(content)

    def do_DELETE(self) -> None:
        self.store.objects.pop(self._read()[0], None)
        self._answer(status=204)

    def _read(self) -> tuple[str, dict[str, str], bytes]:
        """Key, query and body of a request; a path names the bucket first."""
        target = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(target.query, keep_blank_values=True).items()}
        key = unquote(target.path).removeprefix(f"/{BUCKET}").removeprefix("/")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = _unchunked(self.rfile)
        if self.headers.get("Content-Encoding") == "aws-chunked":
            body = _unchunked(io.BytesIO(body))
        return key, query, body

    def _listing(self, prefix: str, delimiter: str | None) -> bytes:
        keys, folders = [], set()
        for key in sorted(self.store.objects):
            if key.startswith(prefix):
                inner, found, _ = key[len(prefix) :].partition(delimiter or "\0")
                if found:
                    folders.add(f"{prefix}{inner}{delimiter}")
                else:
                    keys.append(key)
        listed = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{len(self.store.objects[key])}</Size></Contents>" for key in keys
        )
        listed += "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders))
        return _document("ListBucketResult", f"<IsTruncated>false</IsTruncated>{listed}")

    def _fail(self, status: int, code: str) -> None:
        self._answer(_document("Error", f"<Code>{code}</Code>"), status)

    def _answer(self, body: bytes = b"", status: int = 200, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _unchunked(source: BinaryIO) -> bytes:
    """What HTTP and, once more, S3 cut into chunks, each behind its size. Fields behind the last are dropped."""
    chunks = []
    while size := int(source.readline().partition(b";")[0], 16):
        chunks.append(source.read(size))
        source.readline()
    while source.readline().strip():
        pass
    return b"".join(chunks)


def _document(name: str, inside: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><{name}>{inside}</{name}>'.encode()
