"""A result store in a filesystem of pyarrow, loaded where `KALPI_RESULTS_URI` names one."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from pyarrow import ArrowException, fs
from typing_extensions import Buffer

from common.errors import StartupError
from common.results import is_folder, uri_refused

_AHEAD = 32 * 2**20
"""Bytes after which a writer waits for the network."""


def open_remote(uri: str) -> "RemoteStore":
    """Raises StartupError when pyarrow cannot open it."""
    try:
        return RemoteStore(*fs.FileSystem.from_uri(uri))
    except (ArrowException, OSError) as error:
        raise StartupError(uri_refused(uri, error)) from None


class RemoteStore:
    """What it has stored is durable."""

    era = "kept"

    def __init__(self, filesystem: Any, path: str) -> None:  # noqa: ANN401 - pyarrow has no types
        self._filesystem = filesystem
        self._path = path.rstrip("/")

    @contextmanager
    def writing(self, name: str, *, durable: bool) -> Iterator["Paced"]:  # noqa: ARG002 - all of it is
        path = f"{self._path}/{name}"
        stream = self._create(path)
        try:
            yield Paced(stream)
            stream.close()
        except BaseException:
            # An upload ends by being completed, even when its stream is only forgotten: what is not whole is completed
            # and goes at once. Nobody has been told of its name.
            with suppress(ArrowException, OSError):
                stream.close()
            with suppress(OSError):
                self._filesystem.delete_file(path)
            raise

    def reading(self, name: str) -> BinaryIO:
        opened: BinaryIO = self._filesystem.open_input_file(f"{self._path}/{name}")
        return opened

    def keep_only(self, name: str) -> None:
        path = f"{self._path}/{name}"
        for other in self._inside(path.rpartition("/")[0]):
            if other.path != path:
                of_pieces = other.type == fs.FileType.Directory
                delete = self._filesystem.delete_dir if of_pieces else self._filesystem.delete_file
                with suppress(FileNotFoundError):
                    delete(other.path)

    def folders(self) -> list[str]:
        return [entry.base_name for entry in self._inside(self._path) if is_folder(entry.base_name)]

    def remove_folder(self, job_id: str) -> None:
        with suppress(FileNotFoundError):
            self._filesystem.delete_dir(f"{self._path}/{job_id}")

    def _create(self, path: str) -> Any:  # noqa: ANN401 - as above
        try:
            return self._filesystem.open_output_stream(path)
        except FileNotFoundError:  # an object store has no folders, others want theirs first
            self._filesystem.create_dir(path.rpartition("/")[0], recursive=True)
            return self._filesystem.open_output_stream(path)

    def _inside(self, folder: str) -> list[Any]:
        return list(self._filesystem.get_file_info(fs.FileSelector(folder, allow_not_found=True)))


class Paced:
    """A stream of pyarrow whose writer waits for uploads now and then: beside it they may take any amount of memory."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._since = 0  # bytes since the last wait

    def write(self, data: Buffer, /) -> int:
        written = self._stream.write(data)
        self._since += written
        if self._since >= _AHEAD:
            self.flush()
        return written

    def flush(self) -> None:
        self._stream.flush()
        self._since = 0
