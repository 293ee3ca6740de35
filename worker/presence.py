"""A worker's signs of life: one with each heartbeat of Celery's, from the parent process."""

from contextlib import suppress
from typing import Any

from celery import signals
from celery.worker import WorkController
from redis.exceptions import RedisError

from common.presence import give_sign
from common.redis import make_client
from common.settings import Settings


def begin(sender: str, instance: WorkController, **_: Any) -> None:  # noqa: ANN401 - Celery's signals pass what they like
    """In the parent, when it knows its name and how many processes it has."""
    settings = Settings()
    broker = make_client(settings.broker, settings.redis_timeout_seconds)

    def beat(**_: Any) -> None:  # noqa: ANN401
        with suppress(RedisError, OSError):  # of which Celery writes enough into the log
            give_sign(broker, sender, instance.concurrency)

    signals.heartbeat_sent.connect(beat, weak=False)
