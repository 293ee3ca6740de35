"""What PostgreSQL makes of parts: claimed and ended as workers do it, by several connections, with no work between."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import repeat
from statistics import median
from time import perf_counter
from uuid import uuid4

import psutil
from sqlalchemy import Engine, create_engine, make_url, text

from api.jobs import Draft, Entry, record_job
from bench.processor_time import processor_seconds
from common.accounts import create_user
from common.db.session import make_engine
from common.db.tables import metadata
from common.jobs import JobRequest
from common.tiers import TierName
from worker.requests import Requests
from worker.transitions import Claim, StoredFile, claim_next, complete_assembly, complete_part

_DATABASE = "kalpi_bench"
_FILE = StoredFile("bench", 1, '"bench"')
_LEASE, _TTL = 60.0, 3600.0
_BOUNDS = dict.fromkeys((tier.value for tier in TierName), 0)

_LOCK = text("SELECT 1 FROM jobs WHERE id = CAST(:job_id AS uuid) FOR NO KEY UPDATE")


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds of one part: to claim it, to end it, and of that how long its job's row was locked."""

    claiming: float
    ending: float
    locked: float


@dataclass(frozen=True, slots=True)
class Rate:
    per_second: float
    server: float  # seconds of processor time of PostgreSQL per part


@dataclass(frozen=True, slots=True)
class Desk:
    """A database of its own on the stack's server, where nobody else takes parts."""

    url: str
    engine: Engine
    server: psutil.Process

    def queue(self, request: JobRequest, users: int, parts: int) -> None:
        """One job of each of so many new users, of so many parts."""
        for _ in range(users):
            with self.engine.begin() as connection:
                user = create_user(connection, f"user-{uuid4().hex[:12]}", "-", TierName.PREMIUM)
                draft = Draft(request, "bench", [request.symbols[:1]] * parts)
                record_job(connection, Entry(uuid4(), draft, user.id), datetime.now(UTC).date())

    def work_off(self, connections: int) -> Rate:
        """Claims and ends every part there is, assemblies too."""
        with ThreadPoolExecutor(connections) as pool:
            spent, began = processor_seconds([self.server]), perf_counter()
            done = sum(pool.map(_work_off, repeat(self.url, connections), range(connections)))
            seconds = perf_counter() - began
        return Rate(done / seconds, (processor_seconds([self.server]) - spent) / done)

    def one_by_one(self, parts: int) -> Spent:
        """Medians over so many parts, on one connection while nobody else asks."""
        engine = _worker_engine(self.url)
        requests = Requests()
        rounds = [_timed(engine, requests) for _ in range(parts)]
        engine.dispose()
        claiming, ending, unlocked = (median(side) for side in zip(*rounds, strict=True))
        return Spent(claiming, ending, ending - unlocked)


@contextmanager
def desk(database_url: str, pid: int) -> Iterator[Desk]:
    """`pid` is of PostgreSQL. The database is gone after the block."""
    server = create_engine(make_url(database_url).set(drivername="postgresql+psycopg2"), isolation_level="AUTOCOMMIT")
    url = server.url.set(database=_DATABASE).render_as_string(hide_password=False)
    engine = create_engine(url)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE IF EXISTS {_DATABASE}"))
        connection.execute(text(f"CREATE DATABASE {_DATABASE}"))
        try:
            metadata.create_all(engine)
            yield Desk(url, engine, psutil.Process(pid))
        finally:
            engine.dispose()
            connection.execute(text(f"DROP DATABASE {_DATABASE} WITH (FORCE)"))
    server.dispose()


def _worker_engine(url: str) -> Engine:
    return make_engine(url, timeout=30, name="kalpi-bench", waits_for_disk=False)


def _claimed(engine: Engine, requests: Requests, worker: str) -> Claim | None:
    with engine.begin() as connection:
        return claim_next(connection, worker=worker, lease=_LEASE, bounds=_BOUNDS, requests=requests, ttl=_TTL)


def _end(engine: Engine, claim: Claim) -> None:
    with engine.begin() as connection:
        if claim.is_assembly:
            complete_assembly(connection, claim, _FILE, _TTL)
        else:
            complete_part(connection, claim, _FILE, [], _TTL)


def _work_off(url: str, place: int) -> int:
    """Claims and ends parts until there is none. Returns how many."""
    engine, requests, done = _worker_engine(url), Requests(), 0
    while (claim := _claimed(engine, requests, f"bench:{place}")) is not None:
        _end(engine, claim)
        done += 1
    engine.dispose()
    return done


def _timed(engine: Engine, requests: Requests) -> tuple[float, float, float]:
    """Seconds to claim a part, to end it, and to lock a job's row, which is the first thing that ending does."""
    began = perf_counter()
    claim = _claimed(engine, requests, "bench")
    claimed = perf_counter()
    if claim is None:
        raise RuntimeError("no part waits")
    with engine.begin() as connection:
        connection.execute(_LOCK, {"job_id": claim.job_id})
        locked = perf_counter()
    again = perf_counter()
    _end(engine, claim)
    return claimed - began, perf_counter() - again, locked - claimed
