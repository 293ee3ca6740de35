"""What tests of jobs share: jobs in a real database, the resources of a worker process, real workers."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import redis
from sqlalchemy import Engine, Row, text

from api.jobs import Entry, make_draft, record_job
from common.accounts import create_user
from common.broker import PROBE, make_celery
from common.catalogue import find
from common.dataset import Manifest, ManifestFile
from common.jobs import JobRequest, Series, TableFormat
from common.quota import charge_whole
from common.redis import probe_key
from common.settings import Settings
from common.tiers import TierName
from tests.stack import ROOT
from worker.jobs import run_claimed
from worker.market.store import MarketFile
from worker.requests import Requests
from worker.resources import Resources
from worker.transitions import Claim, claim_next
from worker.turns import bounds

TODAY = datetime.now(UTC).date()


def wait_until(condition: Callable[[], Any], seconds: float = 30) -> Any:  # noqa: ANN401 - whatever the condition finds
    """What `condition` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
    return found


def make_settings(database: str, redis_url: str, state_dir: Path, **changes: Any) -> Settings:  # noqa: ANN401
    return Settings(database_url=database, redis_url=redis_url, state_dir=state_dir, **changes)


def make_resources(settings: Settings) -> Resources:
    return Resources.make(settings, make_celery(lambda: settings), MarketFile(settings.market_dir))


def publish_sample(sample_file: Path, state_dir: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "worker.market", "publish"],
        cwd=ROOT,
        env=os.environ | {"KALPI_STATE_DIR": str(state_dir), "KALPI_DATA_FILE": str(sample_file)},
        check=True,
        capture_output=True,
    )


def sma(*periods: int) -> tuple[Series, ...]:
    spec = find("sma")
    return tuple(
        Series(spec.label(params), "sma", tuple(params.items()))
        for params in (spec.read_params({"period": period}) for period in periods)
    )


def make_request(manifest: Manifest, symbols: int, series: Sequence[Series], form: TableFormat) -> JobRequest:
    return JobRequest(
        symbols=tuple(manifest.symbols)[:symbols],
        series=tuple(series),
        start_date=date(2000, 1, 1),
        end_date=manifest.as_of,
        format=form,
    )


def _runs(symbols: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(symbols[i : i + length]) for i in range(0, len(symbols), length)]


@dataclass(frozen=True)
class Desk:
    """A user who submits jobs, and what there is to see of them in the database."""

    engine: Engine
    settings: Settings
    user_id: int

    @classmethod
    def open(cls, engine: Engine, settings: Settings, tier: TierName = TierName.PRO) -> "Desk":
        with engine.begin() as connection:
            user = create_user(connection, f"user-{uuid4().hex[:12]}", "-", tier)
        return cls(engine, settings, user.id)

    def submit(
        self,
        *,
        symbols: int = 3,
        series: Sequence[Series] = sma(5, 10),
        parts_of: int = 1,
        form: TableFormat = TableFormat.CSV,
    ) -> str:
        """A charged job whose parts have `parts_of` symbols; no message is sent. Returns its id."""
        manifest = ManifestFile(self.settings.market_dir).current()
        request = make_request(manifest, symbols, series, form)
        job_id = uuid4()
        with self.engine.begin() as connection:
            charged = charge_whole(connection, self.user_id, request.cost, TODAY)
            assert charged is not None
            draft = replace(make_draft(request, manifest, 1), parts=_runs(request.symbols, parts_of))
            record_job(connection, Entry(job_id, draft, self.user_id), charged.day)
        return str(job_id)

    def job(self, job_id: str) -> Row[Any]:
        with self.engine.connect() as connection:
            return connection.execute(text("SELECT * FROM jobs WHERE id = :id"), {"id": UUID(job_id)}).one()

    def part(self, job_id: str, number: int) -> Row[Any]:
        with self.engine.connect() as connection:
            statement = text("SELECT * FROM job_parts WHERE job_id = :id AND number = :number")
            return connection.execute(statement, {"id": UUID(job_id), "number": number}).one()

    def states(self, job_id: str) -> list[str]:
        with self.engine.connect() as connection:
            statement = text("SELECT state FROM job_parts WHERE job_id = :id ORDER BY number")
            return list(connection.execute(statement, {"id": UUID(job_id)}).scalars())

    def used(self) -> int:
        with self.engine.connect() as connection:
            statement = text("SELECT requests_today FROM users WHERE id = :id")
            used: int = connection.execute(statement, {"id": self.user_id}).scalar_one()
            return used

    def change(self, statement: str, **values: Any) -> None:  # noqa: ANN401
        """What time or misfortune would do."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def lose(self, job_id: str, number: int) -> None:
        """A worker takes a part and is never heard of again."""
        assert self.claim(job_id, number, worker="lost") is not None
        self.end_lease(job_id, number)

    def requeue(self, job_id: str, number: int) -> None:
        """What the sweeper does with a part whose lease has ended."""
        self.change(
            "UPDATE job_parts SET state = 'queued', lease_until = NULL WHERE job_id = :id AND number = :number",
            id=UUID(job_id),
            number=number,
        )

    def claim(self, job_id: str, number: int, *, worker: str = "test", lease: float = 30) -> Claim | None:
        """The claim of that part, whose turn is made to be the next; None when it cannot be claimed."""
        mine = {"id": UUID(job_id), "number": number}
        with self.engine.connect() as connection:
            connection.execute(
                text(
                    "UPDATE job_parts SET accepted_at = '-infinity'"
                    " WHERE job_id = :id AND number = :number AND state = 'queued'"
                ),
                mine,
            )
            claim = claim_next(
                connection, worker=worker, lease=lease, bounds=bounds(self.settings), requests=Requests(), ttl=3600
            )
            if claim is None or (claim.job_id, claim.number) != (job_id, number):
                connection.rollback()
                return None
            connection.commit()
            return claim

    def run(self, resources: Resources, job_id: str, number: int) -> None:
        """A worker runs that part, if it can be claimed."""
        claim = self.claim(job_id, number, worker=resources.worker, lease=self.settings.part_lease_seconds)
        if claim is not None:
            run_claimed(resources, claim)

    def run_all(self, resources: Resources, job_id: str) -> None:
        """Every part in its order, the assembly last."""
        for number in range(len(self.states(job_id))):
            self.run(resources, job_id, number)

    def end_lease(self, job_id: str, number: int) -> None:
        self.change(
            "UPDATE job_parts SET lease_until = now() - interval '1 second' WHERE job_id = :id AND number = :number",
            id=UUID(job_id),
            number=number,
        )

    @property
    def results(self) -> Path:
        """The folder of the result store."""
        return self.settings.state_dir / "results"

    def result(self, job_id: str) -> bytes:
        return (self.results / self.job(job_id).result_file).read_bytes()


@contextmanager
def running_worker(settings: Settings, log_file: Path, processes: int = 2) -> Iterator[subprocess.Popen[bytes]]:
    """A Celery worker that answers."""
    env = os.environ | {
        "KALPI_DATABASE_URL": str(settings.database_url).replace("+psycopg2", ""),
        "KALPI_REDIS_URL": settings.broker,
        "KALPI_STATE_DIR": str(settings.state_dir),
        "KALPI_PART_LEASE_SECONDS": str(settings.part_lease_seconds),
        "KALPI_REPUBLISH_SECONDS": str(settings.republish_seconds),
        "KALPI_SWEEP_SECONDS": str(settings.sweep_seconds),
    }
    command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--concurrency", str(processes)]
    with log_file.open("wb") as log:
        worker = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    celery = make_celery(lambda: settings)
    try:
        with redis.Redis.from_url(settings.cache) as cache:
            nonce = uuid4().hex
            celery.send_task(PROBE, kwargs={"nonce": nonce}, task_id=f"probe-{nonce}")
            wait_until(lambda: cache.lpop(probe_key(nonce)) or worker.poll() is not None, 60)
            assert worker.poll() is None, log_file.read_text()
        yield worker
    finally:
        worker.terminate()
        try:
            worker.wait(20)
        finally:
            worker.kill()
            worker.wait(5)
            celery.close()
