"""One bound on the time of many steps."""

from time import monotonic


class Deadline:
    """A moment so many seconds from now, after which nothing is waited for any more."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than 0. Raises TimeoutError when there are none."""
        seconds = self._end - monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds
