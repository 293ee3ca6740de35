"""Holds processes to a share of a core each: `python -m bench.brake SHARE PERIOD_MS PID…` until it is stopped.

It stops and continues them (SIGSTOP, SIGCONT) in every period, one process after the other, so that the moments in
which they may run are spread over the period. For measuring what more processes give when the processors are not what
they lack: two cores are too few for two API processes, PostgreSQL and the client.
"""

import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from bench.processes import running

PERIOD_MS = 20


@contextmanager
def braked(pids: Sequence[int], share: float, log: Path) -> Iterator[None]:
    """For the length of the block."""
    argv = [sys.executable, "-m", "bench.brake", str(share), str(PERIOD_MS), *map(str, pids)]
    try:
        with running(argv, log):
            yield
    finally:
        for pid in pids:  # whatever has become of the brake
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def turns(count: int, share: float) -> Sequence[tuple[float, int, signal.Signals]]:
    """What happens in a period of length 1: when, to which of `count` processes, and the signal."""
    if not 0 < share < 1:
        raise ValueError(f"share {share} is not between 0 and 1")
    events = []
    for place in range(count):
        begins = place / count
        events.append((begins, place, signal.SIGCONT))
        events.append(((begins + share) % 1, place, signal.SIGSTOP))
    return sorted(events)


def main() -> None:
    share, period = float(sys.argv[1]), float(sys.argv[2]) / 1000
    pids = [int(word) for word in sys.argv[3:]]
    events = [(period * when, pids[place], number) for when, place, number in turns(len(pids), share)]
    with suppress(PermissionError):  # a brake that waits for a processor comes late
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    begins = time.perf_counter()
    while True:
        for when, pid, number in events:
            time.sleep(max(0.0, begins + when - time.perf_counter()))
            os.kill(pid, number)
        begins = max(begins + period, time.perf_counter() - period)  # after a long pause there is nothing to catch up


if __name__ == "__main__":
    main()
