"""What processes have spent of the processors, which is what it is however many others want them."""

from collections.abc import Iterable
from contextlib import suppress

import psutil


def processor_seconds(processes: Iterable[psutil.Process]) -> float:
    """Of them, their children that live, and those that have ended."""
    total = 0.0
    for process in processes:
        own = process.cpu_times()
        total += own.user + own.system + own.children_user + own.children_system
        for child in process.children():
            with suppress(psutil.NoSuchProcess):  # counted with those that have ended, when next asked
                times = child.cpu_times()
                total += times.user + times.system
    return total
