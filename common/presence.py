"""Which workers live: each gives a sign of life to the broker every few seconds, whose clock is the only one."""

from collections.abc import Iterable
from dataclasses import dataclass

import redis

from common.redis import WORKERS

_LIVES = 10
"""Seconds for which a sign counts. Celery's workers give one every 2."""

_FORGET = 60
"""Seconds after which a worker that gave no other is forgotten."""

_SIGN = f"""
local now = redis.call('TIME')[1]
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - {_FORGET})
"""


@dataclass(frozen=True, slots=True)
class Present:
    workers: int
    processes: int  # of all of them: so many tasks may run at once


def give_sign(broker: redis.Redis, worker: str, processes: int) -> None:
    """Raises RedisError or OSError when the broker is away."""
    broker.eval(_SIGN, 1, WORKERS, f"{processes} {worker}")


def read_signs(signs: Iterable[tuple[bytes, float]], now: float) -> Present:
    """`signs` is the whole sorted set with its scores, `now` the broker's clock in seconds."""
    living = [int(sign.partition(b" ")[0]) for sign, at in signs if now - at <= _LIVES]
    return Present(len(living), sum(living))
