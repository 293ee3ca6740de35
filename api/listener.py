"""Channels of Redis, listened to for as long as the process lives."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import redis.asyncio
import structlog

from common.errors import Unavailable
from common.redis import REDIS_AWAY

log = structlog.get_logger()

Hear = Callable[[bytes], Awaitable[None]]
"""What is done with a message."""

_ROUND_SECONDS = 0.5
"""Pause before a lost connection is made again."""


async def listen(cache: redis.asyncio.Redis, channels: Mapping[str, Hear]) -> None:
    """Hands on the messages of each channel, one after the other; never returns.

    What is said while the connection is lost is missed.
    """
    hearers = {name.encode(): hear for name, hear in channels.items()}
    while True:
        try:
            async with cache.pubsub(ignore_subscribe_messages=True) as subscribed:
                await subscribed.subscribe(*channels)
                while True:
                    message = await subscribed.get_message(timeout=_ROUND_SECONDS)
                    if message is not None:
                        await hearers[message["channel"]](message["data"])
        except (*REDIS_AWAY, Unavailable) as error:
            log.warning("channels_lost", channels=list(channels), error=type(error).__name__)
        except Exception:  # this loop must not end
            log.exception("channels_lost", channels=list(channels))
        await asyncio.sleep(_ROUND_SECONDS)
