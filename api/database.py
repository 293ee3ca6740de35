"""PostgreSQL from the event loop: blocking functions on bounded threads, one transaction each."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from common.errors import Unavailable

T = TypeVar("T")


class Database:
    """An engine with as many threads as connections, so nothing ever waits for a connection in a thread.

    `patience` is how long a caller waits for a whole transaction, None for as long as it takes.
    """

    def __init__(self, engine: Engine, *, threads: int, patience: float | None) -> None:
        self._engine = engine
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="database")
        self._patience = patience

    async def run(self, work: Callable[[Connection], T]) -> T:
        """`work` in one transaction, committed when it returns. Raises Unavailable when PostgreSQL does not answer.

        A caller out of patience goes on; the thread ends when PostgreSQL lets it, and then commits or not.
        """
        future = asyncio.get_running_loop().run_in_executor(self._threads, self._transact, work)
        if self._patience is None:
            return await future
        try:
            return await asyncio.wait_for(asyncio.shield(future), self._patience)
        except TimeoutError:
            future.add_done_callback(lambda f: f.cancelled() or f.exception())  # nobody is left to hear of it
            raise Unavailable("postgresql") from None

    def _transact(self, work: Callable[[Connection], T]) -> T:
        try:
            with self._engine.begin() as connection:
                return work(connection)
        except (OperationalError, InterfaceError, PoolTimeoutError) as error:
            raise Unavailable("postgresql") from error

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown, cancel_futures=True)
        self._engine.dispose()
