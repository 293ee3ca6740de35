"""One POST to one receiver: to addresses that were judged, within a time, without redirects or proxies."""

import io
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

from common.webhooks import Receiver
from worker.webhooks.addresses import SocketAddress, Unreachable, addresses_of
from worker.webhooks.deadline import Deadline

_MOST_READ = 64 * 1024
"""Bytes of an answer's body; nobody looks at them, but a receiver may like to finish."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    retry_after: str | None


def post(
    receiver: Receiver, headers: Mapping[str, str], body: bytes, *, seconds: float, tls: ssl.SSLContext, private: bool
) -> Answer:
    """What the receiver says. Raises Unreachable when it says nothing, `seconds` after the call at the latest."""
    deadline = Deadline(seconds)
    addresses = addresses_of(receiver, deadline, private=private)
    try:
        with _connect(receiver, addresses, deadline, tls) as connection:
            connection.settimeout(deadline.left())
            connection.sendall(_head(receiver, headers, len(body)) + body)
            return _read_answer(connection, deadline)
    except TimeoutError:
        raise Unreachable(f"did not answer within {seconds:g} s") from None
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"its certificate is not valid: {error.verify_message}") from error
    except ssl.SSLError as error:
        raise Unreachable("TLS failed with it") from error
    except ConnectionRefusedError as error:
        raise Unreachable("refused the connection") from error
    except ConnectionError as error:
        raise Unreachable("closed the connection without an answer") from error
    except OSError as error:
        raise Unreachable("cannot be reached") from error
    except (HTTPException, ValueError) as error:
        raise Unreachable("its answer is not HTTP") from error


def _connect(
    receiver: Receiver, addresses: Sequence[SocketAddress], deadline: Deadline, tls: ssl.SSLContext
) -> socket.socket:
    """To the first address that takes the connection; of the time that is left, each may have its share."""
    failure: OSError = ConnectionRefusedError()
    for remaining, (family, address) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        with ExitStack() as unless_connected:
            connection = unless_connected.enter_context(socket.socket(family, socket.SOCK_STREAM))
            connection.settimeout(deadline.left() / remaining)
            try:
                connection.connect(address)
            except OSError as error:
                failure = error
                continue
            connection.settimeout(deadline.left())
            if receiver.is_encrypted:
                connection = tls.wrap_socket(connection, server_hostname=str(receiver.host))
            unless_connected.pop_all()
            return connection
    raise failure


def _head(receiver: Receiver, headers: Mapping[str, str], length: int) -> bytes:
    """The request up to its body. Nothing in a receiver can end a line: `common.webhooks` has read it."""
    fields = {"Host": receiver.authority, "Content-Length": str(length), "Connection": "close", **headers}
    lines = [f"POST {receiver.target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode("ascii")


def _read_answer(connection: socket.socket, deadline: Deadline) -> Answer:
    response = HTTPResponse(cast("socket.socket", _Incoming(connection, deadline)), method="POST")
    response.begin()
    with suppress(OSError, HTTPException, ValueError):  # it has answered; how it goes on changes nothing
        response.read(_MOST_READ)
    return Answer(response.status, response.headers.get("Retry-After"))


class _Incoming(io.RawIOBase):
    """What comes from a socket, as `http.client` reads it: not for longer than the deadline, however it trickles."""

    def __init__(self, connection: socket.socket, deadline: Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:  # noqa: ANN401 - bytes to write into; Python 3.12 has a name for them
        self._connection.settimeout(self._deadline.left())
        return self._connection.recv_into(buffer)
