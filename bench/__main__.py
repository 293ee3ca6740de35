"""`python -m bench [NAME…] [--quick]`: measures, shows a table of ratios, and leaves nothing behind.

It judges nothing: a time depends on the machine, and a ratio still does on its load.
"""

import argparse
import importlib
import os
import signal
import sys
import time

from rich.console import Console

from bench.context import Bench, bench
from bench.processes import environment
from bench.report import Section, show

BENCHMARKS = ("kernels", "catalogue", "memory", "cached", "cold", "scaling", "job", "submission", "parts", "flat")
"""In the order they run, memory while the workers are fresh, flat last because it fills the cache.

Each is a module with `run(bench) -> Section`.
"""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure ratios against baselines.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHMARKS)}; all by default")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--full", action="store_true", help="flat over a million requests, about 15 minutes")
    words = parser.parse_args()
    unknown = [name for name in words.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"{unknown[0]!r} is not one of {', '.join(BENCHMARKS)}")
    alone = environment()
    os.environ.clear()
    os.environ.update(alone)  # before numba is imported
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is stopped
    console = Console(width=None if sys.stdout.isatty() else 140)
    began = time.monotonic()
    with bench(console, quick=words.quick, full=words.full) as context:
        sections = [_run(name, context) for name in BENCHMARKS if name in words.names or not words.names]
    show(sections, console)
    console.print(
        f"[dim]{os.cpu_count()} processors, load from the client in bench/load.py, {time.monotonic() - began:.0f} s."
        " Ratio: median over rounds of ours by baseline; ours and baseline: medians over rounds.[/]",
        highlight=False,
    )


def _run(name: str, context: Bench) -> Section:
    module = importlib.import_module(f"bench.{name}")
    section: Section = module.run(context)
    return section


if __name__ == "__main__":
    main()
