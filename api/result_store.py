"""Where results are served from: a folder, or whatever else `KALPI_RESULTS_URI` names."""

import asyncio
import io
from pathlib import Path
from typing import BinaryIO, Protocol

import structlog
from anyio import to_thread

from api.stored_file import Stored
from common.errors import Unavailable
from common.results import local_folder
from common.settings import Settings

log = structlog.get_logger()

_PATIENCE = 10.0
"""Seconds for a store to find a result; those who speak to remote ones try again for minutes."""


class ResultStore(Protocol):
    def open(self, name: str) -> BinaryIO:
        """Blocks. Raises FileNotFoundError, and OSError when the store does not answer."""
        ...


class LocalResults:
    """Results in a folder that the workers share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, name: str) -> BinaryIO:
        return (self._folder / name).open("rb", buffering=0)


def open_results(settings: Settings) -> ResultStore:
    """Raises StartupError for a KALPI_RESULTS_URI that names nothing, or needs what is not installed."""
    folder = local_folder(settings)
    if folder is not None:
        return LocalResults(folder)
    from api.remote_results import open_remote  # noqa: PLC0415 - pyarrow, for those alone who need it

    return open_remote(str(settings.results_uri))


async def open_stored(store: ResultStore, stored: Stored) -> BinaryIO | None:
    """To be closed by the caller; None when it is not there any more. Raises Unavailable when the store is not."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return await to_thread.run_sync(_open_whole, store, stored, abandon_on_cancel=True)
    except FileNotFoundError:
        return None
    except OSError as error:  # TimeoutError is one
        log.warning("result_not_opened", file=stored.name, error=str(error))
        raise Unavailable("result store") from error


def _open_whole(store: ResultStore, stored: Stored) -> BinaryIO | None:
    """What has another size than was recorded is not that result."""
    opened = store.open(stored.name)
    if opened.seek(0, io.SEEK_END) == stored.size:
        return opened
    opened.close()
    log.error("result_torn", file=stored.name)
    return None
