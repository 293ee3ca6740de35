"""Ports: bound before anything starts, so that a taken one is noticed first and `--port 0` cannot race."""

import socket
from collections.abc import Sequence

from common.errors import StartupError

_BACKLOG = 2048


class Listeners:
    """One port of several processes, each with a listening socket of its own.

    The kernel spreads connections over them. Of one socket that all inherit, whoever wakes first takes all that wait.
    """

    def __init__(self, host: str, port: int, names: Sequence[str], what: str) -> None:
        """Raises StartupError when the address cannot be had."""
        self._host = host
        self._what = what
        self._shared = len(names) > 1
        alone = listen(host, port, what)  # nobody else has it, which a shared one would not notice
        self.port = port_of(alone)
        if not self._shared:
            self._sockets = {names[0]: alone}
            return
        alone.close()
        self._sockets = {}
        for name in names:
            self.descriptor(name)

    def descriptor(self, name: str) -> int:
        """Of the socket of a process; it is opened again if it was abandoned."""
        if name not in self._sockets:
            self._sockets[name] = listen(self._host, self.port, self._what, shared=True)
        return self._sockets[name].fileno()

    def abandon(self, name: str) -> None:
        """The process is gone: the others get its connections. A lone process keeps them until it is back."""
        if self._shared and name in self._sockets:
            self._sockets.pop(name).close()

    def close(self) -> None:
        for each in self._sockets.values():
            each.close()


def listen(host: str, port: int, what: str, *, shared: bool = False) -> socket.socket:
    """A listening socket for children to inherit. Raises StartupError when the address cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise StartupError(f"cannot listen on {host!r}: {error.strerror}") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise StartupError(f"{what} cannot listen on {host} port {port}: {_reason(error)}") from error
    return listener


def claim_port(host: str, port: int, what: str) -> int:
    """A port that is free now, for a child that binds it itself; `port` unless that is 0."""
    with listen(host, port, what) as probe:
        return port_of(probe)


def port_of(listener: socket.socket) -> int:
    port: int = listener.getsockname()[1]
    return port


def url_of(host: str, port: int) -> str:
    """How somebody on this machine reaches it."""
    here = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - a name, not a bind
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
