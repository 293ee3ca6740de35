"""Waits until every service answers."""

import http.client
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cli.display import Steps
from cli.processes import Child, Children
from common.errors import StartupError

_POLL = 0.05
_ASK_EVERY = 0.2


class NotReady(StartupError):  # noqa: N818 - what happened
    """A service stayed silent; `children` are the processes behind it."""

    def __init__(self, children: Sequence[Child], msg: str) -> None:
        self.children = tuple(children)
        super().__init__(msg)


@dataclass(frozen=True, slots=True)
class Service:
    """One line of the display: ready when `url` answers 200, or when its children run if it has none."""

    title: str
    children: Sequence[Child]
    url: str | None = None


class _Probe:
    """Asks again and again on a thread of its own, since an answer may take seconds and Ctrl-C must not wait."""

    def __init__(self, url: str | None) -> None:
        self.ready = url is None
        self.last_answer = "nothing has answered"
        self._ended = threading.Event()
        if url is not None:
            threading.Thread(target=self._ask, args=(url,), daemon=True).start()

    def end(self) -> None:
        self._ended.set()

    def _ask(self, url: str) -> None:
        parts = urlsplit(url)
        while not (self.ready or self._ended.wait(_ASK_EVERY)):
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
            try:
                connection.request("GET", parts.path)
                answer = connection.getresponse()
                body = answer.read(2000).decode("utf-8", "replace")
                self.ready = answer.status == http.client.OK
                self.last_answer = f"{url} answers {answer.status} {body}".strip()
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()


def wait_until_ready(
    services: Sequence[Service], children: Children, steps: Steps, seconds: float, revive: Callable[[], None]
) -> None:
    """Meanwhile `revive` restarts what has died. Raises NotReady after `seconds`."""
    probes = {service.title: _Probe(service.url) for service in services}
    deadline = time.monotonic() + seconds
    steps.begin(*probes)
    try:
        while waiting := [s for s in services if not steps.is_done(s.title)]:
            revive()
            for service in waiting:
                probe = probes[service.title]
                if time.monotonic() > deadline:
                    raise NotReady(
                        service.children,
                        f"{service.title} not ready after {seconds:.0f} s; {probe.last_answer[:300]}",
                    )
                if probe.ready and all(c.pid is not None for c in service.children):
                    steps.done(service.title, service.url.rpartition("/health")[0] if service.url else "")
            children.pause(_POLL)
    finally:
        for probe in probes.values():
            probe.end()
