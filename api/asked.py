"""What is asked most, so that it can be computed before anybody asks for it again."""

import asyncio
from datetime import UTC, datetime, timedelta

import redis.asyncio
import structlog

from common.redis import REDIS_AWAY, asked_key

log = structlog.get_logger()

_FLUSH_SECONDS = 5.0

_MOST = 5_000
"""Distinct questions between two flushes; further ones are not counted."""

_LONGEST = 300
"""Characters of a question that is counted."""

_KEPT_SECONDS = 48 * 3600
_KEPT = 10_000
"""Questions of a day that outlive a trimming."""

_TRIM_EVERY = 12
"""Flushes between two trimmings: time for a question that is new and popular to rise."""

_CHUNK = 250
"""Questions of one trip: what packing more would take, all requests would wait for."""

# One command for many questions, for the same reason.
_ADD = f"""
for i = 1, #ARGV, 2 do
    redis.call('ZINCRBY', KEYS[1], ARGV[i + 1], ARGV[i])
end
redis.call('EXPIRE', KEYS[1], {_KEPT_SECONDS})
"""


class Asked:
    """Counts answered questions, and every few seconds adds them to those of the day.

    The counts are for warming alone: what is lost with a process or with Redis costs a cold answer. `start` before
    use, `close` after.
    """

    def __init__(self, cache: redis.asyncio.Redis) -> None:
        self._cache = cache
        self._counts: dict[str, int] = {}
        self._flushes = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_flushing())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    def count(self, text: str) -> None:
        """One more answer to the question `text` (`common.warming.asked_text`)."""
        counts = self._counts
        if text in counts:
            counts[text] += 1
        elif len(counts) < _MOST and len(text) <= _LONGEST:
            counts[text] = 1

    async def flush(self) -> None:
        """Adds the counts to those of the day. While Redis is away they are kept, within the bound."""
        waiting = list(self._counts.items())
        if not waiting:
            return
        self._counts = {}
        today = datetime.now(UTC).date()
        try:
            while waiting:
                words = [word for item in waiting[-_CHUNK:] for word in item]
                await self._cache.eval(_ADD, 1, asked_key(today), *words)
                del waiting[-_CHUNK:]
            self._flushes += 1
            if self._flushes % _TRIM_EVERY == 0:
                for day in (today, today - timedelta(days=1)):
                    await self._cache.zremrangebyrank(asked_key(day), 0, -_KEPT - 1)
        except REDIS_AWAY as error:
            log.warning("asked_not_recorded", error=type(error).__name__, questions=len(waiting))
            self._take_back(dict(waiting))

    def _take_back(self, counts: dict[str, int]) -> None:
        """What has been counted meanwhile comes on top."""
        for text, times in self._counts.items():
            if text in counts or len(counts) < _MOST:
                counts[text] = counts.get(text, 0) + times
        self._counts = counts

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_SECONDS)
            await self.flush()
