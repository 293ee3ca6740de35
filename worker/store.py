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
from typing import Any, BinaryIO, Protocol
from uuid import UUID, uuid4

from typing_extensions import Buffer

from common.errors import StartupError
from common.results import local_folder
from common.settings import Settings

_TAG = 32  # hexadecimal digits
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Store(Protocol):
    """Folders of jobs, with the pieces and the result of each."""

    era: str
    """Part of the names of files that are not durable: those of another era do not count."""

    def writing(self, name: str, *, durable: bool) -> AbstractContextManager[BinaryIO]:
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
    """Raises StartupError for a KALPI_RESULTS_URI that names nothing."""
    folder = local_folder(settings)
    return LocalStore(folder) if folder is not None else _open_remote(str(settings.results_uri))


def _open_remote(uri: str) -> "RemoteStore":
    from pyarrow import ArrowException, fs  # noqa: PLC0415 - for those alone who need it: the sweeper does without

    try:
        filesystem, path = fs.FileSystem.from_uri(uri)
    except (ArrowException, ValueError, OSError) as error:
        raise StartupError(
            f"KALPI_RESULTS_URI is {uri!r}, which pyarrow does not know ({error});"
            " file:///folder and s3://bucket/prefix would be right"
        ) from None
    return RemoteStore(filesystem, path)


class Counted:
    """A sink that knows how much went through it."""

    def __init__(self, sink: BinaryIO) -> None:
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

    def __init__(self, sink: BinaryIO) -> None:
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
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
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
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def reading(self, name: str) -> BinaryIO:
        return (self._folder / name).open("rb")

    def keep_only(self, name: str) -> None:
        path = self._folder / name
        with suppress(FileNotFoundError):
            for other in [other for other in path.parent.iterdir() if other != path]:
                other.unlink(missing_ok=True)

    def folders(self) -> list[str]:
        if not self._folder.is_dir():
            return []
        return [entry.name for entry in self._folder.iterdir() if entry.is_dir() and _is_id(entry.name)]

    def remove_folder(self, job_id: str) -> None:
        shutil.rmtree(self._folder / job_id, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Puts the names in `folder` on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class RemoteStore:
    """A filesystem of pyarrow. What it has stored is durable."""

    era = "kept"

    def __init__(self, filesystem: Any, path: str) -> None:  # noqa: ANN401 - pyarrow has no types
        self._filesystem = filesystem
        self._path = path.rstrip("/")

    @contextmanager
    def writing(self, name: str, *, durable: bool) -> Iterator[BinaryIO]:  # noqa: ARG002 - all of it is
        path = f"{self._path}/{name}"
        self._filesystem.create_dir(path.rpartition("/")[0], recursive=True)
        sink = self._filesystem.open_output_stream(path)
        try:
            yield sink
        except BaseException:
            # Closing is what completes an upload, and nothing else ends one: what it completes goes at once. It has a
            # name that nobody has been told.
            with suppress(OSError):
                sink.close()
            with suppress(OSError):
                self._filesystem.delete_file(path)
            raise
        sink.close()

    def reading(self, name: str) -> BinaryIO:
        opened: BinaryIO = self._filesystem.open_input_file(f"{self._path}/{name}")
        return opened

    def keep_only(self, name: str) -> None:
        path = f"{self._path}/{name}"
        for other in self._inside(path.rpartition("/")[0]):
            if other.path != path:
                self._filesystem.delete_file(other.path)

    def folders(self) -> list[str]:
        return [entry.base_name for entry in self._inside(self._path) if _is_id(entry.base_name)]

    def remove_folder(self, job_id: str) -> None:
        with suppress(FileNotFoundError):
            self._filesystem.delete_dir(f"{self._path}/{job_id}")

    def _inside(self, folder: str) -> list[Any]:
        from pyarrow import fs  # noqa: PLC0415 - as above

        return list(self._filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True)))


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
