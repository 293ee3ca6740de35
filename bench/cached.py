"""A cached values request against a bare FastAPI route that returns the same bytes."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from urllib.parse import urlencode

from bench.context import Bench
from bench.load import Load, measure
from bench.processes import HOST, listener, running, wait_until
from bench.report import Figure, Section, ratio
from bench.stack import Client

CONNECTIONS = (1, 16)


def run(bench: Bench) -> Section:
    stack = bench.stack
    last = date.fromisoformat(stack.as_of)
    first = last.replace(year=last.year - 1, day=min(last.day, 28))
    query = {"symbol": stack.symbols[0], "period": 20, "start_date": first, "end_date": last}
    target = f"/v1/indicators/sma/values?{urlencode(query)}"
    stack.client.ask("GET", target)
    cached = stack.client.ask("GET", target)
    if cached.headers["x-cache"] != "HIT":
        raise RuntimeError("the second answer did not come from the cache")
    rows = len(cached.json()["dates"])
    figures: list[Figure] = []
    seconds = 1 if bench.quick else 2
    with _bare(bench, cached.body) as bare_url:
        for connections in CONNECTIONS:
            bench.say(f"cached: {connections} connection{'s' * (connections > 1)}")
            ours: list[Load] = []
            base: list[Load] = []
            sides = [(f"{stack.url}{target}", stack.headers, ours), (bare_url, {}, base)]
            for url, headers, _ in sides:  # until everything is warm
                measure(url, headers, connections, 1)
            for number in bench.rounds(7, 3):
                for url, headers, loads in sides if number % 2 == 0 else reversed(sides):
                    loads.append(measure(url, headers, connections, seconds))
            label = f"{connections} connection{'s' * (connections > 1)}"
            pairs = list(zip(ours, base, strict=True))
            figures += [
                ratio(
                    f"throughput, {label}", "req/s", [(a.per_second, b.per_second) for a, b in pairs], better="higher"
                ),
                ratio(f"median latency, {label}", "ms", [(a.median_ms, b.median_ms) for a, b in pairs]),
                ratio(f"p99 latency, {label}", "ms", [(a.p99_ms, b.p99_ms) for a, b in pairs]),
            ]
    against = (
        f"GET sma values of one year ({rows} rows, {len(cached.body):,} bytes of JSON), signed in and counted, from one"
        " API process; baseline: one FastAPI route that returns the same bytes, same uvicorn settings, one process."
    )
    return Section("cached", against, figures)


@contextmanager
def _bare(bench: Bench, body: bytes) -> Iterator[str]:
    """URL of the bare route."""
    file, log = bench.folder / "body.json", bench.folder / "bare.log"
    file.write_bytes(body)
    with listener() as socket:
        url = f"http://{HOST}:{socket.getsockname()[1]}"
        argv = [sys.executable, "-m", "bench.bare", str(socket.fileno()), str(file)]
        with running(argv, log, fds=[socket.fileno()]) as process:

            def answers() -> bool:
                client = Client(url, {})  # the socket listens already: the answer waits for the process
                try:
                    return client.ask("GET", "/values").body == body
                finally:
                    client.close()

            wait_until(answers, process, log, 30)
            yield f"{url}/values"
