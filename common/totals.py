"""What the workers have done, by queue: added up in one hash on the broker.

Workers are many processes on many machines, none with a port that Prometheus could ask. The cache would be the wrong
place: it drops what was used least recently. When the broker loses its memory the totals start from 0, which Prometheus
takes for a restart.
"""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import redis
import structlog
from redis.exceptions import RedisError

from common.redis import TOTALS

log = structlog.get_logger()

_PAUSE = 10.0
"""Seconds without another attempt after one that failed."""


@dataclass(frozen=True, slots=True)
class Done:
    """Of one queue: parts of jobs in `batch`, queries in `interactive`."""

    completed: int
    failed: int
    retried: int
    seconds: float  # of work


class Totals:
    """Adds what one process has done. What Redis does not take goes with a later addition, and delays nothing.

    When Redis carries an addition out and its reply is lost, it is counted twice.
    """

    def __init__(self, broker: redis.Redis) -> None:
        self._broker = broker
        self._owed: Counter[str] = Counter()
        self._try_at = float("-inf")

    def add(self, queue: str, *, completed: int = 0, failed: int = 0, retried: int = 0, seconds: float = 0.0) -> None:
        done = {"completed": completed, "failed": failed, "retried": retried, "seconds": seconds}
        for name, amount in done.items():
            self._owed[f"{queue}:{name}"] += amount  # type: ignore[assignment] # seconds are counted as well
        if any(done.values()) and time.monotonic() >= self._try_at:
            self._send()

    def _send(self) -> None:
        try:
            with self._broker.pipeline() as pipe:
                for field, amount in self._owed.items():
                    if amount:
                        pipe.hincrbyfloat(TOTALS, field, amount)
                pipe.execute()
        except (RedisError, OSError) as error:
            self._try_at = time.monotonic() + _PAUSE
            log.warning("totals_kept_back", seconds=_PAUSE, error=type(error).__name__)
        else:
            self._owed.clear()

    def close(self) -> None:
        self._broker.close()


def read_totals(stored: Mapping[bytes, bytes], queue: str) -> Done:
    """The totals of a queue from the whole hash."""

    def total(name: str) -> float:
        return float(stored.get(f"{queue}:{name}".encode(), 0))

    return Done(int(total("completed")), int(total("failed")), int(total("retried")), total("seconds"))
