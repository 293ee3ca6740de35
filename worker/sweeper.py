"""`python -m worker.sweeper`: puts right what no worker can, because its worker or its message is gone.

Everything it knows is in PostgreSQL; a round that fails is followed by the next. Any number of sweepers may run:
one works at a time.
"""

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

import redis
import structlog
from celery import Celery
from redis.exceptions import RedisError
from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import SQLAlchemyError

from common.broker import BATCH, app
from common.db.session import make_engine
from common.errors import StartupError, Unavailable
from common.jobs import JobRequest
from common.logs import configure
from common.redis import make_client
from common.settings import Settings
from common.totals import Totals
from worker.doorbell import ring
from worker.expiry import Expiry
from worker.store import open_store
from worker.transitions import Claim, Outcome, fail_part
from worker.turns import BOUND, WAITING_USERS, bounds
from worker.warm import Warming
from worker.webhooks.courier import make_courier

log = structlog.get_logger()

_COURIER_SECONDS = 5.0
"""For webhooks that are being sent when the process is told to end."""

_LOCK = 0x73776570  # "swep"
_BATCH = 500
"""At most so many parts are given up or queued again in one round."""

_RINGS = 2_000
"""At most so many parts of a user are rung for in one round."""

_REQUEUE = text("""
UPDATE job_parts p SET state = 'queued', lease_until = NULL
FROM (
    SELECT job_id, number FROM job_parts
    WHERE state = 'running' AND lease_until < now() AND attempt < :max_attempts
    LIMIT :most FOR UPDATE SKIP LOCKED
) lost
WHERE p.job_id = lost.job_id AND p.number = lost.number
RETURNING p.job_id, p.number, p.attempt, p.worker
""")

_EXHAUSTED = text("""
SELECT p.job_id, p.number, p.attempt, p.symbols, p.worker, j.request, j.data_version, j.parts_total
FROM job_parts p JOIN jobs j ON j.id = p.job_id
WHERE p.state = 'running' AND p.lease_until < now() AND p.attempt >= :max_attempts AND j.status IN ('queued', 'running')
LIMIT :most
""")

# Of each user no more than may run beside those that do: a ring for another would be for nothing.
_QUEUED = text(f"""
WITH RECURSIVE {WAITING_USERS}
SELECT p.job_id, p.number
FROM waiting w JOIN users u ON u.id = w.user_id LEFT JOIN held h ON h.user_id = u.id
CROSS JOIN LATERAL (
    SELECT q.job_id, q.number FROM job_parts q
    WHERE q.state = 'queued' AND q.user_id = u.id
      AND q.accepted_at < now() - make_interval(secs => :pause)
    ORDER BY q.accepted_at, q.job_id, q.number
    LIMIT GREATEST(0, LEAST(:most, {BOUND} - COALESCE(h.parts, 0)))
) p
""")  # noqa: S608 - made of constants of ours


class Sweeper:
    """Rounds of sweeping, each step after the other."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        broker: redis.Redis,
        celery: Celery,
        *,
        expiry: Expiry,
        warming: Warming | None = None,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._broker = broker
        self._celery = celery
        self._warming = warming
        self._bounds = bounds(settings)
        self._totals = Totals(broker)
        self._steps: tuple[Callable[[Connection], None], ...] = (
            self._fail_exhausted,
            self._requeue_lost,
            self._ring,
            expiry.expire,
            expiry.tidy,
            self._warm,
        )

    def sweep(self, stop: threading.Event) -> bool:
        """One round, unless another sweeper is at work. Whether all of it was done; what failed is logged."""
        try:
            with self._alone() as connection:
                if connection is None:
                    return True
                done = [self._try(step, connection) for step in self._steps if not stop.is_set()]
                return all(done)
        except SQLAlchemyError as error:
            log.warning("sweep_failed", error=type(error).__name__, detail=_first_line(error))
            return False

    def _try(self, step: Callable[[Connection], None], connection: Connection) -> bool:
        """Whether the step was done. One that fails harms no other."""
        try:
            step(connection)
        except (SQLAlchemyError, RedisError, OSError, Unavailable) as error:
            log.warning("sweep_step_failed", error=type(error).__name__, detail=_first_line(error))
            return False
        except Exception:
            log.exception("sweep_step_failed")
            return False
        return True

    @contextmanager
    def _alone(self) -> Iterator[Connection | None]:
        """A connection that holds the sweepers' lock, None when another sweeper does."""
        with self._engine.connect() as connection:
            with connection.begin():
                alone = connection.execute(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": _LOCK}).scalar_one()
            try:
                yield connection if alone else None
            except BaseException:
                connection.invalidate()  # the lock goes with the connection
                raise
            if alone:
                with connection.begin():
                    connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _LOCK})

    def _requeue_lost(self, connection: Connection) -> None:
        """Queues the parts whose worker gave no sign of life for as long as a lease."""
        with connection.begin():
            lost = connection.execute(
                _REQUEUE, {"max_attempts": self._settings.part_max_attempts, "most": _BATCH}
            ).all()
        self._totals.add(BATCH, retried=len(lost))
        for part in lost:
            log.warning(
                "part_lost", job_id=str(part.job_id), part=part.number, attempt=part.attempt, worker=part.worker
            )

    def _fail_exhausted(self, connection: Connection) -> None:
        """Gives up the parts whose last attempt was lost like all before it."""
        with connection.begin():
            rows = connection.execute(
                _EXHAUSTED, {"max_attempts": self._settings.part_max_attempts, "most": _BATCH}
            ).all()
        for row in rows:
            self._try(partial(self._give_up, row), connection)

    def _give_up(self, row: Row[Any], connection: Connection) -> None:
        claim = Claim(
            job_id=str(row.job_id),
            number=row.number,
            attempt=row.attempt,
            worker=row.worker,
            symbols=tuple(row.symbols),
            request=JobRequest.from_json(row.request),
            data_version=row.data_version,
            parts_total=row.parts_total,
        )
        reason = f"its worker was lost {row.attempt} times"
        with connection.begin():
            outcome = fail_part(connection, claim, reason, self._settings.job_ttl_seconds)
        if outcome is not Outcome.REFUSED:
            self._totals.add(BATCH, failed=1)
        log.error("part_given_up", job_id=claim.job_id, part=claim.number, worker=row.worker, outcome=outcome.name)
        if outcome is Outcome.ASSEMBLY_QUEUED:
            ring(self._celery, [(claim.job_id, claim.parts_total)])

    def _ring(self, connection: Connection) -> None:
        """Rings for parts that wait and have no ring: it was lost, or never sent."""
        rings = int(self._broker.llen(BATCH))
        values = {**self._bounds, "pause": self._settings.republish_seconds, "most": _RINGS}
        with connection.begin():
            queued = connection.execute(_QUEUED, values).all()
        missing = queued[rings:]
        if missing:
            sent = ring(self._celery, ((str(part.job_id), part.number) for part in missing))
            log.info("parts_rung", queued=len(queued), rings=rings, sent=sent)

    def _warm(self, _connection: Connection) -> None:
        """Orders what is asked most of new data; of the database it needs the lock alone."""
        if self._warming is not None:
            self._warming.step()


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]


def make_sweeper(settings: Settings) -> Sweeper:
    """Connects on its first round."""
    timeout = settings.database_timeout_seconds
    engine = make_engine(settings.database, pool_size=1, timeout=timeout, name="kalpi-sweeper")
    broker = make_client(settings.broker, settings.redis_timeout_seconds)
    expiry = Expiry(settings, open_store(settings))
    return Sweeper(settings, engine, broker, app, expiry=expiry, warming=Warming(settings, broker, app))


def main() -> None:
    settings = Settings()
    configure(settings.log_level)
    try:
        sweeper, courier = make_sweeper(settings), make_courier(settings)
    except StartupError as error:
        log.error("sweeper_cannot_start", reason=str(error))  # noqa: TRY400 - the reason says it all
        sys.exit(2)
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    courier.start()
    log.info("sweeper_started", seconds=settings.sweep_seconds)
    while not stop.wait(settings.sweep_seconds):
        sweeper.sweep(stop)
    courier.stop(_COURIER_SECONDS)
    log.info("sweeper_stopped")


if __name__ == "__main__":
    main()
