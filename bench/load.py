"""HTTP load: `wrk` where it is installed, else a small client of our own in a process of its own.

Both keep connections open, send the next request when the last one is answered, and refuse any answer but 200.
"""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from time import perf_counter
from typing import cast
from urllib.parse import urlsplit

import uvloop

from bench.processes import ROOT

WRK = shutil.which("wrk")

_HEAD_ENDS = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)
_MILLISECONDS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True)
class Load:
    per_second: float
    median_ms: float
    p99_ms: float


def measure(url: str, headers: Mapping[str, str], connections: int, seconds: float) -> Load:
    """Asks `url` over and over for `seconds` on so many connections at once. Raises RuntimeError on a wrong answer."""
    if WRK is not None:
        return _measure_with_wrk(WRK, url, headers, connections, seconds)
    order = {"url": url, "headers": dict(headers), "connections": connections, "seconds": seconds}
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"],
        input=json.dumps(order),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=seconds + 60,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the client failed: {done.stderr[-1000:]}")
    return Load(**json.loads(done.stdout))


def _measure_with_wrk(wrk: str, url: str, headers: Mapping[str, str], connections: int, seconds: float) -> Load:
    words = [wrk, "--latency", "-t1", f"-c{connections}", f"-d{ceil(seconds)}s"]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    text = subprocess.run([*words, url], capture_output=True, text=True, check=True, timeout=seconds + 60).stdout
    if "Non-2xx" in text or "Socket errors" in text:
        raise RuntimeError(f"not every answer was a good one:\n{text}")
    return Load(
        per_second=float(_found(r"Requests/sec:\s+([\d.]+)", text)[0]),
        median_ms=_milliseconds(_found(r"\n\s+50%\s+([\d.]+)(us|ms|s)", text)),
        p99_ms=_milliseconds(_found(r"\n\s+99%\s+([\d.]+)(us|ms|s)", text)),
    )


def _found(pattern: str, text: str) -> tuple[str, ...]:
    match = re.search(pattern, text)
    if match is None:
        raise RuntimeError(f"wrk said something else:\n{text}")
    return match.groups()


def _milliseconds(figure: tuple[str, ...]) -> float:
    return float(figure[0]) * _MILLISECONDS[figure[1]]


# --- our own client


def request_bytes(url: str, headers: Mapping[str, str]) -> bytes:
    """A GET as it goes over the wire."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    lines = [f"GET {target} HTTP/1.1", f"Host: {parts.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Connection(asyncio.Protocol):
    """One connection with at most one request under way. Calls `answered` with the whole answer, head and body."""

    def __init__(self, answered: Callable[["Connection", bytes], None], lost: Callable[[Exception], None]) -> None:
        self._answered = answered
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._expected: int | None = None  # length of the answer, once its head is there
        self._waiting = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def ask(self, request: bytes) -> None:
        assert self._transport is not None
        self._received.clear()
        self._expected = None
        self._waiting = True
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._expected is None:
            end = self._received.find(_HEAD_ENDS)
            if end < 0:
                return
            length = _LENGTH.search(self._received, 0, end + 2)
            self._expected = end + len(_HEAD_ENDS) + (int(length[1]) if length else 0)
        if len(self._received) >= self._expected:
            self._waiting = False
            self._answered(self, bytes(self._received))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting:
            self._lost(exc or ConnectionError("closed before it answered"))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def is_good(answer: bytes) -> bool:
    return answer.startswith(b"HTTP/1.1 200 ")


def refusal(answer: bytes) -> RuntimeError:
    return RuntimeError(f"not a good answer: {answer[:500].decode(errors='replace')}")


async def _connect(
    url: str, answered: Callable[[Connection, bytes], None], lost: Callable[[Exception], None]
) -> Connection:
    parts = urlsplit(url)
    _, connection = await asyncio.get_running_loop().create_connection(
        lambda: Connection(answered, lost), parts.hostname or "", parts.port or 80
    )
    return connection


class _Asker:
    """Asks the same on one connection, again and again until `deadline`."""

    def __init__(self, request: bytes, deadline: float, times: list[float]) -> None:
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._request = request
        self._deadline = deadline
        self._times = times
        self._asked_at = 0.0

    def ask(self, connection: Connection) -> None:
        self._asked_at = perf_counter()
        connection.ask(self._request)

    def answered(self, connection: Connection, answer: bytes) -> None:
        now = perf_counter()
        self._times.append(now - self._asked_at)
        if not is_good(answer):
            self.ended.set_exception(refusal(answer))
        elif now >= self._deadline:
            self.ended.set_result(None)
        else:
            self.ask(connection)


async def _measure(url: str, headers: Mapping[str, str], connections: int, seconds: float) -> Load:
    times: list[float] = []
    began = perf_counter()
    askers = [_Asker(request_bytes(url, headers), began + seconds, times) for _ in range(connections)]
    opened = [await _connect(url, asker.answered, asker.ended.set_exception) for asker in askers]
    try:
        for asker, connection in zip(askers, opened, strict=True):
            asker.ask(connection)
        await asyncio.gather(*(asker.ended for asker in askers))
        took = perf_counter() - began
    finally:
        for connection in opened:
            connection.close()
    times.sort()
    return Load(len(times) / took, 1000 * times[len(times) // 2], 1000 * times[int(len(times) * 0.99)])


async def burst(urls: Sequence[str], headers: Mapping[str, str]) -> tuple[float, list[bytes]]:
    """Asks all at once, each on a connection of its own. Seconds to the last answer, and the answers."""
    answers: list[asyncio.Future[bytes]] = [asyncio.get_running_loop().create_future() for _ in urls]
    requests = [request_bytes(url, headers) for url in urls]
    opened = [
        await _connect(url, lambda _, answer, a=a: a.set_result(answer), a.set_exception)  # type: ignore[misc]
        for url, a in zip(urls, answers, strict=True)
    ]
    try:
        began = perf_counter()
        for connection, request in zip(opened, requests, strict=True):
            connection.ask(request)
        received = await asyncio.gather(*answers)
        took = perf_counter() - began
    finally:
        for connection in opened:
            connection.close()
    for answer in received:
        if not is_good(answer):
            raise refusal(answer)
    return took, received


def main() -> None:
    order = json.load(sys.stdin)
    print(json.dumps(asdict(uvloop.run(_measure(**order)))))


if __name__ == "__main__":
    main()
