"""What a benchmark is given."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cached_property
from pathlib import Path

from rich.console import Console

from bench import callers, stack


class Bench:
    """A folder that goes away, a stack that starts when it is first asked for, and how much to measure."""

    def __init__(self, console: Console, folder: Path, cleanup: ExitStack, *, quick: bool, full: bool) -> None:
        self.folder = folder
        self.quick = quick
        self.full = full
        self._console = console
        self._cleanup = cleanup

    def say(self, text: str) -> None:
        self._console.print(f"[dim]{text} …[/]", highlight=False)

    def rounds(self, full: int, quick: int) -> Sequence[int]:
        return range(quick if self.quick else full)

    @cached_property
    def stack(self) -> stack.Stack:
        self.say(f"starting a stack over {stack.SYMBOLS} synthetic symbols")
        return self._cleanup.enter_context(stack.started(self.folder))

    @cached_property
    def callers(self) -> callers.Callers:
        found = self.stack
        self.say(f"signing {3 * callers.OF_EACH_TIER} users in")
        return callers.signed_in(found)


@contextmanager
def bench(console: Console, *, quick: bool, full: bool) -> Iterator[Bench]:
    """Whatever was started or written is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="kalpi-bench-") as folder, ExitStack() as cleanup:
        yield Bench(console, Path(folder), cleanup, quick=quick, full=full)
