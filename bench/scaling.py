"""Two API processes by one, with all on the same cores, and with cores to spare."""

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from statistics import median

import psutil

from bench.brake import PERIOD_MS, braked
from bench.callers import REQUESTS_A_DAY
from bench.context import Bench
from bench.load import Ask, Load, measure
from bench.report import Section, two_by_one
from bench.stack import ApiProcess, api_processes

CONNECTIONS = 128
SHARE = 0.27
"""Of a core that a process has when it is held."""

_PERIOD = 21


@dataclass(frozen=True, slots=True)
class Run:
    """Throughput, microseconds of processor time per request by who spent them, share of all cores left idle."""

    per_second: float
    spent: dict[str, float]
    idle: float


def run(bench: Bench) -> Section:
    asks = bench.callers.year_of_sma(_PERIOD)
    with api_processes(bench.stack, bench.folder / "scaling", 2) as both:
        for process in both:  # each has everything in its own memory
            _load(bench, [process], asks, 3)
        bench.say("scaling: one and two API processes, as they are")
        free = _rounds(bench, both, asks, 15 if bench.quick else 40, None)
        bench.say(f"scaling: one and two API processes, each held to {SHARE:.0%} of a core")
        held = _rounds(bench, both, asks, 5 if bench.quick else 10, SHARE)
    figures = two_by_one("req/s", SHARE, _throughputs(free), _throughputs(held))
    against = (
        f"The requests of `cached` on {CONNECTIONS} connections to two API processes, spread evenly, against the same"
        " to one. As they are, two API processes, PostgreSQL and the client compete for two cores. So they are measured"
        f" again with each API process stopped for {1 - SHARE:.0%} of every {PERIOD_MS} ms, one after the other, which"
        f" leaves cores to spare: {_idle(held)}. {_spent('As they are', free)} {_spent('Held', held)}"
    )
    return Section("scaling", against, figures)


Rounds = Sequence[tuple[Run, Run]]
"""Two processes and one, one right after the other."""


def _rounds(bench: Bench, both: Sequence[ApiProcess], asks: Sequence[Ask], times: int, share: float | None) -> Rounds:
    log = bench.folder / "brake.log"
    rounds = []
    for number in bench.rounds(5, 2):
        found: dict[int, Run] = {}
        for count in (2, 1) if number % 2 == 0 else (1, 2):
            some = both[:count]
            with nullcontext() if share is None else braked([p.pid for p in some], share, log):
                found[count] = _measured(bench, some, asks, times)
        rounds.append((found[2], found[1]))
    return rounds


def _measured(bench: Bench, processes: Sequence[ApiProcess], asks: Sequence[Ask], times: int) -> Run:
    pids = bench.stack.up["pids"]
    who = {"API": [p.pid for p in processes], "PostgreSQL": _family(pids["postgres"]), "Redis": [pids["redis"]]}
    before, all_before = {name: _seconds(who[name]) for name in who}, psutil.cpu_times()
    load = _load(bench, processes, asks, times)
    all_after = psutil.cpu_times()
    spent = {name: (_seconds(who[name]) - before[name]) * 1e6 / load.requests for name in who}
    spent["client"] = load.cpu_seconds * 1e6 / load.requests
    return Run(load.per_second, spent, (all_after.idle - all_before.idle) / (sum(all_after) - sum(all_before)))


def _load(bench: Bench, processes: Sequence[ApiProcess], asks: Sequence[Ask], times: int) -> Load:
    if times > REQUESTS_A_DAY:
        raise ValueError(f"{times} requests are more than the day of a free user has")
    bench.callers.start_day()
    urls = [process.url for process in processes]
    return measure(urls, bench.callers.headers, asks, CONNECTIONS, times * len(asks))


def _family(pid: int) -> Sequence[int]:
    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def _seconds(pids: Iterable[int]) -> float:
    """Of processor time; a process that has ended has spent none."""
    total = 0.0
    for pid in pids:
        try:
            times = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


def _throughputs(rounds: Rounds) -> list[tuple[float, float]]:
    return [(two.per_second, one.per_second) for two, one in rounds]


def _idle(rounds: Rounds) -> str:
    two, one = zip(*rounds, strict=True)
    idle = [f"{median(r.idle for r in side):.0%}" for side in (two, one)]
    used = [
        f"{median(r.per_second * r.spent['API'] / 1e4 / count for r in side):.0f} %"
        for side, count in ((two, 2), (one, 1))
    ]
    return (
        f"under two {idle[0]} of both were idle and each API process used {used[0]} of a core, under one {idle[1]} and"
        f" {used[1]}"
    )


def _spent(label: str, rounds: Rounds) -> str:
    two, one = zip(*rounds, strict=True)
    shown = [
        f"{name} {median(r.spent[name] for r in two):.0f} and {median(r.spent[name] for r in one):.0f}"
        for name in two[0].spent
    ]
    return f"{label}, µs of processor time per request under two and under one: {', '.join(shown)}."
