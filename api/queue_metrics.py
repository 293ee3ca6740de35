"""The queues as Prometheus reads them. Whichever API process is asked, the figures are those of the whole service."""

import asyncio
import time
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import redis.asyncio
import structlog
from prometheus_client import generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from sqlalchemy.exc import SQLAlchemyError

from api.database import Database
from api.queue_state import Batch, Broker, look_at_batch, look_at_broker
from common.broker import BATCH, INTERACTIVE
from common.errors import KalpiError
from common.redis import REDIS_AWAY

log = structlog.get_logger()

T = TypeVar("T")
Sample = tuple[tuple[str, ...], float]

_PATIENCE = 1.5
"""Seconds: then a scrape goes without the figures of a part that does not answer."""

_FRESH_SECONDS = 2.0
"""Whoever asks within so long is shown the same."""


class QueueMetrics:
    """One look at a time; of a part that is away it shows that, and nothing else."""

    def __init__(self, database: Database, broker: redis.asyncio.Redis) -> None:
        self._database = database
        self._broker = broker
        self._lock = asyncio.Lock()
        self._text = b""
        self._made_at = float("-inf")

    async def exposition(self) -> bytes:
        """In Prometheus' text format. Raises nothing, and takes a second or two at the most."""
        async with self._lock:
            if time.monotonic() - self._made_at > _FRESH_SECONDS:
                batch, broker = await asyncio.gather(
                    _answered("postgresql", self._database.run(look_at_batch)),
                    _answered("redis", look_at_broker(self._broker)),
                )
                self._text = generate_latest(_Families(tuple(_families(batch, broker))))
                self._made_at = time.monotonic()
            return self._text


@dataclass(frozen=True, slots=True)
class _Families:
    """What `generate_latest` wants to be given."""

    families: Iterable[Metric]

    def collect(self) -> Iterable[Metric]:
        return self.families


async def _answered(part: str, look: Awaitable[T]) -> T | None:
    """None when the part is away."""
    try:
        return await asyncio.wait_for(look, _PATIENCE)
    except (KalpiError, SQLAlchemyError, *REDIS_AWAY, TimeoutError) as error:
        log.warning("queues_unknown", part=part, error=type(error).__name__)
        return None


def _families(batch: Batch | None, broker: Broker | None) -> Iterator[Metric]:
    depth: list[Sample] = []
    oldest: list[Sample] = []
    if batch is not None:
        depth.append(((BATCH,), batch.queued))
        oldest.append(((BATCH,), batch.oldest or 0))
    if broker is not None:
        depth.append(((INTERACTIVE,), broker.queued))
        oldest.append(((INTERACTIVE,), broker.oldest or 0))
    up = [(("postgresql",), float(batch is not None)), (("redis",), float(broker is not None))]
    yield _gauge("kalpi_part_up", "Whether a part of the service answers.", ["part"], up)
    yield _gauge("kalpi_queue_depth", "What waits: parts in batch, messages in interactive.", ["queue"], depth)
    yield _gauge(
        "kalpi_queue_oldest_seconds", "Age of what has waited longest; 0 when nothing waits.", ["queue"], oldest
    )
    if batch is not None:
        running = [((BATCH,), batch.running)]
        yield _gauge("kalpi_queue_running", "Parts that workers are at.", ["queue"], running)
        states = [(("queued",), batch.jobs_queued), (("running",), batch.jobs_running)]
        yield _gauge("kalpi_jobs", "Jobs that have not ended.", ["status"], states)
    if broker is not None:
        yield from _of_workers(broker)


def _of_workers(broker: Broker) -> Iterator[Metric]:
    present = broker.present
    yield _gauge("kalpi_workers", "Workers that live.", [], [((), present.workers)])
    yield _gauge("kalpi_worker_processes", "Processes of the workers that live.", [], [((), present.processes)])
    ends = [((q, end), getattr(done, end)) for q, done in broker.done.items() for end in ("completed", "failed")]
    yield _counter("kalpi_queue_done", "Parts, or queries, that have ended.", ["queue", "outcome"], ends)
    retried = [((queue,), done.retried) for queue, done in broker.done.items()]
    yield _counter("kalpi_queue_retries", "Parts, or queries, that were begun again.", ["queue"], retried)
    seconds = [((queue,), done.seconds) for queue, done in broker.done.items()]
    yield _counter("kalpi_queue_work_seconds", "Time workers have spent.", ["queue"], seconds)


def _gauge(name: str, documentation: str, labels: list[str], samples: Iterable[Sample]) -> Metric:
    return _filled(GaugeMetricFamily(name, documentation, labels=labels), samples)


def _counter(name: str, documentation: str, labels: list[str], samples: Iterable[Sample]) -> Metric:
    return _filled(CounterMetricFamily(name, documentation, labels=labels), samples)


def _filled(family: GaugeMetricFamily | CounterMetricFamily, samples: Iterable[Sample]) -> Metric:
    for labels, value in samples:
        family.add_metric(labels, value)
    return family
