"""The whole catalogue over a universe: how long it takes, how near to memory speed, and how it grows."""

import tracemalloc
from collections.abc import Sequence

from bench.context import Bench
from bench.report import Figure, Section, ratio
from bench.universe import Universe
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
    names = list(CATALOGUE)
    universe = Universe(SYMBOLS, ROWS)
    bench.say(f"catalogue: {len(names)} indicators over {SYMBOLS} × {ROWS}")
    universe.ours(names)
    rounds = [(universe.ours(names), universe.copies(names)) for _ in bench.rounds(5, 2)]
    pairs = [(sum(ours.values()), sum(copies.values())) for ours, copies in rounds]
    figures = [ratio(f"all {len(names)} indicators, {SYMBOLS} × {ROWS}, against copying what they read", "ms", pairs)]
    last, _ = rounds[-1]
    slowest = sorted(names, key=lambda name: last[name], reverse=True)[:_SLOWEST]
    figures += [
        ratio(f"… of it {name}", "ms", [(ours[name], sum(ours.values())) for ours, _ in rounds]) for name in slowest
    ]
    figures.append(_scratch(universe, names))
    if not bench.quick:
        bench.say(f"catalogue: {len(names)} indicators over {MANY:,} × {LONG:,}")
        large = Universe(MANY, LONG)
        cells = MANY * LONG / (SYMBOLS * ROWS)
        what = f"the same, {MANY:,} × {LONG:,}, against {cells:.0f} times the smaller"
        figures.append(ratio(what, "ms", [(sum(large.ours(names).values()), min(ours for ours, _ in pairs) * cells)]))
        figures.append(_scratch(large, names))
    against = (
        "every indicator of the catalogue with default parameters on one core, in the order of a job. Baseline: a copy"
        " that reads the same inputs and writes the same outputs; its share of the time is spent at memory speed."
        " Scratch: the most that was allocated beside the outputs (but for rows inside compiled loops), against one"
        " output of the whole universe."
    )
    return Section("catalogue", against, figures)


def _scratch(universe: Universe, names: Sequence[str]) -> Figure:
    """Peak of what all computations together hold, after they have run once."""
    Scratch.release()
    tracemalloc.start()
    universe.ours(names)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    output = universe.symbols * universe.rows * 8
    what = f"scratch of all computations, {universe.symbols:,} × {universe.rows:,}, against one output"
    return ratio(what, "kB", [(peak / 1000, output / 1000)])
