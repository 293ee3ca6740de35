"""HTTP load: a small client that keeps connections open and sends the next request when the last one is answered.

It shares two cores with what it measures, so it does nothing but send bytes made before, find the end of the answer,
and refuse any answer but 200. `measure` runs it in a process of its own.
"""

import gc
import json
import re
import select
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from time import perf_counter, process_time
from urllib.parse import urlsplit

from bench.processes import ROOT

Headers = Mapping[str, str]
Ask = tuple[str, int]
"""A path with its query, and the place of the caller who asks it."""

_GOOD = b"HTTP/1.1 200 "
_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = re.compile(rb"ontent-[Ll]ength: *(\d+)").search
_MISS = re.compile(rb"\r\n[Xx]-[Cc]ache: MISS\r\n").search
_RECEIVE = 2**16  # more would be memory mapped anew for every answer
_LONGEST_HEAD = 1000
_PATIENCE = 60.0
_LONGEST_RUN = 1800


@dataclass(frozen=True, slots=True)
class Load:
    """`misses` are answers that were not in a cache; `cpu_seconds` are the client's own."""

    requests: int
    per_second: float
    median_ms: float
    p99_ms: float
    misses: int
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Driven:
    """`took` is from the first byte sent to the last received; `times` are of each request, in seconds."""

    took: float
    times: Sequence[float]
    misses: int
    answers: Sequence[bytes]


def measure(
    urls: Sequence[str], callers: Sequence[Headers], asks: Sequence[Ask], connections: int, total: int | None = None
) -> Load:
    """Sends `asks` in turn, once each or `total` of them, on so many connections spread evenly over the servers `urls`.

    Raises RuntimeError when an answer is not 200 or none comes.
    """
    order = {
        "urls": list(urls),
        "callers": [dict(headers) for headers in callers],
        "asks": list(asks),
        "connections": connections,
        "total": len(asks) if total is None else total,
    }
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=_LONGEST_RUN,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the client failed: {done.stderr[-1000:]}")
    return Load(**json.loads(done.stdout))


def burst(url: str, headers: Headers, targets: Sequence[str]) -> Driven:
    """Asks all at once, each on a connection of its own that is open before the clock starts. Keeps the answers."""
    requests = [request_bytes(url, target, headers) for target in targets]
    return drive([url], requests, connections=len(requests), total=len(requests), keep=True)


def request_bytes(url: str, target: str, headers: Headers) -> bytes:
    """A GET as it goes over the wire."""
    lines = [f"GET {target} HTTP/1.1", f"Host: {urlsplit(url).netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Answers:
    """Finds the end of an answer in what comes over one connection, one answer at a time."""

    __slots__ = ("_length", "_part")

    def __init__(self) -> None:
        self._part = bytearray()
        self._length = 0  # of the answer that has begun to come, once its head is there

    def whole(self, data: bytes) -> bytes | None:
        """The answer, head and body, when `data` completes it. Raises RuntimeError unless it is a good one."""
        if not self._part:
            self._length = _length(data)
            if len(data) == self._length:  # as most of them come: at once
                return data
        self._part += data
        if not self._length:
            self._length = _length(self._part)
        if not self._length or len(self._part) < self._length:
            return None
        if len(self._part) > self._length:
            raise RuntimeError(f"more came than an answer: {bytes(self._part[self._length :][:100])!r}")
        answer = bytes(self._part)
        self._part.clear()
        return answer


def _length(received: bytes | bytearray) -> int:
    """Of the whole answer, by its head; 0 while that is not there."""
    end = received.find(_HEAD_ENDS)
    if end < 0:
        return 0
    length = _LENGTH(received, 0, end + 2)
    if length is None or not received.startswith(_GOOD):
        raise RuntimeError(f"not a good answer: {bytes(received[:500]).decode(errors='replace')}")
    return end + len(_HEAD_ENDS) + int(length[1])


class _Connection:
    """One connection with at most one request under way."""

    __slots__ = ("_asked_at", "_receive", "_send", "_whole")

    def __init__(self, connection: socket.socket) -> None:
        self._receive = connection.recv
        self._send = connection.send
        self._whole = Answers().whole
        self._asked_at = 0.0

    def ask(self, request: bytes) -> None:
        self._asked_at = perf_counter()
        if self._send(request) != len(request):
            raise RuntimeError("a request did not go out at once")

    def answer(self) -> tuple[float, bytes] | None:
        """Seconds it took and the answer, when what is there to be read completes it."""
        data = self._receive(_RECEIVE)
        if not data:
            raise RuntimeError("the server closed a connection before it answered")
        answer = self._whole(data)
        return None if answer is None else (perf_counter() - self._asked_at, answer)


def drive(
    urls: Sequence[str], requests: Sequence[bytes], *, connections: int, total: int, keep: bool = False
) -> Driven:
    """Sends `requests` in turn until `total` are answered. Raises RuntimeError when one is not 200 or none comes."""
    times: list[float] = []
    answers: list[bytes] = []
    misses = 0
    coming = islice(cycle(requests), total)
    with _connected(urls, min(connections, total)) as opened, select.epoll() as ready, _without_collections():
        by_descriptor = {one.fileno(): _Connection(one) for one in opened}
        for descriptor in by_descriptor:
            ready.register(descriptor, select.EPOLLIN)
        began = perf_counter()
        for connection, request in zip(by_descriptor.values(), coming, strict=False):
            connection.ask(request)
        while len(times) < total:
            events = ready.poll(_PATIENCE)
            if not events:
                raise RuntimeError(f"no answer within {_PATIENCE:.0f} s; {len(times)} of {total} came")
            for descriptor, _ in events:
                connection = by_descriptor[descriptor]
                found = connection.answer()
                if found is None:
                    continue
                seconds, answer = found
                next_request = next(coming, None)
                if next_request is not None:
                    connection.ask(next_request)
                times.append(seconds)
                if _MISS(answer, 0, _LONGEST_HEAD) is not None:
                    misses += 1
                if keep:
                    answers.append(answer)
        took = perf_counter() - began
    return Driven(took, times, misses, answers)


@contextmanager
def _connected(urls: Sequence[str], connections: int) -> Iterator[list[socket.socket]]:
    """Open connections, in turn to each of the servers."""
    with ExitStack() as cleanup:
        opened = []
        for url in islice(cycle(urls), connections):
            parts = urlsplit(url)
            one = socket.create_connection((parts.hostname or "", parts.port or 80), _PATIENCE)
            cleanup.enter_context(one)
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            one.setblocking(False)
            opened.append(one)
        yield opened


@contextmanager
def _without_collections() -> Iterator[None]:
    """Nothing here makes cycles; a collection would stop every connection at once."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def main() -> None:
    order = json.load(sys.stdin)
    urls, callers = order["urls"], order["callers"]
    # One server's name stands in requests to all: they do not look at it.
    requests = [request_bytes(urls[0], target, callers[caller]) for target, caller in order["asks"]]
    before = process_time()
    driven = drive(urls, requests, connections=order["connections"], total=order["total"])
    spent = process_time() - before
    times = sorted(driven.times)
    load = Load(
        requests=len(times),
        per_second=len(times) / driven.took,
        median_ms=1000 * times[len(times) // 2],
        p99_ms=1000 * times[int(len(times) * 0.99)],
        misses=driven.misses,
        cpu_seconds=spent,
    )
    print(json.dumps(asdict(load)))


if __name__ == "__main__":
    main()
