"""A TCP wire to a server that a test can cut, at the moment it chooses."""

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

_NOTICE = b"SWARNING\0VWARNING\0C57P02\0Mterminating connection because of unexpected SIGQUIT signal\0\0"
_LAST_WORDS = b"N" + struct.pack("!i", 4 + len(_NOTICE)) + _NOTICE


@asynccontextmanager
async def wire_to(url: str) -> AsyncIterator["Wire"]:
    """A wire to the server `url` names."""
    parts = urlsplit(url)
    wire = Wire(parts.hostname or "", parts.port or 0)
    server = await asyncio.start_server(wire.serve, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        await wire.close()


@dataclass(frozen=True, slots=True)
class Loss:
    """What goes lost when the wire is cut: the first request that contains `words`, or the reply to it.

    A request that is not lost is carried out at the other end. `early` cuts as soon as it has been sent on, so that it
    may still be under way there when the client hears of the cut. With `reset` the client hears of it as from a server
    that died with a request unread.
    """

    words: bytes = b""
    request: bool = False
    early: bool = False
    reset: bool = False


class Wire:
    """Carries bytes to and from `host:port` until it is told otherwise."""

    def __init__(self, host: str, port: int) -> None:
        self._place = host, port
        self.port = 0
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._losses: deque[tuple[Loss, asyncio.Event]] = deque()

    def url(self, url: str) -> str:
        """`url` with this wire in the server's place."""
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0]
        return urlunsplit(parts._replace(netloc=f"{login}@127.0.0.1:{self.port}"))

    def cut(self) -> None:
        """Ends all connections."""
        for writer in self._writers:
            writer.transport.abort()

    def lose(self, loss: Loss) -> asyncio.Event:
        """To happen once, after those asked for before. The event is set then."""
        happened = asyncio.Event()
        self._losses.append((loss, happened))
        return happened

    def lose_next_reply(self) -> asyncio.Event:
        """Lets the next request through and cuts when its reply comes. The event is set then."""
        return self.lose(Loss())

    def lose_nothing(self) -> None:
        """Whatever has not happened yet will not."""
        self._losses.clear()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def close(self) -> None:
        self.cut()
        await asyncio.gather(*self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        there, onward = await asyncio.open_connection(*self._place)
        self._writers |= {writer, onward}
        doomed: list[asyncio.Event] = []  # the next reply is lost
        try:
            await asyncio.gather(self._requests(reader, onward, writer, doomed), self._replies(there, writer, doomed))
        finally:
            self._writers -= {writer, onward}
            writer.transport.abort()
            onward.transport.abort()

    async def _requests(
        self,
        reader: asyncio.StreamReader,
        onward: asyncio.StreamWriter,
        back: asyncio.StreamWriter,
        doomed: list[asyncio.Event],
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                loss = None
                if self._losses and self._losses[0][0].words in data:
                    loss, happened = self._losses.popleft()
                    if loss.reset:
                        _die(back)
                    if loss.request:
                        happened.set()
                        break
                    doomed.append(happened)
                onward.write(data)
                await onward.drain()
                if loss is not None and loss.early:
                    doomed.pop().set()
                    back.transport.abort()
                    break
        # What was sent on before arrives; the server then finds nobody there.
        onward.transport.close()
        back.transport.abort()

    async def _replies(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, doomed: list[asyncio.Event]
    ) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if doomed:
                    doomed.pop().set()
                    break
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


def _die(writer: asyncio.StreamWriter) -> None:
    """Ends a connection to a client of PostgreSQL as a server does that is made to quit: last words, then a reset.

    Both at once, so that the client finds the one before the other whenever it looks.
    """
    connection = writer.get_extra_info("socket")
    os.write(connection.fileno(), _LAST_WORDS)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    stand_in, other = socket.socketpair()  # what the transport closes in its own time
    with stand_in, other:
        os.dup2(stand_in.fileno(), connection.fileno())
