"""Results in a filesystem of pyarrow. The one module of the API that knows it, loaded where the store is such a one."""

from typing import Any, BinaryIO

from common.errors import StartupError
from common.results import uri_refused


class RemoteResults:
    def __init__(self, filesystem: Any, path: str) -> None:  # noqa: ANN401 - pyarrow has no types
        self._filesystem = filesystem
        self._path = path.rstrip("/")

    def open(self, name: str) -> BinaryIO:
        opened: BinaryIO = self._filesystem.open_input_file(f"{self._path}/{name}")
        return opened


def open_remote(uri: str) -> RemoteResults:
    """Raises StartupError when pyarrow is not there, or cannot open it."""
    try:
        from pyarrow import ArrowException, fs  # noqa: PLC0415 - so that its absence has a word
    except ImportError as error:
        raise StartupError(f"{uri_refused(uri, error)}, the latter with the extra remote-results") from None
    try:
        return RemoteResults(*fs.FileSystem.from_uri(uri))
    except (ArrowException, OSError) as error:
        raise StartupError(uri_refused(uri, error)) from None
