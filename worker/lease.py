"""The lease of a claim, kept while its part runs."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from worker.transitions import Claim, renew

log = structlog.get_logger()


class Lease:
    """Whether a claim holds, as far as this process knows."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._until = monotonic() + seconds
        self._lost = False

    @property
    def may_hold(self) -> bool:
        """False once another worker may have taken the part, or the job has ended."""
        return not self._lost and monotonic() < self._until

    def renewed(self, since: float) -> None:
        self._until = since + self._seconds

    def lose(self) -> None:
        self._lost = True


@contextmanager
def kept(engine: Engine, claim: Claim, seconds: float) -> Iterator[Lease]:
    """Renews the lease of `claim` while the block runs, or until it is lost."""
    lease = Lease(seconds)
    stop = threading.Event()

    def keep() -> None:
        while not stop.wait(seconds / 3):
            began = monotonic()
            try:
                with engine.begin() as connection:
                    held = renew(connection, claim, seconds)
            except SQLAlchemyError as error:
                log.warning("lease_not_renewed", job_id=claim.job_id, part=claim.number, error=type(error).__name__)
                continue
            if not held:
                lease.lose()
                return
            lease.renewed(began)

    threading.Thread(target=keep, name="lease", daemon=True).start()
    try:
        yield lease
    finally:
        stop.set()
