"""Whatever is killed during a batch, the batch completes, with the bytes of an undisturbed run."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pytest
import redis
from sqlalchemy import Row, create_engine, text

from cli.backends import sqlalchemy_url
from tests.integration.job_kit import wait_until
from tests.stack import Account, Stack, started, write_sample

SYMBOLS = 80
BODY = {
    "symbols": "*",
    "indicators": [
        {"name": "sma", "params": {"period": list(range(2, 60))}},
        {"name": "rsi", "params": {"period": list(range(2, 60))}},
        {"name": "bbands", "params": {"period": list(range(2, 60))}},
    ],
    "include_ohlcv": True,
}
COST = SYMBOLS * 3 * 58


@dataclass(frozen=True)
class Bench:
    """A stack that cuts jobs into a part per symbol, and a look behind its curtain."""

    stack: Stack
    account: Account
    client: httpx.Client

    def submit(self) -> str:
        answer = self.client.post("/v1/jobs", json=BODY)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    def job(self, job_id: str) -> dict[str, Any]:
        """Asked again as long as the API answers 503."""

        def ask() -> httpx.Response | None:
            answer = self.client.get(f"/v1/jobs/{job_id}")
            return None if answer.status_code == 503 else answer

        found: dict[str, Any] = wait_until(ask).json()
        return found

    def rows(self, statement: str, **values: object) -> Sequence[Row[Any]]:
        engine = create_engine(sqlalchemy_url(self.stack.up["database_url"]))
        try:
            with engine.connect() as connection:
                return connection.execute(text(statement), values).all()
        finally:
            engine.dispose()

    def running(self, job_id: str) -> list[int]:
        """Processes that hold parts of the job."""
        held = self.rows("SELECT worker FROM job_parts WHERE job_id = :id AND state = 'running'", id=job_id)
        return [int(row.worker.rpartition(":")[2]) for row in held]

    def in_the_middle(self, job_id: str) -> None:
        """Returns when some parts have ended and most have not."""
        wait_until(lambda: self.job(job_id)["progress"] > 0.1, 60)
        assert self.job(job_id)["progress"] < 0.8

    def end(self, job_id: str) -> bytes:
        """The result, once it is there; nothing else of the job may be left, and nothing counted twice."""
        wait_until(lambda: self.job(job_id)["status"] not in ("queued", "running"), 120)
        job = self.job(job_id)
        assert job["status"] == "completed", job
        assert job["series"] == {"total": COST, "completed": COST, "failed": 0}
        assert job["cost"] == COST
        folder = self.stack.state_dir / "results" / job_id
        wait_until(lambda: len(list(folder.iterdir())) == 1)
        answer = self.client.get(f"/v1/jobs/{job_id}/result")
        assert answer.status_code == 200
        return answer.content


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("durability")
    data = write_sample(folder / "sample.parquet", SYMBOLS)
    env = {
        "KALPI_PART_MILLISECONDS": "1",
        "KALPI_PART_LEASE_SECONDS": "2",
        "KALPI_SWEEP_SECONDS": "0.5",
        "KALPI_REPUBLISH_SECONDS": "2",
        "KALPI_ACCESS_TOKEN_SECONDS": "3600",
    }
    with started(folder / "state", "--data", str(data), "--workers", "2", "--no-flower", env=env) as stack:
        account = stack.create_user("premium")
        with stack.client(account) as client:
            yield Bench(stack, account, client)


@pytest.fixture(scope="module")
def undisturbed(bench: Bench) -> bytes:
    """The bytes that have to come out."""
    content = bench.end(bench.submit())
    assert content.startswith(b"PAR1")
    return content


def kill_child(bench: Bench, job_id: str) -> None:
    """The child that runs a part."""
    pid = wait_until(lambda: bench.running(job_id))[0]
    os.kill(pid, signal.SIGKILL)


def kill_worker(bench: Bench, job_id: str) -> None:
    """The parent and all its children."""
    wait_until(lambda: bench.running(job_id))
    parent = psutil.Process(bench.stack.pid("worker"))
    parent.suspend()  # it replaces no child and forgets none while they are listed and killed
    for process in (*parent.children(recursive=True), parent):
        process.kill()


def kill_parent(bench: Bench, _job_id: str) -> None:
    """The parent alone: its children must not stay behind for ever."""
    parent = psutil.Process(bench.stack.pid("worker"))
    children = parent.children(recursive=True)
    parent.kill()
    wait_until(lambda: not any(child.is_running() for child in children), 30)


def flush_redis(bench: Bench, _job_id: str) -> None:
    """Every message, every answer in the cache."""
    with redis.Redis.from_url(bench.stack.up["redis_url"]) as client:
        assert client.llen("batch") > 0
        client.flushall()


def kill_redis(bench: Bench, _job_id: str) -> None:
    os.kill(bench.stack.pid("redis"), signal.SIGKILL)


def kill_postgres(bench: Bench, _job_id: str) -> None:
    os.kill(bench.stack.pid("postgres"), signal.SIGKILL)


@pytest.mark.parametrize("disturb", [kill_child, kill_worker, kill_parent, flush_redis, kill_redis, kill_postgres])
def test_a_disturbed_batch_completes_with_the_same_bytes(
    bench: Bench, undisturbed: bytes, disturb: Callable[[Bench, str], None]
) -> None:
    job_id = bench.submit()
    bench.in_the_middle(job_id)
    disturb(bench, job_id)
    assert bench.end(job_id) == undisturbed


def test_everything_at_once(bench: Bench, undisturbed: bytes) -> None:
    """Two jobs, and one misfortune after the other."""
    jobs = [bench.submit(), bench.submit()]
    bench.in_the_middle(jobs[0])
    flush_redis(bench, jobs[0])
    kill_child(bench, jobs[0])
    kill_worker(bench, jobs[0])
    kill_redis(bench, jobs[0])
    assert [bench.end(job_id) for job_id in jobs] == [undisturbed, undisturbed]


def test_each_job_was_paid_for_once(bench: Bench, undisturbed: bytes) -> None:  # noqa: ARG001 - after the others
    """All that was used today is the cost of the jobs that were made."""
    made = len(bench.client.get("/v1/jobs", params={"page_size": 100}).json()["jobs"])
    assert bench.client.get("/v1/me").json()["usage"]["used"] == made * COST
