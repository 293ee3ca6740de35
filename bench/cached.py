"""Cached values requests of many users against a bare FastAPI route that returns the same bytes."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import mean

from bench.callers import OF_EACH_TIER, REQUESTS_A_DAY, Callers
from bench.context import Bench
from bench.load import Ask, Load, measure
from bench.processes import HOST, listener, running, wait_until
from bench.report import Figure, Section, difference, ratio
from bench.stack import Client
from common.tiers import TierName

REQUESTS_OF_EACH = {1: 10, 16: 40, 64: 40}
"""How often every user asks in a round, by the number of connections: it lasts about a second."""

_PERIOD = 20
_BARE = "/values"


def run(bench: Bench) -> Section:
    callers = bench.callers
    asks = callers.year_of_sma(_PERIOD)
    bodies, rows = _first_answers(callers, asks)
    figures: list[Figure] = []
    with _bare(bench, bodies) as bare_url:
        for connections, times in REQUESTS_OF_EACH.items():
            label = f"{connections} connection{'s' * (connections > 1)}"
            bench.say(f"cached: {label}")
            total = len(asks) * (times // 4 if bench.quick else times)
            pairs = _rounds(bench, asks, bare_url, connections, total)
            medians = [(ours.median_ms, base.median_ms) for ours, base in pairs]
            more = f" ({difference(medians):+.2f} ms)" if connections == 1 else ""
            figures += [
                ratio(
                    f"throughput, {label}", "req/s", [(a.per_second, b.per_second) for a, b in pairs], better="higher"
                ),
                ratio(f"median latency, {label}{more}", "ms", medians),
                ratio(f"p99 latency, {label}", "ms", [(a.p99_ms, b.p99_ms) for a, b in pairs]),
            ]
    lengths = ", ".join(f"{rows[name]} rows for {name}" for name in TierName)
    against = (
        f"{len(asks)} users in turn, {OF_EACH_TIER} of each tier, each GET sma values of a symbol of their own: a year,"
        f" or what the tier allows ({lengths}; on average {mean(map(len, bodies)):,.0f} bytes of JSON). Every request"
        " is signed in, counted, held to the burst limits (the one of the address is raised, since all come from one),"
        " logged and measured, by one API process. Baseline: one FastAPI route that returns the same bytes in the same"
        " order and is sent no header but Host, same uvicorn settings, one process. On one connection the difference"
        " of the medians is shown as well."
    )
    return Section("cached", against, figures)


def _first_answers(callers: Callers, asks: Sequence[Ask]) -> tuple[Sequence[bytes], dict[TierName, int]]:
    """Bodies of the cached answers, and rows of one of each tier."""
    callers.start_day()
    bodies: list[bytes] = []
    rows: dict[TierName, int] = {}
    for target, caller in asks:
        callers.stack.client.ask("GET", target)  # by a premium user, who may ask it all
        cached = callers.stack.client.ask("GET", target, headers=callers.headers[caller])
        if cached.headers["x-cache"] != "HIT":
            raise RuntimeError(f"the second answer to {target} did not come from the cache")
        bodies.append(cached.body)
        rows[callers.tiers[caller].name] = len(cached.json()["dates"])
    return bodies, rows


def _rounds(
    bench: Bench, asks: Sequence[Ask], bare_url: str, connections: int, total: int
) -> Sequence[tuple[Load, Load]]:
    """Ours and the baseline, one right after the other, each first as often as the other."""
    if total > REQUESTS_A_DAY * len(asks):
        raise ValueError(f"{total} requests of {len(asks)} users are more than the day of a free one has")
    callers = bench.callers

    def ours() -> Load:
        callers.start_day()
        load = measure([bench.stack.url], callers.headers, asks, connections, total)
        if load.misses:
            raise RuntimeError(f"{load.misses} of {total} answers did not come from the cache")
        return load

    def base() -> Load:
        return measure([bare_url], [{}], [(_BARE, 0)], connections, total)

    for side in (ours, base):  # until everything is warm
        side()
    pairs = []
    for number in bench.rounds(7, 3):
        if number % 2 == 0:
            pairs.append((ours(), base()))
        else:
            first = base()
            pairs.append((ours(), first))
    return pairs


@contextmanager
def _bare(bench: Bench, bodies: Sequence[bytes]) -> Iterator[str]:
    """URL of the server of the bare route."""
    folder, log = bench.folder / "bodies", bench.folder / "bare.log"
    folder.mkdir()
    for number, body in enumerate(bodies):
        (folder / f"{number:05}").write_bytes(body)
    with listener() as socket:
        url = f"http://{HOST}:{socket.getsockname()[1]}"
        argv = [sys.executable, "-m", "bench.bare", str(socket.fileno()), str(folder)]
        with running(argv, log, fds=[socket.fileno()]) as process:

            def answers() -> bool:
                client = Client(url, {})  # the socket listens already: the answer waits for the process
                try:
                    return client.ask("GET", _BARE).body in bodies
                finally:
                    client.close()

            wait_until(answers, process, log, 30)
            yield url
