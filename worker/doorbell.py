"""Tells the workers that parts wait, and those who follow a job that it has moved on.

All of it may be lost: the sweeper rings again, and who follows a job looks from time to time.
"""

from collections.abc import Iterable

import redis
import structlog
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from common.broker import PART
from common.redis import JOB_NEWS

log = structlog.get_logger()

_PATIENCE = 5.0
"""Seconds to wait for a connection to the broker."""


def ring(celery: Celery, parts: Iterable[tuple[str, int]]) -> int:
    """Rings for each part (job id, number); a ring names the part it is for, but lets any part run whose turn it is.

    Returns how many rings the broker took before it went away.
    """
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
        log.warning("rings_lost", sent=sent, error=type(error).__name__)
    return sent


def announce(cache: redis.Redis, job_id: str) -> None:
    """Tells the API that a part of the job, or all of it, has ended."""
    try:
        cache.publish(JOB_NEWS, job_id)
    except (RedisError, OSError) as error:
        log.warning("news_lost", job_id=job_id, error=type(error).__name__)
