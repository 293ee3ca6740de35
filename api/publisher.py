"""Celery messages from the event loop."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from common.errors import Unavailable
from common.postmark import postmark

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Message:
    task: str
    kwargs: Mapping[str, Any]
    task_id: str
    expires: float | None = None  # in so many seconds


class Publisher:
    """One thread with one broker connection; messages leave in the order they were given."""

    def __init__(self, celery: Celery, timeout: float) -> None:
        self._celery = celery
        self._timeout = timeout
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="publisher")

    async def send(self, task: str, kwargs: Mapping[str, Any], task_id: str, *, expires: float | None = None) -> None:
        await self.send_many([Message(task, kwargs, task_id, expires)])

    async def send_many(self, messages: Sequence[Message]) -> None:
        """Raises Unavailable when the broker does not take them; some may have left all the same."""
        future = asyncio.get_running_loop().run_in_executor(self._thread, self._publish, messages)
        try:
            await asyncio.wait_for(asyncio.shield(future), self._timeout)
        except TimeoutError:
            future.add_done_callback(lambda f: f.cancelled() or f.exception())  # nobody is left to hear of it
            raise Unavailable("broker") from None

    def send_soon(self, messages: Sequence[Message]) -> None:
        """For messages whose loss costs time alone: nobody waits for the broker to take them."""
        self._thread.submit(self._publish, messages).add_done_callback(_say_if_lost)

    def _publish(self, messages: Sequence[Message]) -> None:
        try:
            with self._celery.producer_pool.acquire(block=True, timeout=self._timeout) as producer:
                for message in messages:
                    self._celery.send_task(
                        message.task,
                        kwargs=dict(message.kwargs),
                        task_id=message.task_id,
                        expires=message.expires,
                        headers=postmark(),
                        producer=producer,
                        retry=True,  # once, at once: a connection that went stale while idle is replaced
                        retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
                    )
        except (OperationalError, RedisError, OSError) as error:
            raise Unavailable("broker") from error

    async def close(self) -> None:
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)
        self._celery.close()


def _say_if_lost(sending: "Future[None]") -> None:
    if sending.cancelled() or sending.exception() is not None:
        log.warning("messages_lost", error=None if sending.cancelled() else repr(sending.exception()))
