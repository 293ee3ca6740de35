"""When the process is asked to stop.

The server tells the application only when all requests have ended, and those that follow a job would not end by then.
"""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_Handler = Callable[[int, FrameType | None], object]


@contextmanager
def told_to_stop(tell: Callable[[], None]) -> Iterator[None]:
    """Inside the block `tell` is called in the event loop when the signal comes, besides what the server does then.

    Only the main thread hears of signals; in another one nothing is called.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def along_with(handler: _Handler) -> _Handler:
        def handle(number: int, frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(tell)
            handler(number, frame)

        return handle

    before = {number: handler for number in _SIGNALS if callable(handler := signal.getsignal(number))}
    for number, handler in before.items():
        signal.signal(number, along_with(handler))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
