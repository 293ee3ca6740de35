"""Ctrl-C, SIGTERM and the deaths of children, turned into something a plain loop can wait for."""

import os
import select
import signal
import time
from contextlib import suppress
from types import FrameType, TracebackType
from typing import Self

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SAME_KEYSTROKE = 0.5
"""Seconds within which a second SIGINT is taken for an echo of the first (make and the terminal both send one)."""


class StopRequested(Exception):  # noqa: N818 - what happened, not what went wrong
    """The operator wants `kalpi up` to stop."""


class Signals:
    """Handlers note and return; the work happens where `pause` is called.

    A handler that raised could strike between starting a child and remembering it.
    """

    def __init__(self) -> None:
        self.stopping = False
        """Set once the stop has begun: `pause` then waits instead of raising."""
        self.impatient = False
        """A second Ctrl-C."""
        self._requested = False
        self._interrupted_at = 0.0
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)

    def __enter__(self) -> Self:
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in _STOP_SIGNALS:
            signal.signal(number, self._note)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # only to wake `pause`
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in (*_STOP_SIGNALS, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now = time.monotonic()
        if number == signal.SIGINT:
            if self._interrupted_at and now - self._interrupted_at > _SAME_KEYSTROKE:
                self.impatient = True
            self._interrupted_at = self._interrupted_at or now
        self._requested = True

    def pause(self, seconds: float) -> None:
        """Waits, shorter when a signal arrives. Raises StopRequested once, before the stop has begun."""
        if not self._requested or self.stopping:
            select.select([self._read], [], [], max(0.0, seconds))
            with suppress(BlockingIOError):
                os.read(self._read, 512)
        if self._requested and not self.stopping:
            raise StopRequested
