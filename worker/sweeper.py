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
from time import monotonic
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
from worker import store
from worker.doorbell import publish_parts
from worker.market.versions import prune
from worker.transitions import Claim, Outcome, fail_part
from worker.warm import Warming

log = structlog.get_logger()

_LOCK = 0x73776570  # "swep"
_BATCH = 500
"""At most so many parts are published, failed or expired in one round."""

_TIDY_SECONDS = 600.0
"""Period of what is never urgent: orphaned folders and files, old market data, sessions long over."""

_REQUEUE = text("""
UPDATE job_parts p SET state = 'queued', lease_until = NULL, published_at = NULL
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
WHERE p.state = 'running' AND p.lease_until < now() AND p.attempt >= :max_attempts AND j.status = 'running'
LIMIT :most
""")

# A part that was never published since it was queued is due at once. One that was may wait in the broker's queue:
# if that is empty, it is lost and due after a short pause; if not, nobody knows, and each pause is as long as all
# before it together, so that a deep queue fills up with few duplicates however long it takes.
_DUE = text("""
UPDATE job_parts p SET published_at = now()
FROM (
    SELECT q.job_id, q.number FROM job_parts q JOIN jobs j ON j.id = q.job_id
    WHERE q.state = 'queued' AND j.status IN ('queued', 'running') AND (
        q.published_at IS NULL
        OR q.published_at < now() - CASE
            WHEN :queue_is_empty THEN make_interval(secs => :pause)
            ELSE GREATEST(make_interval(secs => :pause), q.published_at - j.created_at)
        END
    )
    ORDER BY q.published_at NULLS FIRST, j.created_at, q.number
    LIMIT :most FOR UPDATE OF q SKIP LOCKED
) due
WHERE p.job_id = due.job_id AND p.number = due.number
RETURNING p.job_id, p.number
""")

_EXPIRE = text("""
UPDATE jobs SET status = 'expired', result_file = NULL, result_bytes = NULL, result_etag = NULL
WHERE id IN (
    SELECT id FROM jobs WHERE expires_at < now() AND status <> 'expired' LIMIT :most FOR UPDATE SKIP LOCKED
)
RETURNING id
""")

_NEEDED = text("""
SELECT id, result_file FROM jobs
WHERE id = ANY(CAST(:ids AS uuid[])) AND status IN ('queued', 'running', 'completed')
""")

_VERSIONS = text("SELECT DISTINCT data_version FROM jobs WHERE status IN ('queued', 'running')")

_OLD_SESSIONS = text("""
DELETE FROM sessions WHERE LEAST(expires_at, revoked_at) < now() - interval '1 day'
""")

_OLD_TOKENS = text("DELETE FROM refresh_tokens WHERE expires_at < now() - interval '1 day'")

# What they charged were days that are over: nobody takes it back any more.
_OLD_TRIPS = text("DELETE FROM counting_trips WHERE made_at < now() - interval '2 days'")


class Sweeper:
    """Rounds of sweeping; between them it remembers which files to remove and when it last tidied."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        broker: redis.Redis,
        celery: Celery,
        warming: Warming | None = None,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._broker = broker
        self._celery = celery
        self._warming = warming
        self._expired: list[str] = []
        self._tidied: float | None = None
        self._steps: tuple[Callable[[Connection], None], ...] = (
            self._fail_exhausted,
            self._requeue_lost,
            self._publish_due,
            self._expire,
            self._tidy,
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
            symbols=tuple(row.symbols),
            request=JobRequest.from_json(row.request),
            data_version=row.data_version,
            parts_total=row.parts_total,
        )
        reason = f"its worker was lost {row.attempt} times"
        with connection.begin():
            outcome = fail_part(connection, claim, reason, self._settings.job_ttl_seconds)
        log.error("part_given_up", job_id=claim.job_id, part=claim.number, worker=row.worker, outcome=outcome.name)
        if outcome is Outcome.ASSEMBLY_QUEUED:
            publish_parts(self._celery, [(claim.job_id, claim.parts_total)])

    def _publish_due(self, connection: Connection) -> None:
        """Publishes the parts whose message was lost, or never sent."""
        waiting = int(self._broker.llen(BATCH))
        with connection.begin():
            due = connection.execute(
                _DUE,
                {"queue_is_empty": waiting == 0, "pause": self._settings.republish_seconds, "most": _BATCH},
            ).all()
        if due:
            sent = publish_parts(self._celery, [(str(part.job_id), part.number) for part in due])
            log.info("parts_published", due=len(due), sent=sent, queue=waiting)

    def _expire(self, connection: Connection) -> None:
        """Expires jobs; their files go a round later, when no download that saw them can still be opening one."""
        for job_id in self._expired:
            store.remove_job(self._settings.results_dir, job_id)
        with connection.begin():
            self._expired = [str(job_id) for job_id in connection.execute(_EXPIRE, {"most": _BATCH}).scalars()]
        if self._expired:
            log.info("jobs_expired", jobs=len(self._expired))

    def _tidy(self, connection: Connection) -> None:
        """Removes folders, files and market data no job needs, sessions and tokens that ended over a day ago."""
        if self._tidied is not None and monotonic() - self._tidied < _TIDY_SECONDS:
            return
        folders = store.job_folders(self._settings.results_dir)
        with connection.begin():
            connection.execute(_OLD_SESSIONS)
            connection.execute(_OLD_TOKENS)
            connection.execute(_OLD_TRIPS)
            needed = {str(row.id): row.result_file for row in connection.execute(_NEEDED, {"ids": folders})}
            versions = set(connection.execute(_VERSIONS).scalars())
        results = self._settings.results_dir
        for folder in folders:
            if folder not in needed:
                store.remove_job(results, folder)
                log.info("folder_removed", folder=folder)
            elif needed[folder] is not None:
                store.keep_only(results / needed[folder])  # its worker may have died before it did
        for version in prune(self._settings.market_dir, versions):
            log.info("data_removed", data_version=version)
        self._tidied = monotonic()

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
    return Sweeper(settings, engine, broker, app, Warming(settings, broker, app))


def main() -> None:
    settings = Settings()
    configure(settings.log_level)
    try:
        sweeper = make_sweeper(settings)
    except StartupError as error:
        log.error("sweeper_cannot_start", reason=str(error))  # noqa: TRY400 - the reason says it all
        sys.exit(2)
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    log.info("sweeper_started", seconds=settings.sweep_seconds)
    while not stop.wait(settings.sweep_seconds):
        sweeper.sweep(stop)
    log.info("sweeper_stopped")


if __name__ == "__main__":
    main()
