"""Jobs put straight into a stack's database, cut as one likes, and workers that are sent to work or to rest."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

import orjson
import psutil
from celery import Celery
from sqlalchemy import Engine, Row, TextClause, create_engine, text

from api.jobs import Draft, Entry, make_draft, record_job
from bench.processes import running
from bench.processor_time import processor_seconds
from bench.stack import SETTINGS, Stack
from cli import services
from cli.services import Backends
from cli.state import Secrets
from common.broker import BATCH, make_celery
from common.dataset import ManifestFile
from common.jobs import LIVE, JobRequest, JobState
from common.settings import Settings
from worker.doorbell import ring

_PATIENCE = 120.0
_POLL = 0.01

_USER = text("SELECT id FROM users WHERE username = 'bench'")

_STATUS = text("SELECT status FROM jobs WHERE id = :job_id")

_TIMES = text("""
SELECT j.parts_total, j.result_bytes,
       extract(epoch FROM min(p.claimed_at)) AS began,
       extract(epoch FROM max(p.claimed_at) FILTER (WHERE p.number = j.parts_total)) AS joining,
       extract(epoch FROM j.completed_at) AS ended
FROM jobs j JOIN job_parts p ON p.job_id = j.id WHERE j.id = :job_id GROUP BY j.id
""")


@dataclass(frozen=True, slots=True)
class Ran:
    """A job that has ended."""

    parts: int
    computing: float  # seconds from the first claim to the assembly's
    joining: float  # seconds of the assembly
    worked: float  # seconds of the processors, by the workers
    result_bytes: int

    @property
    def seconds(self) -> float:
        return self.computing + self.joining


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers of one process each, and those of the stack, which rest."""

    stack: Stack
    settings: Settings
    engine: Engine
    celery: Celery
    names: Sequence[str]
    processes: Sequence[psutil.Process]  # each has one child, that computes

    @property
    def pids(self) -> Sequence[int]:
        """Of those that compute."""
        return [process.children()[0].pid for process in self.processes]

    def employ(self, count: int) -> None:
        """So many of them take parts from now on, the others rest."""
        for place, name in enumerate(self.names):
            self.order("add_consumer" if place < count else "cancel_consumer", name)

    def cut(self, request: JobRequest, part_milliseconds: float) -> Draft:
        """Into parts of so much work each."""
        return make_draft(request, ManifestFile(self.settings.market_dir).current(), part_milliseconds)

    def run(self, draft: Draft) -> Ran:
        """A job from its rings to its end."""
        job_id = uuid4()
        with self.engine.begin() as connection:
            user_id = connection.execute(_USER).scalar_one()
            record_job(connection, Entry(job_id, draft, user_id), datetime.now(UTC).date())
        before = processor_seconds(self.processes)
        ring(self.celery, [(str(job_id), number) for number in range(len(draft.parts))])
        return self._ended(job_id, before)

    def _ended(self, job_id: UUID, before: float) -> Ran:
        deadline = monotonic() + _PATIENCE
        while (status := self._look(_STATUS, job_id).status) != JobState.COMPLETED:
            if status not in LIVE or monotonic() > deadline:
                raise RuntimeError(f"the job is {status}")
            sleep(_POLL)
        worked = processor_seconds(self.processes) - before
        row = self._look(_TIMES, job_id)
        joined_at = float(row.joining if row.joining is not None else row.ended)
        computing, joining = joined_at - float(row.began), float(row.ended) - joined_at
        return Ran(row.parts_total, computing, joining, worked, row.result_bytes)

    def _look(self, statement: TextClause, job_id: UUID) -> Row[Any]:
        with self.engine.connect() as connection:
            return connection.execute(statement, {"job_id": job_id}).one()

    def order(self, command: str, name: str) -> None:
        """Of Celery's remote control, about parts. Raises RuntimeError unless the worker says that it has obeyed."""
        order = getattr(self.celery.control, command)
        replies = order(BATCH, destination=[name], reply=True, timeout=10)
        if not any("ok" in reply.get(name, {}) for reply in replies):
            raise RuntimeError(f"{command} of {name}: {replies}")


@contextmanager
def crew(stack: Stack, folder: Path, count: int) -> Iterator[Crew]:
    """Starts so many; the stack's own workers take no parts during the block."""
    backends = Backends(*(str(stack.up[name]) for name in ("database_url", "redis_url", "cache_url")))
    settings = Settings(
        database_url=backends.database_url,
        redis_url=backends.redis_url,
        cache_url=backends.cache_url,
        state_dir=stack.state_dir,
    )
    secrets = Secrets(**orjson.loads((stack.state_dir / "secrets.json").read_bytes()))
    env = {**services.environment(stack.state_dir, stack.data_file, backends, secrets), **SETTINGS}
    metrics = folder / "metrics"
    metrics.mkdir(parents=True)
    engine, celery = create_engine(settings.database), make_celery(lambda: settings)
    with ExitStack() as cleanup:
        cleanup.callback(engine.dispose)
        cleanup.callback(celery.close)
        theirs = sorted(celery.control.inspect(timeout=2).ping() or {})
        names = [f"bench-{number}@crew" for number in range(1, count + 1)]
        processes = []
        for name in names:
            command = services.worker(1, metrics, env)
            log = folder / f"{name}.log"
            parent = cleanup.enter_context(running([*command.argv, "--hostname", name], log, env=command.env))
            processes.append(psutil.Process(parent.pid))
        _wait_for(celery, names)
        made = Crew(stack, settings, engine, celery, names, processes)
        for name in theirs:
            made.order("cancel_consumer", name)
        try:
            yield made
        finally:
            for name in theirs:
                made.order("add_consumer", name)


def _wait_for(celery: Celery, names: Sequence[str]) -> None:
    deadline = monotonic() + _PATIENCE
    while not set(names) <= set(celery.control.inspect(timeout=1).ping() or {}):
        if monotonic() > deadline:
            raise RuntimeError(f"{', '.join(names)} do not answer")
