"""Stops what a killed `kalpi up` left running: `python -m cli.guard RECORD`.

The supervisor starts one guard and holds the other end of its standard input. Whatever way the supervisor
goes, the kernel closes that pipe; the guard then ends every process in the record. After an orderly stop
the record is empty and the guard just leaves.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

_PATIENCE = 4.0
"""Seconds a left-over process gets to end by itself."""

_POLL = 0.02

_CLOCK_TOLERANCE = 2.0
"""Seconds; the start time of a process is reckoned from the wall clock, which may be set in between."""


def record_process(pid: int, stop_signal: signal.Signals) -> tuple[int, float, int]:
    """An entry of the record: enough to know the process again even if its id was given to another."""
    try:
        started = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        started = 0.0
    return pid, started, int(stop_signal)


def stop_recorded(record: Path) -> int:
    """Ends every process of the record with everything in its group; says how many still ran."""
    try:
        entries = json.loads(record.read_text())
    except (FileNotFoundError, ValueError):
        return 0
    alive = {pid: stop_signal for pid, started, stop_signal in entries if _runs(pid, started)}
    family = [p for pid in alive for p in _descendants(pid)]
    for pid, stop_signal in alive.items():
        with suppress(ProcessLookupError):
            os.kill(pid, stop_signal)
    leaders = [p for p in family if p.pid in alive]
    wait_for_end(leaders, _PATIENCE)
    for pid in alive:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
    for process in family:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_for_end(family, _PATIENCE)
    return len(alive)


def wait_for_end(processes: Iterable[psutil.Process], seconds: float) -> None:
    """As psutil's own wait, but a zombie has ended: whoever ought to bury it is not our concern."""
    deadline = time.monotonic() + seconds
    while any(is_alive(p) for p in processes) and time.monotonic() < deadline:
        time.sleep(_POLL)


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _runs(pid: int, started: float) -> bool:
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return False
    return abs(process.create_time() - started) < _CLOCK_TOLERANCE and is_alive(process)


def _descendants(pid: int) -> list[psutil.Process]:
    """The process and all below it."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def main() -> None:
    record = Path(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends when the supervisor does
    while sys.stdin.buffer.read(1):
        pass
    before = time.monotonic()
    count = stop_recorded(record)
    if count:
        print(f"ended {count} processes in {time.monotonic() - before:.1f} s", flush=True)  # noqa: T201 - its log


if __name__ == "__main__":
    main()
