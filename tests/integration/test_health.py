"""Readiness when nothing consumes one of the queues, by an API of the test's own and a worker that reads one queue."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import httpx
import pytest
import uvicorn
from pydantic import SecretStr

from api import health
from api.main import create_app
from common.settings import Settings
from tests.integration.job_kit import Desk, wait_until
from tests.stack import ROOT
from worker.doorbell import ring
from worker.resources import Resources


@contextmanager
def consuming(settings: Settings, queue: str, log_file: Path) -> Iterator[None]:
    """A worker that reads that queue alone."""
    env = os.environ | {
        "KALPI_DATABASE_URL": settings.database,
        "KALPI_REDIS_URL": settings.broker,
        "KALPI_STATE_DIR": str(settings.state_dir),
    }
    command = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--concurrency", "1", "--queues", queue]
    with log_file.open("wb") as log:
        worker = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        worker.terminate()
        try:
            worker.wait(20)
        finally:
            worker.kill()
            worker.wait(5)


@contextmanager
def serving(settings: Settings) -> Iterator[httpx.Client]:
    app = create_app(settings.model_copy(update={"secret_key": SecretStr("s" * 40)}))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        assert server.started
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture
def api(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    for name, seconds in (("WORKER_SECONDS", 2), ("_FRESH_SECONDS", 0.05), ("_SECOND_LOOK_SECONDS", 0.05)):
        monkeypatch.setattr(health, name, seconds)
    with serving(settings) as client:
        yield client


def failed(api: httpx.Client) -> Sequence[str]:
    """Names of the checks that fail."""
    answer = api.get("/health/ready")
    checks = answer.json()["checks"]
    names = [name for name, check in checks.items() if check["status"] != "ok"]
    assert answer.status_code == (503 if names else 200)
    return names


def test_it_is_not_ready_while_nothing_consumes_batch(
    settings: Settings, desk: Desk, resources: Resources, api: httpx.Client, tmp_path: Path
) -> None:
    def say(change: str) -> None:
        desk.change(f"UPDATE job_parts SET {change} WHERE job_id = :id", id=UUID(job_id))

    def becomes(*names: str) -> None:
        wait_until(lambda: failed(api) == list(names))

    with consuming(settings, "interactive", tmp_path / "worker.log"):
        job_id = desk.submit(symbols=3)
        becomes()  # as soon as the worker is there: the parts have only begun to wait
        say("accepted_at = now() - interval '1 minute'")
        becomes("batch")
        detail = api.get("/health/ready").json()["checks"]["batch"]["detail"]
        assert detail == "3 parts wait, and no worker has taken one for 30 s"
        # A queue that is long, and moves: the last part was claimed a moment ago, and has ended.
        desk.run(resources, job_id, 0)
        becomes()
        say("claimed_at = now() - interval '1 minute'")
        becomes("batch")
        # A part that takes long: it was claimed long ago, and its worker keeps it.
        assert desk.claim(job_id, 1) is not None
        say("claimed_at = now() - interval '1 minute'")
        becomes()
        # A worker that died with its part.
        desk.end_lease(job_id, 1)
        becomes("batch")
        # Nothing waits any more.
        desk.requeue(job_id, 1)
        for number in (1, 2, 3):
            desk.run(resources, job_id, number)
        assert desk.job(job_id).status == "completed"
        becomes()


def test_it_is_not_ready_while_nothing_consumes_interactive(
    settings: Settings, desk: Desk, resources: Resources, api: httpx.Client, tmp_path: Path
) -> None:
    with consuming(settings, "batch", tmp_path / "worker.log"):
        job_id = desk.submit(symbols=1)
        ring(resources.celery, [(job_id, 0)])
        wait_until(lambda: desk.job(job_id).status == "completed", 60)
        assert failed(api) == ["worker"]
