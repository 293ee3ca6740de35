"""Processes of a benchmark: started in a session of their own, stopped with all they have started."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
HOST = "127.0.0.1"

_STOP_SECONDS = 15
_POLL = 0.02


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's own, without settings of the operator's; compiled kernels are kept from run to run."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KALPI_")}
    return {**kept, "NUMBA_CACHE_DIR": str(Path(sys.prefix) / "numba-cache"), **(extra or {})}


@contextmanager
def running(
    argv: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, fds: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """A process, with its output in `log`, for the length of the block."""
    with log.open("ab") as out:
        process = subprocess.Popen(
            argv,
            cwd=ROOT,
            env=environment(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=fds,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    family: list[psutil.Process] = []
    with suppress(psutil.NoSuchProcess):
        family = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for child in family:
        with suppress(psutil.NoSuchProcess):
            child.kill()
    process.wait()


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, seconds: float) -> None:
    """Raises RuntimeError with the end of the log when the process ends first or the time runs out."""
    deadline = time.monotonic() + seconds
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{log.stem} did not start:\n{log.read_text(errors='replace')[-3000:]}")
        time.sleep(_POLL)


def listener() -> socket.socket:
    """A listening socket on a free port, for a process to inherit."""
    return socket.create_server((HOST, 0), backlog=2048)
