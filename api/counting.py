"""The one connection that counts: psycopg2, driven by the event loop.

A statement leaves and its rows come back without a thread in between, which would cost more than the statement.
Only connecting, which may wait for a name server, is done on a thread.
"""

import asyncio
import select
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any
from uuid import uuid4

import psycopg2
import structlog
from psycopg2 import errors, extensions
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 writes it small

from common.errors import Unavailable
from common.quota import Statement, fence

log = structlog.get_logger()

_LOOK_SECONDS = 0.5

_GOING_DOWN = (errors.AdminShutdown, errors.CrashShutdown, errors.CannotConnectNow)
"""The last words of a connection that is about to end."""

Rows = Sequence[Sequence[Any]]


class StatementLost(Unavailable):
    """The connection went away with a statement under way: nobody knows whether it was carried out."""

    def __init__(self) -> None:
        super().__init__("postgresql")


class CountingConnection:
    """Runs one statement at a time, each a transaction of its own. A connection that went away is made again.

    `connect` returns an asynchronous connection that is ready, and the only one of `process` (see `connector`).
    """

    def __init__(self, connect: Callable[[str], Connection]) -> None:
        self.process = str(uuid4())
        self._connect = connect
        self._connection: Connection | None = None
        self._cursor: extensions.cursor | None = None
        self._descriptor = -1
        self._reply: asyncio.Future[Rows] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next_look: asyncio.TimerHandle | None = None

    async def execute(self, statement: Statement) -> Rows:
        """The rows of one statement.

        Raises Unavailable when PostgreSQL did not get it, StatementLost when it may have, and what PostgreSQL found
        wrong with it.
        """
        if self._connection is None:
            await self._open()
        assert self._cursor is not None  # noqa: S101 - opened
        self._reply = asyncio.get_running_loop().create_future()
        try:
            self._cursor.execute(statement.sql, statement.params)
            self._advance()
        except psycopg2.Error as error:
            self._fail(error)
        try:
            return await self._reply
        except asyncio.CancelledError:
            self.close()
            raise

    async def _open(self) -> None:
        self._loop = asyncio.get_running_loop()
        try:
            connection = await self._loop.run_in_executor(None, self._connect, self.process)
        except psycopg2.Error as error:
            log.warning("counting_connection_failed", error=str(error).partition("\n")[0])
            raise Unavailable("postgresql") from error
        self._connection = connection
        self._cursor = connection.cursor()
        self._descriptor = connection.fileno()
        self._loop.add_reader(self._descriptor, self._readable)
        self._next_look = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _look(self) -> None:
        """Goes on though nobody says there is something to read.

        When a connection is reset, uvloop calls the reader once and never again. If the server's last words are read by
        that, the end behind them would go unnoticed.
        """
        assert self._loop is not None  # noqa: S101
        self._next_look = self._loop.call_later(_LOOK_SECONDS, self._look)
        if self._reply is not None and not self._reply.done():
            self._readable()

    def _readable(self) -> None:
        try:
            self._advance()
        except psycopg2.Error as error:
            self._fail(error)

    def _advance(self) -> None:
        """Goes on with what is under way as far as it goes without waiting."""
        assert self._connection is not None  # noqa: S101
        assert self._cursor is not None  # noqa: S101
        assert self._loop is not None  # noqa: S101
        state = self._connection.poll()
        if state == extensions.POLL_WRITE:  # a statement longer than the socket takes at once
            self._loop.add_writer(self._descriptor, self._writable)
        elif state == extensions.POLL_OK and self._reply is not None and not self._reply.done():
            self._reply.set_result(self._cursor.fetchall() if self._cursor.description is not None else [])

    def _writable(self) -> None:
        assert self._loop is not None  # noqa: S101
        self._loop.remove_writer(self._descriptor)
        self._readable()

    def _fail(self, error: psycopg2.Error) -> None:
        """Tells who waits. What PostgreSQL refused was not carried out; a connection that went away says nothing."""
        outcome: Exception = error
        if self._connection is not None and (self._connection.closed or isinstance(error, _GOING_DOWN)):
            self.close()
            log.warning("counting_connection_lost", error=str(error).partition("\n")[0])
            outcome = StatementLost()
        elif isinstance(error, psycopg2.OperationalError):  # cancelled by its time-out, out of memory
            outcome = Unavailable("postgresql")
        outcome.__cause__ = error
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(outcome)

    def close(self) -> None:
        if self._connection is None:
            return
        if self._next_look is not None:
            self._next_look.cancel()
        if self._loop is not None and self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._loop.remove_writer(self._descriptor)
        self._connection.close()
        self._connection = self._cursor = None
        self._descriptor = -1


def connector(arguments: Mapping[str, Any], timeout: float, prepare: str) -> Callable[[str], Connection]:
    """Makes the connection of a process, which has run `prepare`, within `timeout` seconds, or raises psycopg2.Error.

    Whatever an earlier connection of the process was still carrying out has ended by then, one way or the other.
    """

    def connect(process: str) -> Connection:
        deadline = monotonic() + timeout
        connection: Connection = psycopg2.connect(**arguments, async_=True)
        try:
            _wait(connection, deadline)
            with connection.cursor() as cursor:
                cursor.execute(fence(process) + prepare)
                _wait(connection, deadline)
        except BaseException:
            connection.close()
            raise
        return connection

    return connect


def _wait(connection: Connection, deadline: float) -> None:
    while (state := connection.poll()) != extensions.POLL_OK:
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN if state == extensions.POLL_READ else select.POLLOUT)
        if not poller.poll(max(0.0, deadline - monotonic()) * 1000):
            raise psycopg2.OperationalError("PostgreSQL did not answer in time")
