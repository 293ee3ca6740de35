"""What a command is doing: a spinner on a terminal, one plain line per step elsewhere. Written to standard error."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Steps:
    """The steps of one command, one after the other; `begin` ends the step before."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, soft_wrap=True, highlight=False)
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
        )
        self._step: TaskID | None = None

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._end()
        self.stop()

    def begin(self, text: str) -> None:
        """End the step before and show this one."""
        self._end()
        if self._console.is_terminal:
            self._step = self._progress.add_task(text, total=1)
        else:
            self._console.print(text, markup=False)

    def note(self, text: str) -> None:
        """Something to know that stops nothing."""
        self._console.print(text, markup=False)

    def stop(self) -> None:
        """Leave the terminal to ordinary output."""
        if self._console.is_terminal:
            self._progress.stop()

    def _end(self) -> None:
        if self._step is not None:
            self._progress.update(self._step, completed=1)
            self._step = None
