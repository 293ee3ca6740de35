"""What Prometheus reads. With several API processes the numbers are shared through PROMETHEUS_MULTIPROC_DIR."""

import os
from functools import lru_cache

from prometheus_client import REGISTRY as THIS_PROCESS
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)

_requests = Histogram(
    "kalpi_request_seconds", "Time to answer a request.", ["method", "route", "status"], buckets=_SECONDS
)
_values = Counter("kalpi_values_total", "Answers to single queries by where they came from.", ["cache"])
_jobs = Counter("kalpi_jobs_submitted_total", "Jobs accepted.")
_series = Counter("kalpi_series_submitted_total", "Series in accepted jobs.")

_HIT = _values.labels("hit")
_MISS = _values.labels("miss")


@lru_cache(maxsize=1_000)
def _request(method: str, route: str, status: int) -> Histogram:
    return _requests.labels(method, route, str(status))


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    _request(method, route, status).observe(seconds)


def count_values(*, hit: bool) -> None:
    (_HIT if hit else _MISS).inc()


def count_job(series: int) -> None:
    _jobs.inc()
    _series.inc(series)


def exposition() -> bytes:
    """All metrics of all API processes in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(THIS_PROCESS)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
