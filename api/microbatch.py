"""One trip for all who wait."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from common.errors import Unavailable

Item = TypeVar("Item")
Result = TypeVar("Result")


class MicroBatcher(Generic[Item, Result]):
    """Gathers the callers that wait at the same moment and makes one trip for all of them.

    One trip is under way at a time; whoever arrives meanwhile is on the next. So a lone caller waits for nobody,
    and under load the trips grow by themselves. `trip` returns a result or an exception per item, in order.

    A trip that is overdue is not queued for: whoever comes while it lasts is refused at once.

    A caller that gave up is left out of the next trip; if it gave up while its trip was under way,
    `abandoned(item, result)` hears of the result nobody took.
    """

    def __init__(
        self,
        name: str,
        trip: Callable[[Sequence[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        largest: int = 512,
        waiting: int = 10_000,
        abandoned: Callable[[Item, Result], None] | None = None,
    ) -> None:
        self._name = name
        self._trip = trip
        self._largest = largest
        self._most_waiting = waiting
        self._abandoned = abandoned
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._runner: asyncio.Task[None] | None = None
        self._left_at = 0.0  # when the trip under way began

    async def submit(self, item: Item, patience: float) -> Result:
        """The result of `item`. Raises Unavailable when too many wait or nothing came back in `patience` seconds."""
        loop = asyncio.get_running_loop()
        idle = self._runner is None or self._runner.done()
        if not idle and (len(self._waiting) >= self._most_waiting or loop.time() - self._left_at > patience):
            raise Unavailable(self._name)
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        if idle:
            self._left_at = loop.time()
            self._runner = loop.create_task(self._run(), name=f"microbatch-{self._name}")
        alarm = loop.call_later(patience, _give_up, future, self._name)
        try:
            return await future
        except asyncio.CancelledError:  # perhaps in the very turn in which the result came
            if not future.cancelled() and future.exception() is None and self._abandoned is not None:
                self._abandoned(item, future.result())
            raise
        finally:
            alarm.cancel()

    async def _run(self) -> None:
        while self._waiting:
            # Whoever is about to come comes along: under load the trips are fewer, and alone it is a turn of the loop.
            await asyncio.sleep(0)
            batch = [entry for entry in self._waiting[: self._largest] if not entry[1].done()]
            del self._waiting[: self._largest]
            if not batch:
                continue
            self._left_at = asyncio.get_running_loop().time()
            try:
                results = await self._trip([item for item, _ in batch])
            except Exception as error:  # noqa: BLE001 - it is everybody's error, not this loop's
                results = [error] * len(batch)
            for (item, future), result in zip(batch, results, strict=True):
                if future.done():
                    if self._abandoned is not None and not isinstance(result, Exception):
                        self._abandoned(item, result)
                elif isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)


def _give_up(future: asyncio.Future[Result], name: str) -> None:
    if not future.done():
        future.set_exception(Unavailable(name))
