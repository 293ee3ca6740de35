"""Memory of an API process over many requests for many distinct answers, of which it may keep a bounded part."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count, islice, product
from pathlib import Path
from urllib.parse import urlencode

import redis

from bench.context import Bench
from bench.load import Ask, Load, measure
from bench.memory import MIB, proportional_set
from bench.report import Figure, Section
from bench.stack import Stack, api_processes
from common.catalogue.spec import SOURCES
from common.tiers import TierName

TENTHS = 10
REQUESTS_OF_EACH_KEY = 10
MOST_BYTES = 150_000_000

_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Size:
    """Of a run: how many distinct answers, of so many days each."""

    keys: int
    days: int


QUICK = Size(1_000, 365)
USUAL = Size(4_000, 365)
"""More than a process keeps even before the first tenth is over, and soon done."""

FULL = Size(100_000, 60)
"""A million requests. The answers are short so that all have room in the cache."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: resident, proportional, and the most that was ever resident."""

    resident: float
    proportional: float
    peak: float


def run(bench: Bench) -> Section:
    stack = bench.stack
    size = FULL if bench.full else QUICK if bench.quick else USUAL
    callers = bench.callers.of_tier(TierName.PREMIUM)
    with api_processes(stack, bench.folder / "flat", 1) as [process]:
        found = [_memory(process.pid)]
        loads: list[Load] = []
        for asks in in_tenths(stack.symbols, date.fromisoformat(stack.as_of), size, len(callers)):
            loads.append(measure([process.url], callers, asks, _CONNECTIONS))
            found.append(_memory(process.pid))
            bench.say(
                f"flat: {sum(load.requests for load in loads):,} of {size.keys * REQUESTS_OF_EACH_KEY:,} requests,"
                f" {found[-1].resident / MIB:.1f} MiB, {loads[-1].per_second:,.0f} req/s"
            )
    start, tenth, end = found[0], found[1], found[-1]
    figures = [
        _figure("resident at the end, against after the first tenth", end.resident, tenth.resident),
        _figure("PSS at the end, against after the first tenth", end.proportional, tenth.proportional),
        _figure("most that was ever resident, against 150 MB", end.peak, MOST_BYTES),
    ]
    against = (
        f"{sum(load.requests for load in loads):,} requests of {len(callers)} premium users in random order for"
        f" {size.keys:,} distinct answers (sma values of {size.days} days), {REQUESTS_OF_EACH_KEY} for each, on"
        f" {_CONNECTIONS} connections, to an API process that has just started. {sum(load.misses for load in loads):,}"
        f" waited for a worker; the cache has evicted {_evicted(stack):,} keys. At the start {_shown(start)};"
        f" after the first tenth {_shown(tenth)}; at the end {_shown(end)}."
    )
    return Section("flat", against, figures)


def in_tenths(symbols: Sequence[str], last: date, size: Size, callers: int) -> Iterator[Sequence[Ask]]:
    """Every answer so many times, in a random order that is the same in every run, asked by the callers in turn."""
    targets = list(islice(_targets(symbols, last, size.days), size.keys))
    order = [*range(size.keys)] * REQUESTS_OF_EACH_KEY
    random.Random(size.keys).shuffle(order)
    step = len(order) // TENTHS
    for first in range(0, len(order), step):
        yield [(targets[key], (first + n) % callers) for n, key in enumerate(order[first : first + step])]


def _targets(symbols: Sequence[str], last: date, days: int) -> Iterator[str]:
    first = last - timedelta(days=days)
    for period in count(2):
        for source, symbol in product(SOURCES, symbols):
            words = {"symbol": symbol, "period": period, "source": source, "start_date": first, "end_date": last}
            yield f"/v1/indicators/sma/values?{urlencode(words)}"


def _memory(pid: int) -> Memory:
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    resident, peak = (float(status[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return Memory(resident, proportional_set(pid), peak)


def _figure(what: str, ours: float, baseline: float) -> Figure:
    return Figure(what, "MiB", ours / MIB, baseline / MIB, ours / baseline, "lower")


def _shown(memory: Memory) -> str:
    return f"resident {memory.resident / MIB:.1f} MiB, PSS {memory.proportional / MIB:.1f} MiB"


def _evicted(stack: Stack) -> int:
    with redis.Redis.from_url(str(stack.up["cache_url"])) as client:
        evicted: int = client.info("stats")["evicted_keys"]
        return evicted
