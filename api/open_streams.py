"""How many streams each user may have open: each is a connection, and asks PostgreSQL again and again."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from common.errors import TooManyRequests

MAX_STREAMS = 20
"""Of one user in one process."""

_RETRY_SECONDS = 5


class OpenStreams:
    """Counts them in this process."""

    def __init__(self) -> None:
        self._open: Counter[int] = Counter()

    @contextmanager
    def one(self, user_id: int) -> Iterator[None]:
        """One more of that user's, inside the block. Raises TooManyRequests."""
        if self._open[user_id] >= MAX_STREAMS:
            raise TooManyRequests(_RETRY_SECONDS)
        self._open[user_id] += 1
        try:
            yield
        finally:
            self._open[user_id] -= 1
            if not self._open[user_id]:
                del self._open[user_id]
