"""How far something is: a bar on a terminal, a line now and then anywhere else."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

_LINE_SECONDS = 2.0
"""Least time between two lines where there is no terminal."""

_SPEED_WIDTH = 9

_WIDE = 110
"""Columns of a terminal that has room for everything."""


class Show(Protocol):
    """Told how many are done, it shows that; `label` says what is going on, when that has changed."""

    def __call__(self, done: int, *, failed: int = 0, label: str | None = None) -> None: ...


@contextmanager
def progress(console: Console, label: str, total: int, unit: str, start: int = 0) -> Iterator[Show]:
    """Of `total` queries, series or bytes, `start` of them done before."""
    shown = _bar if console.is_terminal else _lines
    with shown(console, label, total, unit, start) as show:
        yield show


@contextmanager
def _bar(console: Console, label: str, total: int, unit: str, start: int) -> Iterator[Show]:
    amount = _amount(unit)
    wide = console.width >= _WIDE
    columns = (
        TextColumn("{task.description:<11}"),
        BarColumn(30 if wide else 8),
        TextColumn("{task.percentage:>3.0f} %"),
        _Amount(amount, _name(unit) if wide else ""),
        _Speed(amount),
        *((TimeElapsedColumn(),) if wide else ()),
        TimeRemainingColumn(),
        TextColumn("left", style="cyan"),
        _Failed(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(label, total=total, completed=start, failed=0)

        def show(done: int, *, failed: int = 0, label: str | None = None) -> None:
            bar.update(task, completed=done, failed=failed, description=label)

        yield show


@contextmanager
def _lines(console: Console, label: str, total: int, unit: str, start: int) -> Iterator[Show]:
    amount = _amount(unit)
    said = label
    began = shown = monotonic()

    def show(done: int, *, failed: int = 0, label: str | None = None) -> None:
        nonlocal said, shown
        said = label or said
        now = monotonic()
        if now - shown >= _LINE_SECONDS:
            shown = now
            line = f"{said}: {amount(done)} of {amount(total)}{_name(unit)}, {amount((done - start) / (now - began))}/s"
            console.print(Text(f"{line}, {failed:,} failed" if failed else line), soft_wrap=True)

    yield show


def _amount(unit: str) -> Callable[[float], str]:
    return (lambda n: decimal(int(n))) if unit == "bytes" else (lambda n: f"{n:,.0f}")


def _name(unit: str) -> str:
    """What follows an amount; that of bytes names them already."""
    return "" if unit == "bytes" else f" {unit}"


class _Amount(ProgressColumn):
    """As wide at the beginning as at the end, so that nothing moves but the figures."""

    def __init__(self, amount: Callable[[float], str], name: str) -> None:
        super().__init__()
        self._amount = amount
        self._name = name

    def render(self, task: Task) -> Text:
        total = self._amount(task.total or 0)
        return Text(f"{self._amount(task.completed):>{len(total)}}/{total}{self._name}")


class _Speed(ProgressColumn):
    def __init__(self, amount: Callable[[float], str]) -> None:
        super().__init__()
        self._amount = amount

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(("" if speed is None else f"{self._amount(speed)}/s").rjust(_SPEED_WIDTH))


class _Failed(ProgressColumn):
    def render(self, task: Task) -> Text:
        failed = task.fields["failed"]
        return Text(f"{failed:,} failed" if failed else "", "red")
