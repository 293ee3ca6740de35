"""The whole catalogue over a universe: how long it takes, how near to memory speed, and how it grows."""

import tracemalloc
from collections.abc import Sequence

from bench.context import Bench
from bench.report import Figure, Section, ratio
from bench.universe import Universe, milliseconds
from common.catalogue import CATALOGUE
from worker import compiling
from worker.kernels.panels import Scratch

SYMBOLS, ROWS = 500, 756
MANY, LONG = 5_000, 2_520
_SLOWEST = 5


def run(bench: Bench) -> Section:
    bench.say("catalogue: compiling or loading its kernels")
    for _ in compiling.load_all():
        pass
    universe = Universe(SYMBOLS, ROWS)
    bench.say(f"catalogue: {len(CATALOGUE)} indicators over {SYMBOLS} × {ROWS}")
    rounds = [_times(universe) for _ in bench.rounds(5, 2)]
    copies = [sum(milliseconds(universe.copy(name), 1) for name in CATALOGUE) for _ in rounds]
    totals = [sum(times.values()) for times in rounds]
    pairs = list(zip(totals, copies, strict=True))
    what = f"all {len(CATALOGUE)} indicators, {SYMBOLS} × {ROWS}, against copying what they read"
    figures = [ratio(what, "ms", pairs)]
    slowest = sorted(CATALOGUE, key=lambda name: rounds[-1][name], reverse=True)[:_SLOWEST]
    figures += [_share(name, rounds) for name in slowest]
    figures.append(_scratch(universe))
    if not bench.quick:
        bench.say(f"catalogue: {len(CATALOGUE)} indicators over {MANY:,} × {LONG:,}")
        large = sum(_times(Universe(MANY, LONG)).values())
        cells = MANY * LONG / (SYMBOLS * ROWS)
        what = f"the same, {MANY:,} × {LONG:,}, against {cells:.0f} times the smaller"
        figures.append(ratio(what, "ms", [(large, min(totals) * cells)]))
    against = (
        "every indicator of the catalogue with default parameters, one after the other on one core. Baseline: a copy"
        " that reads the same inputs and writes the same outputs; its share of the time is spent at memory speed."
        " Scratch: the most that was allocated beside the outputs, against the output of one indicator."
    )
    return Section("catalogue", against, figures)


def _times(universe: Universe) -> dict[str, float]:
    return {name: milliseconds(universe.ours(name), 1) for name in CATALOGUE}


def _share(name: str, rounds: Sequence[dict[str, float]]) -> Figure:
    return ratio(f"… of it {name}", "ms", [(times[name], sum(times.values())) for times in rounds])


def _scratch(universe: Universe) -> Figure:
    """Peak of what all computations together hold, after they have run once."""
    Scratch.release()
    tracemalloc.start()
    for name in CATALOGUE:
        universe.ours(name)()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    output = universe.symbols * universe.rows * 8
    return ratio("scratch of all computations, against one output", "kB", [(peak / 1000, output / 1000)])
