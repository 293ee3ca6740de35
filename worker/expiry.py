"""What is over goes: results, jobs, keys, sessions, market data that no job needs."""

from time import monotonic

import structlog
from sqlalchemy import Connection, text

from common.settings import Settings
from worker.market.versions import prune
from worker.store import Store

log = structlog.get_logger()

_BATCH = 500
"""At most so many jobs expire, or are forgotten, in one round."""

_TIDY_SECONDS = 600.0
"""Period of what is never urgent."""

_EXPIRE = text("""
UPDATE jobs SET status = 'expired', result_file = NULL, result_bytes = NULL, result_etag = NULL
WHERE id IN (
    SELECT id FROM jobs WHERE expires_at < now() AND status <> 'expired' LIMIT :most FOR UPDATE SKIP LOCKED
)
RETURNING id
""")

# The parts of a job that has expired tell nobody anything any more, but for what was wrong.
_PARTS_OF_EXPIRED = text("DELETE FROM job_parts WHERE job_id = ANY(CAST(:ids AS uuid[])) AND errors IS NULL")

_NEEDED = text("""
SELECT id, result_file FROM jobs
WHERE id = ANY(CAST(:ids AS uuid[])) AND status IN ('queued', 'running', 'completed')
""")

_VERSIONS = text("SELECT DISTINCT data_version FROM jobs WHERE status IN ('queued', 'running')")

_FORGOTTEN = text("""
DELETE FROM jobs WHERE id IN (
    SELECT id FROM jobs WHERE status = 'expired' AND expires_at < now() - make_interval(secs => :history) LIMIT :most
)
""")

_OLD = (
    text("DELETE FROM idempotency_keys WHERE created_at < now() - interval '1 day'"),
    text("DELETE FROM webhook_secrets WHERE retires_at < now()"),
    text("DELETE FROM sessions WHERE LEAST(expires_at, revoked_at) < now() - interval '1 day'"),
    text("DELETE FROM refresh_tokens WHERE expires_at < now() - interval '1 day'"),
    # What they charged were days that are over: nobody takes it back any more.
    text("DELETE FROM counting_trips WHERE made_at < now() - interval '2 days'"),
)


class Expiry:
    """Steps of a sweep; between them it remembers which results to remove and when it last tidied."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._expired: list[str] = []
        self._tidied: float | None = None

    def expire(self, connection: Connection) -> None:
        """Expires jobs; their results go a round later, when no download that saw them can still be opening one."""
        due, self._expired = self._expired, []
        with connection.begin():
            self._expired += [str(job_id) for job_id in connection.execute(_EXPIRE, {"most": _BATCH}).scalars()]
            connection.execute(_PARTS_OF_EXPIRED, {"ids": self._expired})
        if self._expired:
            log.info("jobs_expired", jobs=len(self._expired))
        while due:
            try:
                self._store.remove_folder(due[-1])
            except OSError:
                self._expired += due  # in the next round
                raise
            due.pop()

    def tidy(self, connection: Connection) -> None:
        """Removes the rows of what is long over, folders and pieces no job needs, and old market data."""
        if self._tidied is not None and monotonic() - self._tidied < _TIDY_SECONDS:
            return
        folders = self._store.folders()
        with connection.begin():
            for statement in _OLD:
                connection.execute(statement)
            connection.execute(_FORGOTTEN, {"history": self._settings.job_history_seconds, "most": _BATCH})
            needed = {str(row.id): row.result_file for row in connection.execute(_NEEDED, {"ids": folders})}
            versions = set(connection.execute(_VERSIONS).scalars())
        for folder in folders:
            if folder not in needed:
                self._store.remove_folder(folder)
                log.info("folder_removed", folder=folder)
            elif needed[folder] is not None:
                self._store.keep_only(needed[folder])  # its worker may have died before it did
        for version in prune(self._settings.market_dir, versions):
            log.info("data_removed", data_version=version)
        self._tidied = monotonic()
