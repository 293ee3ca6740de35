"""Every key and channel in Redis, and the clients that reach it."""

from typing import Any

import redis
import redis.asyncio

VALUES_DONE = "kalpi:values:done"
"""Channel on the cache Redis: a worker says which cache keys it has written or failed at (`ValuesDone`)."""


def flight_key(cache_key: str) -> str:
    """Held by the one request that sent a cold query to the workers, so that others of its kind only wait."""
    return f"flight:{cache_key}"


def attempts_key(task_id: str) -> str:
    """How often a message of values was delivered; bounds a query that kills its worker."""
    return f"attempts:{task_id}"


def probe_key(nonce: str) -> str:
    """List a worker pushes to when it meets a probe: the sign that messages are consumed."""
    return f"kalpi:probe:{nonce}"


def _options(timeout: float) -> dict[str, Any]:
    return {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "socket_keepalive": True,
        "health_check_interval": 15,
    }


def make_client(url: str, timeout: float) -> redis.Redis:
    """A blocking client; connects on first use, every command bounded by `timeout` seconds."""
    return redis.Redis.from_url(url, **_options(timeout))


def make_async_client(url: str, timeout: float) -> redis.asyncio.Redis:
    """A client for the event loop; as `make_client`."""
    return redis.asyncio.Redis.from_url(url, **_options(timeout))
