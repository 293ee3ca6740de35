"""Results that are asked for: found, gone, or in a store that does not answer."""

import asyncio
import io
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import pytest

from api import result_store
from api.remote_results import open_remote
from api.result_store import LocalResults, open_results, open_stored
from api.stored_file import Stored
from common.errors import StartupError, Unavailable
from common.settings import Settings

NAME = "a-job/result-1.csv"


def stored(size: int = 7) -> Stored:
    return Stored(NAME, size, '"abc"', "text/csv", "kalpi.csv")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with one result of seven bytes."""
    (tmp_path / NAME).parent.mkdir()
    (tmp_path / NAME).write_bytes(b"content")
    return tmp_path


def test_a_result_is_opened_when_it_has_the_size_it_was_recorded_with(folder: Path) -> None:
    opened = asyncio.run(open_stored(LocalResults(folder), stored()))
    assert opened is not None
    opened.seek(0)
    assert opened.read() == b"content"
    opened.close()
    for size in (6, 8):
        assert asyncio.run(open_stored(LocalResults(folder), stored(size))) is None


def test_a_result_that_is_not_there(tmp_path: Path) -> None:
    assert asyncio.run(open_stored(LocalResults(tmp_path), stored())) is None


def test_a_store_that_fails_is_unavailable(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).mkdir()
    with pytest.raises(Unavailable, match="result store"):
        asyncio.run(open_stored(LocalResults(folder), stored()))


def test_a_store_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    class Silent:
        def open(self, name: str) -> BinaryIO:  # noqa: ARG002 - it never gets to it
            answer.wait(30)
            return io.BytesIO()

    monkeypatch.setattr(result_store, "_PATIENCE", 0.05)
    with pytest.raises(Unavailable, match="result store"):
        asyncio.run(open_stored(Silent(), stored()))
    answer.set()


def test_a_uri_that_names_no_store_is_refused() -> None:
    with pytest.raises(StartupError, match="KALPI_RESULTS_URI is 'nonsense://x': Unrecognized filesystem"):
        open_results(Settings(results_uri="nonsense://x"))


def test_without_pyarrow_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(StartupError, match=r"s3://bucket/prefix are .*with the extra remote-results"):
        open_remote("s3://bucket/prefix")
