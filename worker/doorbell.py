"""Tells the workers that parts wait. A ring that is lost is rung again by the sweeper."""

from collections.abc import Iterable

import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from common.broker import PART

log = structlog.get_logger()

_PATIENCE = 5.0
"""Seconds to wait for a connection to the broker."""


def publish_parts(celery: Celery, parts: Iterable[tuple[str, int]]) -> int:
    """Sends a message for each (job id, part number). Returns how many the broker took before it went away."""
    sent = 0
    try:
        with celery.producer_pool.acquire(block=True, timeout=_PATIENCE) as producer:
            for job_id, number in parts:
                celery.send_task(
                    PART,
                    kwargs={"job_id": job_id, "number": number},
                    task_id=f"{job_id}:{number}",
                    producer=producer,
                    retry=True,  # once, at once: a connection that went stale while idle is replaced
                    retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
                )
                sent += 1
    except (OperationalError, RedisError, OSError) as error:
        log.warning("parts_unpublished", sent=sent, error=type(error).__name__)
    return sent
