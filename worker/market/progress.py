"""How far a command has come: a bar on a terminal, elsewhere one plain line per step on standard output.

So that standard error, where nobody looks, holds nothing but the line that says what is wrong.
"""

import sys
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Steps:
    """The `total` steps of one command, one after the other; `begin` ends the step before."""

    def __init__(self, total: int) -> None:
        self._console = Console(stderr=sys.stderr.isatty(), soft_wrap=True, highlight=False)
        self._progress = Progress(
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._console,
        )
        self._bar = self._progress.add_task("", total=total)
        self._begun = 0

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._progress.update(self._bar, completed=self._begun, total=self._begun, description="Done")
        self.stop()

    def begin(self, text: str) -> None:
        """End the step before and show this one."""
        self._progress.update(self._bar, completed=self._begun, description=text)
        self._begun += 1
        if not self._console.is_terminal:
            self.note(text)

    def note(self, text: str) -> None:
        """Something to know that stops nothing."""
        self._console.print(text, markup=False)

    def stop(self) -> None:
        """Leave the terminal to ordinary output."""
        if self._console.is_terminal:
            self._progress.stop()
