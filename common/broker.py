"""Celery: the application both sides share, its queues, and the names of its tasks.

Messages carry ids or a small query, never data; what they say can be lost without loss, since jobs
live in PostgreSQL. See DESIGN decisions in docs/adr for why each setting is as it is.
"""

from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu import Queue

from common.settings import Settings

INTERACTIVE = "interactive"
"""Somebody waits on the line: cold values, probes. Always read before `BATCH`."""

BATCH = "batch"
"""Parts of jobs."""

VALUES = "kalpi.values"
"""values(queries: [IndicatorQuery.to_message()] or that as JSON, data_version, reply_to=None): compute, send to the
channel `reply_to`, put into the cache."""

PROBE = "kalpi.probe"
"""probe(nonce): show that messages are consumed."""

PART = "kalpi.part"
"""part(job_id, number): claim and run the part whose turn it is; that one, or another (`worker.turns`)."""


def make_celery(settings: Callable[[], Settings]) -> Celery:
    """The application; `settings` is called, and the broker reached, on first use."""
    app = Celery("kalpi", set_as_current=False)
    app.add_defaults(lambda: _configuration(settings()))
    return app


def _configuration(settings: Settings) -> dict[str, Any]:
    return {
        "broker_url": settings.broker,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,  # a worker outlives any outage of Redis
        # Made as they are needed. Flower asks a worker eight questions at once, each on two connections of the pool,
        # and waits for ever when they run out.
        "broker_pool_limit": 32,
        "broker_transport_options": {
            # Longer than any task may run, or a running task would be handed to a second worker.
            "visibility_timeout": 2 * settings.part_hard_seconds,
            "queue_order_strategy": "priority",  # interactive first
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
            "health_check_interval": 10,
            "max_retries": 1,
        },
        "accept_content": ["json"],
        "task_serializer": "json",
        "task_ignore_result": True,
        "task_acks_late": True,
        "task_acks_on_failure_or_timeout": True,
        "task_reject_on_worker_lost": True,
        # Default exchange on purpose: routing by queue name needs no binding in Redis that a FLUSHALL could take.
        "task_queues": [Queue(INTERACTIVE), Queue(BATCH)],
        "task_default_queue": BATCH,
        "task_default_exchange": "",
        "task_routes": {
            VALUES: {"queue": INTERACTIVE},
            PROBE: {"queue": INTERACTIVE},
            PART: {"queue": BATCH},
        },
        "task_soft_time_limit": settings.part_soft_seconds,
        "task_time_limit": settings.part_hard_seconds,
        "worker_send_task_events": True,
        "worker_prefetch_multiplier": 1,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_proc_alive_timeout": 60,
        "timezone": "UTC",
    }


app = make_celery(Settings)
"""For Flower and for `worker.app`, which adds the tasks."""
