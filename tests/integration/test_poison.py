"""Parts that harm whoever computes them fail with their reason; the rest of the job, and the worker, go on."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from common.tiers import TierName
from tests.conftest import Embedded
from tests.integration.job_kit import Desk, sma, wait_until
from tests.integration.poison_kit import Lab, first_close, opened_lab, poison
from tests.soak import Record, tell

LEASE, SOFT, HARD = 2, 1, 3
LOST = "its worker was lost 3 times"
SYMBOLS = 3


class Fate(NamedTuple):
    """What becomes of the part that is hit, and of its two series."""

    state: str
    attempts: int
    reason: str
    failed: int


FATES = {
    "kill": Fate("failed", 3, LOST, 2),
    "exit": Fate("failed", 3, LOST, 2),
    "deaf": Fate("failed", 3, LOST, 2),
    "loop": Fate("failed", 3, f"took longer than {SOFT} s", 2),
    "memory": Fate("completed", 1, "needs more memory than a worker has", 1),
    "recursion": Fate("completed", 1, "could not be computed", 1),
    "garbage": Fate("completed", 1, "could not be computed", 1),
}


class Poisoned(NamedTuple):
    """A worker that has had one job of each kind, and who submitted them."""

    lab: Lab
    desk: Desk
    jobs: dict[str, str]


@pytest.fixture(scope="module")
def poisoned(
    module_database: str, embedded: Embedded, published: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Poisoned]:
    """All at once. Each job has three parts, of which the second is hit."""
    state_dir = tmp_path_factory.mktemp("poisoned")
    (state_dir / "market").symlink_to(published)
    with opened_lab(
        module_database,
        f"{embedded.redis_url}/2",
        state_dir,
        part_lease_seconds=LEASE,
        part_soft_seconds=SOFT,
        part_hard_seconds=HARD,
        sweep_seconds=0.2,
        republish_seconds=0.5,
    ) as lab:
        lab.start_sweeper()
        worker = lab.start_worker(4)
        desk = Desk.open(lab.engine, lab.settings, TierName.PREMIUM)
        victim = first_close(lab.settings, "SYN002")
        jobs = {
            kind: desk.submit(symbols=SYMBOLS, series=(*sma(5), poison(kind, victim)), parts_of=1) for kind in FATES
        }
        bystander = desk.submit(symbols=20, series=sma(5, 10), parts_of=1)
        for job_id in (bystander, *jobs.values()):
            wait_until(lambda job_id=job_id: desk.job(job_id).status not in ("queued", "running"), 60)
        assert desk.job(bystander).status == "completed"
        assert desk.job(bystander).refunded == 0
        assert not worker.has_ended()
        yield Poisoned(lab, desk, jobs)


@pytest.mark.parametrize("kind", FATES)
def test_a_part_that_is_poison_fails_alone_with_its_reason(
    poisoned: Poisoned, kind: str, record_property: Record
) -> None:
    desk, job_id, fate = poisoned.desk, poisoned.jobs[kind], FATES[kind]
    part = desk.part(job_id, 1)
    assert (part.state, part.attempt) == (fate.state, fate.attempts)
    assert [error["symbol"] for error in part.errors] == ["SYN002"] * fate.failed
    assert {error["detail"] for error in part.errors} == {fate.reason}
    for number in (0, 2):
        assert (desk.part(job_id, number).state, desk.part(job_id, number).errors) == ("completed", None)
    job = desk.job(job_id)
    assert (job.status, job.cost) == ("completed", SYMBOLS * 2)
    assert job.series_failed == job.refunded == fate.failed
    assert job.series_completed == job.cost - fate.failed
    tell(
        record_property, f"poison {kind}: failed after {part.attempt} of 3 attempts, {fate.reason!r}; the job completed"
    )


@pytest.mark.parametrize("kind", FATES)
def test_the_rows_of_a_poisoned_part_are_empty_and_the_others_are_not(poisoned: Poisoned, kind: str) -> None:
    rows = list(csv.reader(io.StringIO(poisoned.desk.result(poisoned.jobs[kind]).decode())))[1:]
    filled = {symbol: [row[2:] for row in rows if row[0] == symbol][-1] for symbol in ("SYN001", "SYN002", "SYN003")}
    assert len(rows) == SYMBOLS * len([row for row in rows if row[0] == "SYN001"])
    assert all(filled["SYN001"])
    assert all(filled["SYN003"])
    assert filled["SYN002"][1] == ""
    assert bool(filled["SYN002"][0]) == (FATES[kind].failed == 1)


def test_what_failed_was_given_back(poisoned: Poisoned) -> None:
    paid = [poisoned.desk.job(job_id).cost - FATES[kind].failed for kind, job_id in poisoned.jobs.items()]
    assert poisoned.desk.used() == sum(paid) + 40


def test_the_worker_survives_and_serves_others(poisoned: Poisoned) -> None:
    desk = Desk.open(poisoned.lab.engine, poisoned.lab.settings)
    job_id = desk.submit(symbols=20, series=sma(5), parts_of=1)
    wait_until(lambda: desk.job(job_id).status == "completed")
    [worker] = [child for child in poisoned.lab.children if child.name == "worker"]
    assert not worker.has_ended()
    assert len(psutil.Process(worker.pid).children()) == 4
    assert {desk.part(job_id, number).attempt for number in range(20)} == {1}
