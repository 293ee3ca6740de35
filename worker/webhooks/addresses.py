"""From a receiver to the addresses a message may go to, each of which has been looked at.

What is connected to is the very address that was judged: a name that is looked up twice may lead elsewhere the second
time.
"""

import queue
import socket
import threading
from ipaddress import ip_address
from typing import Any

from common.addresses import is_public
from common.webhooks import Receiver
from worker.webhooks.deadline import Deadline

SocketAddress = tuple[socket.AddressFamily, Any]
"""A family, and what `socket.connect` takes in it."""


class Unreachable(Exception):  # noqa: N818
    """No message can be sent; the text says why, to the user."""


def addresses_of(receiver: Receiver, deadline: Deadline, *, private: bool) -> list[SocketAddress]:
    """Where the receiver listens. Raises Unreachable, also when one of many addresses is not public."""
    found = _look_up(str(receiver.host), receiver.port, deadline)
    if not private and not all(is_public(ip_address(address[0])) for _, address in found):
        raise Unreachable("its host has an address that webhooks may not go to")
    return found


def _look_up(host: str, port: int, deadline: Deadline) -> list[SocketAddress]:
    """On a thread of its own, since a resolver keeps no time; a late answer is for nobody."""
    answers: queue.SimpleQueue[list[SocketAddress] | OSError] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            found = socket.getaddrinfo(host.encode(), port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
            answers.put([(family, address) for family, _, _, _, address in found])
        except OSError as error:
            answers.put(error)

    threading.Thread(target=look_up, name="resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        raise Unreachable("its host's name could not be looked up in time") from None
    if isinstance(answer, OSError):
        raise Unreachable("its host's name cannot be looked up") from answer
    return answer
