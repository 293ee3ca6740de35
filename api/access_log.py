"""A line of the log per request. They are written some at a time: a write of its own would cost a request dearly."""

import asyncio
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

_PAUSE = 0.05
_MOST = 1_000


class AccessLog:
    """Lines wait up to 50 ms; `flush` writes those that wait. Nothing is written where `level` is above INFO."""

    def __init__(self, level: str, out: TextIO = sys.stdout) -> None:
        self._wanted = logging.getLevelNamesMapping()[level] <= logging.INFO
        self._out = out
        self._lines: list[bytes] = []
        self._due: asyncio.TimerHandle | None = None

    def write(self, fields: dict[str, Any]) -> None:
        """`fields` as one JSON object, as the rest of the log has them."""
        if not self._wanted:
            return
        fields |= {"event": "request", "level": "info", "timestamp": datetime.now(UTC)}
        self._lines.append(orjson.dumps(fields, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE))
        if len(self._lines) >= _MOST:
            self.flush()
        elif self._due is None:
            self._due = asyncio.get_running_loop().call_later(_PAUSE, self.flush)

    def flush(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None
        lines, self._lines = self._lines, []
        if lines:
            with suppress(OSError):  # a full disk must not stop those who only ask
                self._out.write(b"".join(lines).decode())
                self._out.flush()
