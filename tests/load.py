"""Load over HTTP that goes on whatever happens to the server, and remembers what every client saw."""

import asyncio
import json
import math
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import psycopg2

from tests.stack import PASSWORD, Account, Stack

BROKEN = 0
"""In place of a status: the connection ended before the answer did."""

HUNG = -1
"""In place of a status: no answer within the bound."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One GET."""

    account: Account
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)

    def request(self, host: str) -> bytes:
        lines = [f"GET {self.target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in {**self.account.headers, **self.headers}.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `began` and `ended` are of the monotonic clock."""

    ask: Ask
    began: float
    ended: float
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    @property
    def detail(self) -> str:
        return str(json.loads(self.body)["detail"])

    @property
    def process(self) -> str:
        """Which API process has answered."""
        return self.headers["x-request-id"][:16]


class Connection:
    """One connection with at most one request under way, made again when it has broken."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def open(self) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self._host, self._port)

    async def ask(self, ask: Ask, bound: float) -> Outcome:
        """Always an outcome, within `bound` seconds."""
        began = time.monotonic()
        status, headers, body = BROKEN, {}, b""
        try:
            async with asyncio.timeout(bound):
                status, headers, body = await self._exchange(ask)
        except TimeoutError:
            status = HUNG
            self.close()
        except (OSError, asyncio.IncompleteReadError):
            self.close()
        return Outcome(ask, began, time.monotonic(), status, headers, body)

    async def _exchange(self, ask: Ask) -> tuple[int, dict[str, str], bytes]:
        await self.open()
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(ask.request(f"{self._host}:{self._port}"))
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            self.close()
        return int(first.split(" ", 2)[1]), headers, body

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def all_at_once(url: str, asks: Sequence[Ask], bound: float = 60) -> list[Outcome]:
    """Each on a connection of its own that is open before the first of them asks."""
    connections = [Connection(url) for _ in asks]
    try:
        for connection in connections:
            await connection.open()
        return await asyncio.gather(*(c.ask(a, bound) for c, a in zip(connections, asks, strict=True)))
    finally:
        for connection in connections:
            connection.close()


class Load:
    """So many connections that ask one thing after the other, from a thread of their own, inside a `with` block."""

    def __init__(self, url: str, asks: Iterator[Ask], *, connections: int = 16, bound: float) -> None:
        self.outcomes: list[Outcome] = []
        self._url, self._asks, self._bound = url, asks, bound
        self._connections = connections
        self.recovered_at = math.inf
        self._ending = False
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """Waits for the answers under way."""
        self._ending = True
        self._thread.join()

    async def _run(self) -> None:
        await asyncio.gather(*(self._go_on(Connection(self._url)) for _ in range(self._connections)))

    async def _go_on(self, connection: Connection) -> None:
        with closing(connection):
            while not self._ending:
                outcome = await connection.ask(next(self._asks), self._bound)
                self.outcomes.append(outcome)
                if outcome.status == BROKEN:
                    await asyncio.sleep(0.05)  # nobody may be there to connect to

    def answers_from(self, moment: float) -> list[Outcome]:
        """To requests that were sent after `moment`."""
        return [o for o in self.outcomes if o.began >= moment]

    def wait_for(self, answers: int, *, since: float = 0.0, seconds: float = 30) -> None:
        """Until so many of the requests sent after `since` are answered with 200."""
        deadline = time.monotonic() + seconds
        while sum(o.status == 200 for o in self.answers_from(since)) < answers:
            assert time.monotonic() < deadline, f"not {answers} answers within {seconds} s"
            time.sleep(0.05)

    def recovered(self, since: float, seconds: float) -> float:
        """Waits for a second in which nothing fails, cold or cached; returns how long after `since` it began.

        Raises AssertionError when it has not begun `seconds` after `since`.
        """
        while True:
            now = time.monotonic()
            failed = [o.ended for o in self.outcomes if o.status not in {200, 202}]
            quiet = max([since, *failed])
            served = Counter(o.headers["x-cache"] for o in self.answers_from(quiet) if o.status == 200)
            if now - quiet >= 1 and served["HIT"] >= 50 and served["MISS"] >= 5:
                self.recovered_at = quiet
                return quiet - since
            assert quiet - since <= seconds, f"requests fail {quiet - since:.1f} s after the part is back"
            assert now - quiet <= seconds + 30, f"only {dict(served)} answers in {now - quiet:.1f} s"
            time.sleep(0.05)


class Queries:
    """Targets over the symbols of a stack: some that are asked again and again, and ever new ones."""

    def __init__(self, stack: Stack, account: Account) -> None:
        with stack.client(account) as client:
            listing = client.get("/v1/symbols").json()
        self.symbols: list[str] = [symbol["symbol"] for symbol in listing["symbols"]]
        self._fresh = (
            target("sma", symbol=symbol, period=period, warmup=warmup)
            for period in count(5)
            for warmup in ("full", "none")
            for symbol in self.symbols
        )

    def fresh(self) -> str:
        """One that nobody has asked, for any tier."""
        return next(self._fresh)

    def warm(self, place: int) -> str:
        return target("ema", symbol=self.symbols[place % len(self.symbols)], period=3)


def target(indicator: str, **params: Any) -> str:  # noqa: ANN401
    return f"/v1/indicators/{indicator}/values?{urlencode(params)}"


class Books:
    """The daily counts of a stack, and users who come into being there."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def sign_up(self, *tiers: str) -> list[Account]:
        """A new user of each tier, signed in over HTTP."""
        accounts = []
        with self._stack.client() as client:
            for tier in tiers:
                name = f"{tier}-{uuid.uuid4().hex[:12]}"
                client.post("/v1/auth/register", json={"username": name, "password": PASSWORD}).raise_for_status()
                pair = client.post("/v1/auth/token", data={"username": name, "password": PASSWORD})
                pair.raise_for_status()
                self.execute("UPDATE users SET tier = %s WHERE username = %s", tier, name)
                accounts.append(Account(name, PASSWORD, pair.json()["access_token"]))
        return accounts

    def used(self, accounts: Sequence[Account]) -> dict[str, int]:
        names = [account.username for account in accounts]
        rows = self.execute("SELECT username, requests_today FROM users WHERE username = ANY(%s)", names)
        return dict(rows)

    def execute(self, statement: str, *params: object) -> list[tuple[Any, ...]]:
        """One transaction, as soon as PostgreSQL is there."""
        deadline = time.monotonic() + 30
        while True:
            try:
                connection = psycopg2.connect(self._stack.up["database_url"], connect_timeout=2)
                with closing(connection), connection, connection.cursor() as cursor:
                    cursor.execute(statement, params)
                    return cursor.fetchall() if cursor.description is not None else []
            except psycopg2.OperationalError:
                assert time.monotonic() < deadline
                time.sleep(0.05)


def until(condition: Callable[[], Any], seconds: float = 30) -> float:
    """The moment `condition` was met; errors of connections are no answer yet."""
    deadline = time.monotonic() + seconds
    while True:
        with suppress(OSError, psycopg2.OperationalError):
            if condition():
                return time.monotonic()
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
