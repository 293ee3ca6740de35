"""How long the tests of the promise go on: some seconds in the suite, as long as it says under `make soak`."""

import os
import sys
from collections.abc import Callable

SOAK = "SOAK" in os.environ

Record = Callable[[str, object], None]


def often(short: int, long: int) -> int:
    """How often something happens, in the suite and in `make soak`."""
    return long if SOAK else short


def tell(record: Record, line: str) -> None:
    """A figure of the promise: into the JUnit file, and with `pytest -rP` on the terminal."""
    record("promise", line)
    sys.stdout.write(f"{line}\n")
