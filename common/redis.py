"""Every key and channel in Redis, and the clients that reach it."""

from datetime import date
from typing import Any

import redis
import redis.asyncio
import redis.asyncio.retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

REDIS_AWAY = (RedisError, OSError, RuntimeError)
"""What the client for the event loop raises when Redis is away. uvloop's word for a connection that closed between two
lines is RuntimeError."""

VALUES_DONE = "kalpi:values:done"
"""Channel on the cache Redis: a worker says which cache keys it has written or failed at (`ValuesDone`)."""


JOB_NEWS = "kalpi:jobs:news"
"""Channel on the cache Redis: the id of a job that has moved on."""

TOTALS = "kalpi:totals"
"""Hash on the broker: what the workers have done (`common.totals`)."""

WORKERS = "kalpi:workers"
"""Sorted set on the broker: the workers by their last sign of life (`common.presence`)."""


def reply_channel(process_id: str) -> str:
    """Where one API process hears of what it has ordered itself: letters (`common.answer`) with the answers."""
    return f"kalpi:values:reply:{process_id}"


def flight_key(cache_key: str) -> str:
    """Held by the one request that sent a cold query to the workers, so that others of its kind only wait."""
    return f"flight:{cache_key}"


def attempts_key(task_id: str) -> str:
    """How often a message of values was delivered; bounds a query that kills its worker."""
    return f"attempts:{task_id}"


def user_burst_key(user_id: int) -> str:
    """A user's bucket of the burst limit."""
    return f"burst:user:{user_id}"


def address_burst_key(address: str) -> str:
    """An address's bucket of the burst limit."""
    return f"burst:address:{address}"


def probe_key(nonce: str) -> str:
    """List a worker pushes to when it meets a probe: the sign that messages are consumed."""
    return f"kalpi:probe:{nonce}"


def asked_key(day: date) -> str:
    """Sorted set of the questions answered on that day of UTC, each with how often."""
    return f"asked:{day}"


def warmed_key(data_version: str) -> str:
    """Says that the popular queries of that version have been ordered, or that a sweeper is at it."""
    return f"warmed:{data_version}"


def _options(timeout: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "health_check_interval": 15,
        "protocol": 2,  # in 3, redis-py writes out every published message for a debug log that nobody reads
    }


def make_client(url: str, timeout: float) -> redis.Redis:
    """A blocking client; connects on first use, every command bounded by `timeout` seconds."""
    return redis.Redis.from_url(url, **_options(timeout))


def make_async_client(url: str, timeout: float) -> redis.asyncio.Redis:
    """A client for the event loop; as `make_client`.

    A connection that went stale is replaced once, at once. Nothing else is tried again: somebody waits.
    """
    retry = redis.asyncio.retry.Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return redis.asyncio.Redis.from_url(url, retry=retry, **_options(timeout))
