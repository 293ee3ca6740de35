"""Writes the tables of docs/scaling.md and its picture from the model's constants; `--check` says what is stale.

It simulates a million parts a few times, which takes half a minute.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path
from types import MappingProxyType

from bench.scale_model import Costs, Job, Run, simulate
from common.catalogue.costs import NANOSECONDS
from common.jobs import TableFormat
from common.part_costs import WRITING
from scripts.scaling_picture import Line, draw

FOLDER = Path(__file__).resolve().parent.parent / "docs"
PAGE, PICTURE = FOLDER / "scaling.md", FOLDER / "scaling.svg"

COSTS = Costs()
WORKERS = (1, 2, 8, 32, 200)
PART_SECONDS = 0.1
MILLION = 1_000_000
FAR = 0.000_5
"""Seconds of a round trip to a server in another building."""

_NUMBERS_A_SERIES = 1.5
"""Outputs of an indicator, on average over the catalogue."""

_BYTES: Mapping[TableFormat, float] = MappingProxyType(
    {
        TableFormat.PARQUET: 5.9,
        TableFormat.ARROW: 7.7,
        TableFormat.CSV: 17.9,
        TableFormat.JSON: 26.7,
        TableFormat.XLSX: 41.8,
    }
)
"""Of a number in a piece. See docs/adr/0015-pieces.md."""

_DRAWN = 10_000  # parts
_TWO_DIGITS = 9

_XLSX_JOINING = 6.3e-9
"""Seconds per byte, since this assembly compresses."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A job as its user sees it."""

    symbols: int
    series: int
    rows: int
    form: TableFormat

    def __str__(self) -> str:
        return f"{self.symbols:,} × {self.series} × {self.rows:,}, {self.form.value}"

    @property
    def numbers(self) -> float:
        return self.symbols * self.rows * self.series * _NUMBERS_A_SERIES

    @property
    def work(self) -> float:
        """Seconds of a processor, by the costs that jobs are cut by."""
        computing = sum(NANOSECONDS.values()) / len(NANOSECONDS)
        return 1e-9 * (self.symbols * self.rows * self.series * computing + self.numbers * WRITING[self.form])

    @property
    def job(self) -> Job:
        parts = min(self.symbols, ceil(self.work / PART_SECONDS))
        return Job(parts, self.work / parts, self.numbers * _BYTES[self.form])

    def seconds(self, workers: int) -> float:
        joining = _XLSX_JOINING if self.form is TableFormat.XLSX else COSTS.joining
        return simulate([self.job], workers, replace(COSTS, joining=joining)).seconds


SHAPES = (
    Shape(500, 20, 756, TableFormat.PARQUET),
    Shape(500, 200, 756, TableFormat.PARQUET),
    Shape(500, 20, 756, TableFormat.CSV),
    Shape(300, 20, 756, TableFormat.XLSX),
    Shape(5_000, 20, 756, TableFormat.PARQUET),
    Shape(5_000, 20, 2_520, TableFormat.PARQUET),
    Shape(5_000, 50, 2_520, TableFormat.ARROW),
)


def times() -> str:
    """What jobs take."""
    lines = [
        f"| symbols × series × rows, format | parts | processor s | {' | '.join(f'{n} w.' for n in WORKERS)} |",
        "| --- " * (3 + len(WORKERS)) + "|",
    ]
    for shape in SHAPES:
        seconds = [_rounded(shape.seconds(workers)) for workers in WORKERS]
        lines.append(f"| {shape} | {shape.job.parts:,} | {_rounded(shape.work)} | {' | '.join(seconds)} |")
    return "\n".join(lines)


def limits() -> str:
    """What a million parts take with as many workers as there are, and what bounds them."""
    lines = [
        "| a part | jobs | round trip | hours | parts/s | efficiency | nearest bound |",
        "| --- " * 7 + "|",
    ]
    for milliseconds, jobs, network in (
        (100, 1, 0.0),
        (100, 100, 0.0),
        (25, 1, 0.0),
        (25, 100, 0.0),
        (100, 1, FAR),
        (300, 1, FAR),
    ):
        costs = replace(COSTS, network=network)
        run = million(milliseconds, jobs, costs)
        bounds = costs.per_second(WORKERS[-1], milliseconds / 1000, jobs)
        bound = min(bounds, key=bounds.__getitem__)
        lines.append(
            f"| {milliseconds} ms | {jobs} | {1000 * network:g} ms | {run.seconds / 3600:.2f} | {run.per_second:,.0f}"
            f" | {run.efficiency:.0%} | {bound}, {bounds[bound]:,.0f} |"
        )
    return "\n".join(lines)


def million(milliseconds: float, jobs: int, costs: Costs) -> Run:
    """A million parts of so much work, of jobs of as many users, by the most workers."""
    return simulate([Job(MILLION // jobs, milliseconds / 1000)] * jobs, WORKERS[-1], costs)


def picture() -> str:
    """How many times faster than one worker so many are."""
    at = (1, 10, 25, 50, 75, 100, 125, 150, 175, 200)
    lines = []
    for milliseconds, jobs, words in (
        (100, 100, "100 ms, many jobs"),
        (100, 1, "100 ms, one job"),
        (25, 1, "25 ms, one job"),
    ):
        found = [simulate([Job(_DRAWN // jobs, milliseconds / 1000)] * jobs, workers, COSTS) for workers in at]
        lines.append(Line(words, [(w, run.per_second / found[0].per_second) for w, run in zip(at, found, strict=True)]))
    return draw(lines, WORKERS[-1])


def _rounded(seconds: float) -> str:
    """Two digits, and all before the point."""
    return f"{seconds:.0f}" if round(seconds) > _TWO_DIGITS else f"{seconds:.2g}"


def _filled(page: str, name: str, table: str) -> str:
    """`page` with the table between its marks. Raises ValueError when they are not there."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise ValueError(f"{PAGE.name} has no {begin} ... {end}")
    return f"{before}{begin}\n{table}\n{end}{after}"


def main() -> int:
    there = PAGE.read_text()
    wanted = _filled(_filled(there, "times", times()), "limits", limits())
    drawn = picture()
    if "--check" in sys.argv[1:]:
        stale = wanted != there or not PICTURE.is_file() or PICTURE.read_text() != drawn
        if stale:
            print("docs/scaling.md or its picture is stale: python -m scripts.scaling_page")
        return int(stale)
    PAGE.write_text(wanted)
    PICTURE.write_text(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
