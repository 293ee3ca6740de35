"""Where results are served from: a folder, or whatever else `KALPI_RESULTS_URI` names."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from fastapi.responses import Response

from api.ranges import Stored, StoredFile
from common.results import local_folder
from common.settings import Settings


class ResultStore(Protocol):
    async def response(self, stored: Stored, headers: Mapping[str, str]) -> Response | None:
        """Streams it, or the ranges that are asked for; None when it is not there any more."""
        ...


class LocalResults:
    """Results in a folder that the workers share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def response(self, stored: Stored, headers: Mapping[str, str]) -> Response | None:
        path = self._folder / stored.name
        try:
            stat = await asyncio.to_thread(path.stat)
        except FileNotFoundError:
            return None
        return StoredFile(
            path, headers=headers, media_type=stored.media_type, filename=stored.filename, stat_result=stat
        )


def open_results(settings: Settings) -> ResultStore:
    """Raises StartupError for a KALPI_RESULTS_URI that names nothing, or needs what is not installed."""
    folder = local_folder(settings)
    if folder is not None:
        return LocalResults(folder)
    from api.remote_results import open_remote  # noqa: PLC0415 - pyarrow, for those alone who need it

    return open_remote(str(settings.results_uri))
