"""What the terminal shows while things start: moving on a terminal, plain lines anywhere else."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text


class Steps:
    """A list of things under way. Each is begun, then done with a detail worth knowing."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun: dict[str, float] = {}
        self._done: dict[str, tuple[float, str]] = {}
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(self, console=console, refresh_per_second=12) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    def begin(self, *names: str) -> None:
        now = time.monotonic()
        self._begun.update((name, now) for name in names)

    def done(self, name: str, detail: str = "") -> None:
        if name in self._done:
            return
        seconds = time.monotonic() - self._begun.get(name, time.monotonic())
        self._done[name] = seconds, detail
        if self._live is None:
            self._console.print(f"{name}: ready in {seconds:.1f} s{', ' if detail else ''}{detail}", soft_wrap=True)

    def is_done(self, name: str) -> bool:
        return name in self._done

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        for name in self._begun:
            if name in self._done:
                seconds, detail = self._done[name]
                table.add_row(
                    Text("✓", "green"), name, Text(f"{seconds:.1f} s", "dim", justify="right"), Text(detail, "dim")
                )
            else:
                table.add_row(self._spinner, name, Text(""), Text(""))
        return table
