"""Memory of the API and of each worker child, against workers that load their own copy of the data with pandas."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from urllib.parse import urlencode

import psutil

from bench.context import Bench
from bench.load import burst
from bench.processes import running, wait_until
from bench.report import Figure, Section, ratio
from bench.stack import WORKERS, Stack

MIB = 2**20
_KIB = 2**10
_TRIES = 50
_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$")


def run(bench: Bench) -> Section:
    stack = bench.stack
    [api] = stack.up["pids"]["api"]
    fresh = proportional_set(api), psutil.Process(api).memory_info().rss
    bench.say("memory: letting every worker child read all of the data")
    children = psutil.Process(stack.up["pids"]["worker"]).children()
    size = sum(file.stat().st_size for file in (stack.state_dir / "market").glob("*/*.npy"))
    for number in range(_TRIES):
        if all(_mapped(child.pid, stack)[0] >= 0.95 * size for child in children):
            break
        _read_everything(stack, number)
    ours = [proportional_set(child.pid) for child in children]
    resident, proportional, private = (
        sum(part) for part in zip(*(_mapped(c.pid, stack) for c in children), strict=True)
    )
    used = proportional_set(api), psutil.Process(api).memory_info().rss
    others = _own_copies(bench, stack)
    figures = [
        ratio("PSS of a worker child", "MiB", [(mean(ours) / MIB, mean(others) / MIB)]),
        Figure(
            "market data mapped by the children: held once, of held by each",
            "MiB",
            proportional / MIB,
            resident / MIB,
            proportional / resident,
            "lower",
        ),
    ]
    listed = ", ".join(f"{size / MIB:.1f}" for size in ours)
    against = (
        f"PSS of the {len(ours)} worker children {listed} MiB. The API process when it has started: {_shown(fresh)};"
        f" after these answers, some of which it keeps: {_shown(used)}. Of"
        f" {resident / MIB:.1f} MiB of market data that the children have mapped and touched,"
        f" {100 * (1 - private / resident):.1f} % is shared. Baseline: {WORKERS} children of a worker that read the"
        " Parquet file with pandas and keep it by symbol."
    )
    return Section("memory", against, figures)


def _shown(sizes: tuple[float, float]) -> str:
    return f"PSS {sizes[0] / MIB:.1f} MiB, resident {sizes[1] / MIB:.1f} MiB"


def _read_everything(stack: Stack, number: int) -> None:
    """Queries for all fields of symbols from everywhere, as many at once as keep every child busy."""
    words = [
        {"symbol": symbol, "period": 2 + number, "include_ohlcv": "true"} for symbol in stack.symbols[number % 12 :: 12]
    ]
    burst(stack.url, stack.headers, [f"/v1/indicators/sma/values?{urlencode(one)}" for one in words])


def _own_copies(bench: Bench, stack: Stack) -> list[float]:
    """PSS of each child of the baseline."""
    log = bench.folder / "own_copy.log"
    argv = [sys.executable, "-m", "bench.own_copy", str(stack.data_file), str(WORKERS)]
    env = {"KALPI_STATE_DIR": str(stack.state_dir), "KALPI_REDIS_URL": str(stack.up["redis_url"])}
    with running(argv, log, env=env) as process:
        wait_until(lambda: log.read_text().rstrip().endswith("]"), process, log, 60)
        pids: list[int] = json.loads(log.read_text().splitlines()[-1])
        return [proportional_set(pid) for pid in pids]


def proportional_set(pid: int) -> float:
    """Proportional set size in bytes: what is shared counts in equal parts."""
    return _sum(Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines(), "Pss")


def _mapped(pid: int, stack: Stack) -> tuple[float, float, float]:
    """Resident, proportional and private bytes of the market's files in a process."""
    totals = [0.0, 0.0, 0.0]
    for path, lines in _mappings(pid):
        if path.startswith(str(stack.state_dir / "market")):
            private = _sum(lines, "Private_Clean") + _sum(lines, "Private_Dirty")
            for place, size in enumerate((_sum(lines, "Rss"), _sum(lines, "Pss"), private)):
                totals[place] += size
    return totals[0], totals[1], totals[2]


def _mappings(pid: int) -> Iterator[tuple[str, list[str]]]:
    path, lines = "", []
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head = _MAPPING.match(line)
        if head is None:
            lines.append(line)
            continue
        yield path, lines
        path, lines = head[1], []
    yield path, lines


def _sum(lines: list[str], name: str) -> float:
    return sum(float(line.split()[1]) * _KIB for line in lines if line.startswith(f"{name}:"))
