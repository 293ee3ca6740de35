"""A values request that must be computed against the round trip of a Celery task that does nothing."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median
from time import perf_counter
from urllib.parse import urlencode

from celery import Celery

from bench import noop
from bench.context import Bench
from bench.load import burst
from bench.processes import running, wait_until
from bench.report import Pair, Section, ratio, speed_up
from bench.stack import WORKERS, Stack

AT_ONCE = 200


def run(bench: Bench) -> Section:
    stack = bench.stack
    with _noop_worker(bench, stack) as app:
        targets = _distinct_targets(stack)
        bench.say("cold: one after the other")
        each = 10 if bench.quick else 30
        for _ in range(each):  # until everything is warm
            _cold_seconds(stack, next(targets))
            _noop_seconds(app)
        singles: list[Pair] = []
        for _ in bench.rounds(5, 3):
            pairs = [(_cold_seconds(stack, next(targets)), _noop_seconds(app)) for _ in range(each)]
            ours, base = zip(*pairs, strict=True)
            singles.append((1000 * median(ours), 1000 * median(base)))
        bench.say(f"cold: {AT_ONCE} at once")
        bursts = [
            (
                1000 * _cold_burst_seconds(stack, [next(targets) for _ in range(AT_ONCE)]),
                1000 * _noop_burst_seconds(app),
            )
            for _ in bench.rounds(7, 3)
        ]
    figures = [
        ratio("median latency, one at a time", "ms", singles),
        ratio(f"{AT_ONCE} distinct at once, to the last answer", "ms", bursts),
        speed_up(f"{AT_ONCE} distinct at once, times sooner", "ms", bursts),
    ]
    against = (
        "GET sma values that nobody has asked for before; baseline: delay().get() of a Celery task that does nothing,"
        f" JSON, result in the same Redis, {WORKERS} processes on either side. At once: {AT_ONCE} requests on open"
        f" connections, and {AT_ONCE} tasks sent one after the other before the first result is waited for."
    )
    return Section("cold", against, figures)


def _distinct_targets(stack: Stack) -> Iterator[str]:
    """Requests for the values of a year, no two alike."""
    for period in range(2, 500):
        for symbol in stack.symbols:
            words = {"symbol": symbol, "period": period, "start_date": "2025-01-01", "end_date": stack.as_of}
            yield f"/v1/indicators/sma/values?{urlencode(words)}"


def _cold_seconds(stack: Stack, target: str) -> float:
    began = perf_counter()
    answer = stack.client.ask("GET", target)
    seconds = perf_counter() - began
    if answer.status != 200 or answer.headers["x-cache"] != "MISS":
        raise RuntimeError(f"{target} was not cold: {answer.status} {answer.headers.get('x-cache')}")
    return seconds


def _noop_seconds(app: Celery) -> float:
    began = perf_counter()
    app.tasks["bench.noop"].delay().get(timeout=30)
    return perf_counter() - began


def _cold_burst_seconds(stack: Stack, targets: list[str]) -> float:
    driven = burst(stack.url, stack.headers, targets)
    if driven.misses != len(targets):
        raise RuntimeError("not all were cold")
    return driven.took


def _noop_burst_seconds(app: Celery) -> float:
    task = app.tasks["bench.noop"]
    began = perf_counter()
    for result in [task.delay() for _ in range(AT_ONCE)]:
        result.get(timeout=60)
    return perf_counter() - began


@contextmanager
def _noop_worker(bench: Bench, stack: Stack) -> Iterator[Celery]:
    """The application, with a worker that answers; in a database of their own on the stack's Redis."""
    url = f"{str(stack.up['redis_url']).rpartition('/')[0]}/2"
    log = bench.folder / "noop.log"
    argv = [
        *(sys.executable, "-m", "celery", "-A", "bench.noop", "worker", "--concurrency", str(WORKERS)),
        *("-O", "fair", "--loglevel", "INFO", "--hostname", "bench-noop@%h"),
    ]
    noop.app.conf.update(broker_url=url, result_backend=url)
    with running(argv, log, env={noop.URL: url}) as process:
        wait_until(lambda: b" ready." in log.read_bytes(), process, log, 60)
        try:
            yield noop.app
        finally:
            noop.app.close()
