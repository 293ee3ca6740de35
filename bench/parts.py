"""Two workers by one on a job of many parts, what a part costs beside its work, and whether the model of it holds."""

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import process_time

import psutil

from api.jobs import Draft
from bench.brake import braked
from bench.context import Bench
from bench.part_jobs import Crew, Ran, crew
from bench.part_transitions import Desk, Rate, Spent, desk
from bench.processor_time import processor_seconds
from bench.report import Figure, Section, ratio, two_by_one
from bench.scale_model import Costs, Job, simulate
from common.catalogue import find
from common.jobs import JobRequest, Series, TableFormat
from worker.compute import compute_table
from worker.market.store import Market, MarketFile
from worker.pieces import write_piece

SHARE = 0.4
"""Of a core that a worker has when it is held."""

WANTED_MILLISECONDS = 10
"""What a part may cost beside its work."""

_LARGE, _TINY = 100, 0.001  # milliseconds of work a part is cut for; the second gives every symbol a part of its own
_CONNECTIONS = (1, 2, 4, 8)
_QUEUED = 1_200

_MANY = {"volume_profile": range(20, 80), "sma": range(5, 35), "rsi": range(5, 35)}
_ONE = {"sma": [20]}
"""Periods of each indicator."""


@dataclass(frozen=True, slots=True)
class Round:
    """One job by one worker and by two, one right after the other."""

    one: Ran
    two: Ran


@dataclass(frozen=True, slots=True)
class Part:
    """Seconds of one of next to no work, beside that: by the clock, and of the processors."""

    beside: float
    worker: float
    postgres: float
    redis: float


def run(bench: Bench) -> Section:
    stack = bench.stack
    pids = stack.up["pids"]
    with crew(stack, bench.folder / "parts", 2) as workers:
        market = MarketFile(workers.settings.market_dir).current_market()
        large, tiny = (workers.cut(_request(market, grid), cut) for grid, cut in ((_MANY, _LARGE), (_ONE, _TINY)))
        for count in (1, 2):  # loads what is loaded at first use
            workers.employ(count)
            workers.run(tiny)
        _alone(market, tiny)
        work = _alone(market, large)
        bench.say(f"parts: a job of {len(large.parts)} by one and two workers, as they are")
        free = [_round(workers, large, number) for number in bench.rounds(3, 1)]
        bench.say(f"parts: the same, each worker held to {SHARE:.0%} of a core")
        log = bench.folder / "brake.log"
        held = [_round(workers, large, number, log) for number in bench.rounds(3, 1)]
        bench.say(f"parts: {len(tiny.parts)} of next to no work")
        workers.employ(1)
        parts = [_part(workers, market, tiny, pids) for _ in bench.rounds(7, 2)]
    bench.say("parts: claimed and ended, with no work between")
    with desk(str(stack.up["database_url"]), pids["postgres"]) as database:
        database.queue(tiny.request, 1, _QUEUED)
        spent = database.one_by_one(_QUEUED // 4)
        database.work_off(4)
        rates = {connections: _rate(database, tiny.request, connections) for connections in _CONNECTIONS}
    costs = _costs(parts, rates.values(), spent)
    joining = 1e9 * median(found.one.joining / found.one.result_bytes for found in free)
    figures = [
        *two_by_one("parts/s", SHARE, _throughputs(free), _throughputs(held)),
        ratio(
            "… by the processor time of a part",
            "ms",
            [
                (2000 * found.one.worked / len(large.parts), 1000 * found.two.worked / len(large.parts))
                for found in (*free, *held)
            ],
            better="higher",
        ),
        ratio(
            f"a part beside its work, against {WANTED_MILLISECONDS} ms",
            "ms",
            [(1000 * part.beside, WANTED_MILLISECONDS) for part in parts],
        ),
        ratio(
            "… in processor time of all, against the same",
            "ms",
            [(1000 * (part.worker + part.postgres + part.redis), WANTED_MILLISECONDS) for part in parts],
        ),
        ratio(
            f"claims and ends with {_CONNECTIONS[-1]} connections by one",
            "parts/s",
            [(rates[_CONNECTIONS[-1]].per_second, rates[1].per_second)],
            better="higher",
        ),
        *_against_the_model(free, held, work, costs),
    ]
    return Section("parts", _against(large, parts, spent, rates, joining), figures)


def _request(market: Market, grid: Mapping[str, Iterable[int]]) -> JobRequest:
    series = []
    for name, periods in grid.items():
        spec = find(name)
        found = [spec.read_params({"period": period}) for period in periods]
        series += [Series(spec.label(params), name, tuple(params.items())) for params in found]
    manifest = market.manifest
    year = manifest.as_of - timedelta(days=365)
    return JobRequest(tuple(manifest.symbols), tuple(series), year, manifest.as_of, TableFormat.PARQUET)


def _round(workers: Crew, draft: Draft, number: int, log: Path | None = None) -> Round:
    """With `log`, the workers are held."""
    found: dict[int, Ran] = {}
    for count in (2, 1) if number % 2 == 0 else (1, 2):
        workers.employ(count)
        with nullcontext() if log is None else braked(workers.pids[:count], SHARE, log):
            found[count] = workers.run(draft)
    return Round(found[1], found[2])


def _alone(market: Market, draft: Draft) -> float:
    """Seconds of processor time to compute the parts of a job and write their pieces, here and into memory."""
    began = process_time()
    for symbols in draft.parts:
        table, _ = compute_table(market, draft.request, symbols)
        write_piece(table, draft.request.format, io.BytesIO(), 0)
    return process_time() - began


def _part(workers: Crew, market: Market, draft: Draft, pids: Mapping[str, int]) -> Part:
    servers = [[psutil.Process(pids[name])] for name in ("postgres", "redis")]
    before = [processor_seconds(server) for server in servers]
    ran = workers.run(draft)
    postgres, redis = ((processor_seconds(s) - b) / ran.parts for s, b in zip(servers, before, strict=True))
    alone = _alone(market, draft)
    return Part((ran.computing - alone) / ran.parts, (ran.worked - alone) / ran.parts, postgres, redis)


def _rate(database: Desk, request: JobRequest, connections: int) -> Rate:
    database.queue(request, 1, _QUEUED)
    return database.work_off(connections)


def _costs(parts: Sequence[Part], rates: Iterable[Rate], spent: Spent) -> Costs:
    """The model's, as they were found just now, in processor time."""
    server = median(rate.server for rate in rates)
    ending = server * spent.ending / (spent.claiming + spent.ending)
    return Costs(
        broker=median(part.redis for part in parts),
        claiming=server - ending,
        ending=ending,
        overhead=median(part.worker for part in parts),
        server_cores=os.cpu_count() or 1,
    )


def _against_the_model(free: Sequence[Round], held: Sequence[Round], work: float, costs: Costs) -> list[Figure]:
    """What was measured by what the simulation says of it. The seconds are as they are, without the assembly."""
    parts, size = free[0].one.parts, free[0].one.result_bytes
    job = Job(parts, work / parts)
    one, two = (simulate([job], count, costs).seconds for count in (1, 2))
    # Whoever is held does everything so much slower; what waits for the disk is measured as it was.
    slowed = replace(
        costs,
        overhead=costs.overhead / SHARE,
        joining=median(found.one.joining for found in held) / size,
    )
    whole = Job(parts, work / parts / SHARE, size)
    faster = simulate([whole], 1, slowed).seconds / simulate([whole], 2, slowed).seconds
    by_worker = work + parts * costs.overhead
    return [
        ratio("seconds of one, by the model's", "s", [(found.one.computing, one) for found in free], better="1"),
        ratio("seconds of two, by the model's", "s", [(found.two.computing, two) for found in free], better="1"),
        ratio(
            "processor seconds of one, by the model's",
            "s",
            [(f.one.worked, by_worker) for f in (*free, *held)],
            better="1",
        ),
        ratio(
            "two by one when held, by the model's",
            "×",
            [(found.one.seconds / found.two.seconds, faster) for found in held],
            better="1",
        ),
    ]


def _throughputs(rounds: Sequence[Round]) -> list[tuple[float, float]]:
    """Of whole jobs, with their assembly."""
    return [(found.two.parts / found.two.seconds, found.one.parts / found.one.seconds) for found in rounds]


def _against(large: Draft, parts: Sequence[Part], spent: Spent, rates: Mapping[int, Rate], joining: float) -> str:
    sides = zip(*((part.worker, part.postgres, part.redis) for part in parts), strict=True)
    worker, postgres, redis = (1000 * median(side) for side in sides)
    claiming, ending, locked = (1000 * seconds for seconds in (spent.claiming, spent.ending, spent.locked))
    server = 1000 * median(rate.server for rate in rates.values())
    per_second = ", ".join(f"{rate.per_second:.0f}" for rate in rates.values())
    return (
        f"{len(large.request.symbols)} symbols × {len(large.request.series)} series, computed over all rows, the last"
        f" year of them as Parquet, in {len(large.parts)} parts, from the first claim to the end of the assembly, by"
        " workers of one process each. As they are, two workers, PostgreSQL, Redis and the API compete for two cores;"
        " so they are measured held too, as API processes are in `scaling`. Beside its work: what a part of one symbol"
        f" and one series takes, by one worker, less the processor time of this process for the"
        f" same; of the processors that is {worker:.2f} ms by the worker, {postgres:.2f} by PostgreSQL, {redis:.2f} by"
        f" Redis. By one connection, with no work between, a claim takes {claiming:.2f} ms and an end {ending:.2f} ms,"
        f" of which the job's row is locked {locked:.2f} ms; {', '.join(map(str, rates))} connections claim and end"
        f" {per_second} parts of one job a second from one process of Python, for {server:.2f} ms of PostgreSQL's"
        f" processors each. Joining takes {joining:.1f} ns per byte. The model is bench/scale_model.py; it is given"
        " these costs in processor time, and the work as this process does it."
    )
