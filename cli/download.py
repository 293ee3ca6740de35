"""Fetches a result, into a file by way of a `.part` file that a later attempt goes on with."""

import fcntl
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from os import SEEK_END
from pathlib import Path
from typing import BinaryIO

import httpx

from cli.client import Client, Refused
from common.errors import InvalidParameters

STDOUT = Path("-")

_AS_STORED = {"Accept-Encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Result:
    """What can be fetched from `path`: its own name, its size in bytes, and the tag that stands for these bytes."""

    path: str
    name: str
    size: int
    etag: str


def find_result(client: Client, job_path: str) -> Result:
    """The result of a job, known by its first byte."""
    path = f"{job_path}/result"
    response = client.ask("GET", path, headers=_AS_STORED | {"Range": "bytes=0-0"})
    size = response.headers.get("Content-Range", "").rpartition("/")[2]
    if not size.isdecimal():
        raise Refused(f"{response.url} is not served in ranges")
    name = file_name(response.headers.get("Content-Disposition", ""))
    return Result(path, name, int(size), response.headers.get("ETag", ""))


def file_name(disposition: str) -> str:
    """The name that a `Content-Disposition` gives, without any folder."""
    message = Message()
    message["Content-Disposition"] = disposition
    return Path(message.get_filename("")).name.lstrip(".") or "result"


# --- where to


def check_target(out: Path | None, *, force: bool) -> None:
    """Raises InvalidParameters for a place where nothing would be put."""
    if out is None or out == STDOUT or out.is_dir():
        return
    if not out.parent.is_dir():
        raise InvalidParameters.one("--out", f"there is no folder {out.parent}")
    if out.exists() and not force:
        raise InvalidParameters.one("--out", f"{out} is there already; --force overwrites it")


def target_of(result: Result, out: Path | None, *, force: bool) -> Path:
    """The file named, or one of the result's own name in the folder named or in this one."""
    if out is None or (out != STDOUT and out.is_dir()):
        out = (out or Path()) / result.name
    check_target(out, force=force)
    return out


@contextmanager
def opened(target: Path, result: Result) -> Iterator[tuple[BinaryIO, int]]:
    """Where the result is written, and how much an earlier attempt has left; a file takes its name when it is whole."""
    try:
        if target == STDOUT:
            yield sys.stdout.buffer, 0
            sys.stdout.buffer.flush()
            return
        # Named by the bytes it has a part of, so it never goes on with others.
        tag = re.sub(r"\W", "", result.etag)[:16]
        part = target.with_name(f"{target.name}.{tag}.part")
        with part.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refused(f"another command is writing {part}") from None
            if file.tell() > result.size:
                file.truncate(0)
            yield file, file.seek(0, SEEK_END)
            file.flush()
            part.replace(target)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Refused(f"cannot write {target}: {error.strerror or error}") from error


# --- the bytes


def copy(client: Client, result: Result, sink: BinaryIO, have: int, show: Callable[[int], None]) -> None:
    """All bytes but the first `have`. Where a connection breaks, the next one goes on."""
    while have < result.size:
        headers = _AS_STORED | ({"Range": f"bytes={have}-", "If-Range": result.etag} if have else {})
        try:
            with client.stream(result.path, headers=headers) as response:
                if not client.is_good(response):
                    continue
                if response.headers.get("Content-Length") != str(result.size - have):
                    raise Refused("the result has changed meanwhile; fetch it again")
                for piece in response.iter_raw():
                    sink.write(piece)
                    have += len(piece)
                    show(have)
                    client.patience.renew()
        except httpx.RequestError as error:
            client.wait_after(error)
