"""What a benchmark finds, and the table it is shown in."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from rich.console import Console
from rich.table import Table

Pair = tuple[float, float]
"""(ours, baseline), measured one right after the other."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: `ours` and `baseline` are medians over the rounds, `ratio` is the median of the rounds' own ratios."""

    what: str
    unit: str
    ours: float
    baseline: float
    ratio: float
    better: str  # "higher" or "lower", of the ratio


@dataclass(frozen=True, slots=True)
class Section:
    """What one benchmark has found; `against` says what the baseline is."""

    name: str
    against: str
    figures: Sequence[Figure]


def ratio(what: str, unit: str, rounds: Sequence[Pair], *, better: str = "lower") -> Figure:
    """Ours by the baseline."""
    return _figure(what, unit, rounds, [ours / base for ours, base in rounds], better)


def speed_up(what: str, unit: str, rounds: Sequence[Pair]) -> Figure:
    """How many times faster ours is; `rounds` are times."""
    return _figure(what, unit, rounds, [base / ours for ours, base in rounds], "higher")


def two_by_one(unit: str, share: float, free: Sequence[Pair], held: Sequence[Pair]) -> list[Figure]:
    """Throughputs of two processes by that of one: as they are, and each held to a share of a core."""
    return [
        ratio("throughput of two by one, as they are", unit, free, better="higher"),
        ratio(f"throughput of two by one, each held to {share:.0%} of a core", unit, held, better="higher"),
    ]


def difference(rounds: Sequence[Pair]) -> float:
    """Ours less the baseline, the median of the rounds' own."""
    return median([ours - base for ours, base in rounds])


def _figure(what: str, unit: str, rounds: Sequence[Pair], ratios: Sequence[float], better: str) -> Figure:
    ours, base = (median(side) for side in zip(*rounds, strict=True))
    return Figure(what, unit, ours, base, median(ratios), better)


def show(sections: Sequence[Section], console: Console) -> None:
    table = Table(title="Ratios to a baseline measured in the same run", title_justify="left")
    for column in ("", "what", "ratio", "better", "ours", "baseline", "unit"):
        table.add_column(column, justify="right" if column in {"ratio", "ours", "baseline"} else "left")
    for section in sections:
        for place, figure in enumerate(section.figures):
            table.add_row(
                f"[bold]{section.name}[/]" if place == 0 else "",
                figure.what,
                f"[bold]{_number(figure.ratio)}[/]",
                figure.better,
                _number(figure.ours),
                _number(figure.baseline),
                figure.unit,
            )
        table.add_section()
    console.print()
    console.print(table)
    for section in sections:
        console.print(f"[bold]{section.name}[/]: {section.against}", highlight=False)


def _number(value: float) -> str:
    """Three digits."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 100 else f"{value:.3g}"
