"""The result store, as workers write and clear it. Names are those of `common.results`.

It is named by a URI: a folder of this machine, or whatever pyarrow has a filesystem for.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from uuid import uuid4

from typing_extensions import Buffer

from common.results import is_folder, local_folder
from common.settings import Settings

if TYPE_CHECKING:
    from worker.pieces.copying import Sink  # whose package loads numerics

_TAG = 32  # hexadecimal digits
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Store(Protocol):
    """Folders of jobs, with the pieces and the result of each."""

    era: str
    """Part of the names of files that are not durable: those of another era do not count."""

    def writing(self, name: str, *, durable: bool) -> AbstractContextManager["Sink"]:
        """To be written; it is there under `name`, complete, when the block ends well, and not at all otherwise.

        If `durable`, a crash of the machine does not take it away then.
        """
        ...

    def reading(self, name: str) -> BinaryIO:
        """Raises FileNotFoundError."""
        ...

    def keep_only(self, name: str) -> None:
        """Removes everything beside `name`."""
        ...

    def folders(self) -> list[str]:
        """Ids of the jobs that have a folder. What is not ours is left out."""
        ...

    def remove_folder(self, job_id: str) -> None:
        """What is not there need not go."""
        ...


def open_store(settings: Settings) -> Store:
    """Raises StartupError for a KALPI_RESULTS_URI that names nothing.

    Never before a fork: a remote store has threads.
    """
    folder = local_folder(settings)
    if folder is not None:
        return LocalStore(folder)
    from worker.remote_store import open_remote  # noqa: PLC0415 - pyarrow, for those alone who need it

    return open_remote(str(settings.results_uri))


class Counted:
    """A sink that knows how much went through it."""

    def __init__(self, sink: "Sink") -> None:
        self._sink = sink
        self.size = 0

    def write(self, data: Buffer, /) -> int:
        self._sink.write(data)
        size = memoryview(data).nbytes
        self.size += size
        return size

    def flush(self) -> None:
        """Whoever opened the sink does that."""


class Tagged(Counted):
    """As `Counted`; it also knows the strong ETag of what went through it, which a thread of its own works out."""

    def __init__(self, sink: "Sink") -> None:
        super().__init__(sink)
        self._hash = hashlib.sha256()
        self._hashing = ThreadPoolExecutor(1, thread_name_prefix="etag")
        self._last: Future[None] | None = None

    def write(self, data: Buffer, /) -> int:
        if self._last is not None:
            self._last.result()  # no more than one piece of it waits in memory
        self._last = self._hashing.submit(self._hash.update, bytes(data))
        return super().write(data)

    def etag(self) -> str:
        """Quoted as in the header. Nothing more is written then."""
        self._hashing.shutdown()
        return f'"{self._hash.hexdigest()[:_TAG]}"'


def describe_failure(error: OSError) -> str | None:
    """What a user may be told of it; None for what is not the store's own trouble."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT} or "HTTP status 507" in str(error):
        return "the result store is full"
    return None


@cache
def _boot() -> str:
    """Names this run of this machine; where the system has no name for it, this process."""
    try:
        return _BOOT_ID.read_text()[:8]
    except OSError:
        return uuid4().hex[:8]


class LocalStore:
    """A folder that all workers and the API share."""

    def __init__(self, folder: Path) -> None:
        self.era = _boot()
        self._folder = folder

    @contextmanager
    def writing(self, name: str, *, durable: bool) -> Iterator[BinaryIO]:
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with temporary.open("wb") as file:
                yield file
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
            if durable:
                _sync(path.parent)
                _sync(self._folder)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def reading(self, name: str) -> BinaryIO:
        return (self._folder / name).open("rb")

    def keep_only(self, name: str) -> None:
        path = self._folder / name
        with suppress(FileNotFoundError):
            for other in [other for other in path.parent.iterdir() if other != path]:
                if other.is_dir():
                    shutil.rmtree(other, ignore_errors=True)
                else:
                    other.unlink(missing_ok=True)

    def folders(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return [entry.name for entry in self._folder.iterdir() if entry.is_dir() and is_folder(entry.name)]

    def remove_folder(self, job_id: str) -> None:
        shutil.rmtree(self._folder / job_id, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Puts the names in `folder` on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
