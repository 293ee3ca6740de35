"""The folders of published versions: who may write them, and which of them may go."""

import fcntl
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from time import time

from common.dataset import MANIFEST, ManifestFile

SCRATCH = ".building-"
"""Begins the name of a folder that is not a version: not yet, or no longer."""

_LOCK = ".lock"
_GRACE_SECONDS = 600.0
"""A version that was replaced stays for so long: a job that began on it may not be recorded yet."""


@contextmanager
def locked(market_dir: Path, *, wait: bool = True) -> Iterator[bool]:
    """Keeps other writers out. False when there is another and we do not `wait` for it."""
    with (market_dir / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            alone = True
        except BlockingIOError:
            alone = False
        yield alone


def clear_scratch(market_dir: Path) -> None:
    """Removes what a writer that was killed has left. Only under the lock."""
    for left in market_dir.glob(f"{SCRATCH}*"):
        shutil.rmtree(left, ignore_errors=True)


def prune(market_dir: Path, needed: Collection[str]) -> list[str]:
    """Removes the versions that nobody needs, and returns them.

    The current one stays, and the newest of the others, those `needed`, and those replaced a short while ago.
    Nothing is removed while another version is being published.
    """
    if not (market_dir / MANIFEST).exists():
        return []
    with locked(market_dir, wait=False) as alone:
        if not alone:
            return []
        clear_scratch(market_dir)
        current = ManifestFile(market_dir).current().data_version
        versions = _newest_first(market_dir)
        previous = next((name for name in versions if name != current), current)
        kept = {current, previous, *needed}
        old = time() - _GRACE_SECONDS
        # Each was replaced when the next newer one was published.
        gone = [name for newer, name in pairwise(versions) if name not in kept and versions[newer] < old]
        for name in gone:
            # Renamed first: a version is there as a whole or not at all.
            scratch = (market_dir / name).rename(market_dir / f"{SCRATCH}{name}")
            shutil.rmtree(scratch, ignore_errors=True)
        return gone


def _newest_first(market_dir: Path) -> dict[str, float]:
    """The versions, and when each was last published, in seconds since 1970."""
    folders = [path for path in market_dir.iterdir() if (path / MANIFEST).exists()]
    times = {path.name: path.stat().st_mtime for path in folders if not path.name.startswith(SCRATCH)}
    return dict(sorted(times.items(), key=lambda item: item[1], reverse=True))
