"""A worker that stands still for longer than its lease, and goes on, changes nothing any more."""

import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import pytest
from sqlalchemy import Row, text
from sqlalchemy.exc import OperationalError
from structlog.testing import capture_logs

from cli.processes import Child
from common.db.session import make_engine
from common.settings import Settings
from common.tiers import TierName
from tests.conftest import Embedded
from tests.integration.job_kit import Desk, make_resources, wait_until
from tests.integration.poison_kit import Lab, opened_lab, poison
from tests.soak import Record, often, tell
from worker.jobs import run_claimed
from worker.transitions import Outcome, fail_part

PROCESSES = often(5, 10)
ROUNDS = often(1, 10)
STOP = (poison("stop"),)


@pytest.fixture
def lab(database: str, embedded: Embedded, published: Path, tmp_path: Path) -> Iterator[Lab]:
    (tmp_path / "market").symlink_to(published)
    with opened_lab(
        database,
        f"{embedded.redis_url}/3",
        tmp_path,
        part_lease_seconds=1,
        sweep_seconds=0.2,
        republish_seconds=0.5,
    ) as lab:
        yield lab


def are_stopped(pids: Sequence[int]) -> bool:
    return all(psutil.Process(pid).status() == psutil.STATUS_STOPPED for pid in pids)


def content(desk: Desk, job_id: str) -> Sequence[Row[Any]]:
    """All there is of a job in the database."""
    statement = """
        SELECT p.*, j.status, j.parts_ended, j.series_completed, j.refunded, j.result_file, u.requests_today
        FROM job_parts p JOIN jobs j ON j.id = p.job_id JOIN users u ON u.id = j.user_id
        WHERE j.id = :id ORDER BY p.number
    """
    with desk.engine.connect() as connection:
        return connection.execute(text(statement), {"id": UUID(job_id)}).all()


def refusals(worker: Child) -> int:
    return worker.log.read_text().count("refused in ")


def forget_who_stopped(lab: Lab) -> None:
    for mark in (lab.settings.state_dir / "stopped").glob("*"):
        mark.unlink()


def freeze_and_wake(lab: Lab, desk: Desk, worker: Child, *, whole: bool) -> str:
    """Each process of the worker stops in a part of a job; others take the parts; then all go on. Returns the job.

    Half of the parts have been ended by then, the others are under way. If `whole`, the parent stands still as well.
    """
    parent = psutil.Process(worker.pid)
    job_id = desk.submit(symbols=PROCESSES, series=STOP, parts_of=1)
    wait_until(lambda: desk.states(job_id)[:-1] == ["running"] * PROCESSES)
    pids = {part.worker: int(part.worker.rpartition(":")[2]) for part in content(desk, job_id)[:-1]}
    assert len(pids) == PROCESSES
    wait_until(lambda: are_stopped(list(pids.values())))
    if whole:
        parent.suspend()
    wait_until(lambda: desk.states(job_id)[:-1] == ["queued"] * PROCESSES)
    resources = make_resources(lab.settings)
    try:
        taken = [desk.claim(job_id, number, worker="others") for number in range(PROCESSES)]
        for claim in taken[::2]:
            assert claim is not None
            run_claimed(resources, claim)
        before, refused = content(desk, job_id), refusals(worker)
        for process in (*parent.children(), parent):
            process.send_signal(signal.SIGCONT)
        wait_until(lambda: refusals(worker) == refused + PROCESSES)
        assert content(desk, job_id) == before
        for claim in taken[1::2]:
            assert claim is not None
            run_claimed(resources, claim)
        wait_until(lambda: desk.job(job_id).status == "completed")
    finally:
        resources.engine.dispose()
        resources.cache.close()
        resources.celery.close()
    return job_id


def test_a_worker_that_was_frozen_past_its_lease_is_refused(lab: Lab, record_property: Record) -> None:
    lab.start_sweeper()
    worker = lab.start_worker(PROCESSES)
    desk = Desk.open(lab.engine, lab.settings, TierName.PREMIUM)
    results = set()
    for number in range(ROUNDS):
        forget_who_stopped(lab)
        with capture_logs():  # of the parts that this process runs
            job_id = freeze_and_wake(lab, desk, worker, whole=number % 2 == 0)
        assert [part.attempt for part in content(desk, job_id)] == [2] * PROCESSES + [1]
        assert (desk.job(job_id).series_completed, desk.job(job_id).refunded) == (PROCESSES, 0)
        results.add(desk.result(job_id))
    undisturbed = desk.submit(symbols=PROCESSES, series=STOP, parts_of=PROCESSES)
    wait_until(lambda: desk.job(undisturbed).status == "completed")
    assert results == {desk.result(undisturbed)}
    assert desk.used() == (ROUNDS + 1) * PROCESSES
    tell(record_property, f"workers frozen past their lease: {refusals(worker)} of {ROUNDS * PROCESSES} ends refused")


def test_a_worker_that_is_frozen_in_a_transaction_holds_nobody_up(desk: Desk, settings: Settings) -> None:
    """It is about to end a part, and has locked the job and the user. PostgreSQL ends its session."""
    job_id = desk.submit(symbols=2)
    frozen, other = (desk.claim(job_id, number) for number in range(2))
    assert frozen is not None
    assert other is not None
    its_engine = make_engine(settings.database, timeout=1)
    with its_engine.connect() as connection:
        assert fail_part(connection, frozen, "because", 3600) is Outcome.ENDED
        patient = make_engine(settings.database, timeout=10)
        with patient.begin() as others:
            assert fail_part(others, other, "because", 3600) is Outcome.ENDED
        patient.dispose()
        with pytest.raises(OperationalError):
            connection.commit()
    its_engine.dispose()
    assert desk.states(job_id) == ["running", "failed", "waiting"]
