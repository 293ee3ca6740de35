"""The results folder, as workers write and clear it. Paths are those of `common.results`."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO
from uuid import UUID, uuid4

_TAG = 32  # hexadecimal digits


_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot() -> str:
    """Names this run of this machine; where the system has no name for it, this process."""
    try:
        return _BOOT_ID.read_text()[:8]
    except OSError:
        return uuid4().hex[:8]


@contextmanager
def replacing(path: Path, *, durable: bool) -> Iterator[BinaryIO]:
    """A file to write that appears as `path`, complete, when the block ends well; if `durable`, it is on disk then."""
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


def _sync(folder: Path) -> None:
    """Puts the names in `folder` on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def etag(path: Path) -> str:
    """Strong ETag of a file's bytes, quoted as in the header."""
    with path.open("rb") as file:
        return f'"{hashlib.file_digest(file, "sha256").hexdigest()[:_TAG]}"'


def keep_only(path: Path) -> None:
    """Removes all files beside `path`."""
    others = [other for other in path.parent.iterdir() if other != path] if path.parent.is_dir() else []
    for other in others:
        other.unlink(missing_ok=True)


def job_folders(results_dir: Path) -> list[str]:
    """Ids of the jobs that have a folder. What is not ours is left out."""
    names = [entry.name for entry in results_dir.iterdir() if entry.is_dir()] if results_dir.is_dir() else []
    return [name for name in names if _is_id(name)]


def _is_id(name: str) -> bool:
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False


def remove_job(results_dir: Path, job_id: str) -> None:
    shutil.rmtree(results_dir / job_id, ignore_errors=True)
