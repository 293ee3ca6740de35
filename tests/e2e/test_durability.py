"""What has been accepted is done, once, whatever dies meanwhile. `make soak` does the same for longer."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import psutil
import pyarrow.parquet as pq
import pytest
import redis
from sqlalchemy import Row

from tests.e2e.fleet import APIS, WORKERS, Fleet, started_fleet
from tests.e2e.soak_kit import BODY, SERIES, SYMBOLS, Customers, attempts, result, submit
from tests.integration.job_kit import wait_until
from tests.soak import Record, often, tell
from tests.stack import Account, write_sample

FORMS = ("parquet", "csv")
LEASE, SWEEP, REPUBLISH = 3.0, 0.5, 2.0
CONSUMING = 60.0
"""Seconds after which parts are run again once Redis is back."""
DRAINED = 30.0
"""Seconds after which a worker has ended that was told to."""
RECONNECTED = 5.0
"""Seconds after which a worker has a connection to a Redis that is back."""
MARGIN = 3.0
"""For two cores on which everything else runs as well, seconds."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("durability")
    data = write_sample(folder / "sample.parquet", SYMBOLS)
    env = {
        "KALPI_PART_MILLISECONDS": "1",
        "KALPI_PART_LEASE_SECONDS": str(LEASE),
        "KALPI_SWEEP_SECONDS": str(SWEEP),
        "KALPI_REPUBLISH_SECONDS": str(REPUBLISH),
        "KALPI_ACCESS_TOKEN_SECONDS": "36000",
    }
    with started_fleet(folder, data, env) as fleet:
        yield fleet


@pytest.fixture(scope="module")
def accounts(fleet: Fleet) -> list[Account]:
    return [fleet.sign_up() for _ in range(4)]


@pytest.fixture(scope="module")
def symbols(fleet: Fleet, accounts: Sequence[Account]) -> list[str]:
    with fleet.client(accounts[0]) as client:
        return [symbol["symbol"] for symbol in client.get("/v1/symbols").json()["symbols"]]


@pytest.fixture
def customers(fleet: Fleet, accounts: Sequence[Account], symbols: Sequence[str]) -> Customers:
    """Whose jobs have five parts."""
    return Customers(fleet, accounts, symbols[:5], "csv")


# --- workers


@pytest.fixture(scope="module")
def undisturbed(
    fleet: Fleet, accounts: Sequence[Account], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, bytes]:
    """What has to come out, by format: one row of each symbol and date."""
    with fleet.client(accounts[0]) as client:
        jobs = {form: submit(client, "*", form).json()["id"] for form in FORMS}
        made = {form: result(client, job_id) for form, job_id in jobs.items()}
    file = tmp_path_factory.mktemp("undisturbed") / "result.parquet"
    file.write_bytes(made["parquet"])
    table = pq.read_table(file)
    keys = set(zip(table["symbol"].to_pylist(), table["date"].to_pylist(), strict=True))
    assert len(keys) == table.num_rows > SYMBOLS
    assert table.num_columns == 2 + 3 * SERIES
    assert made["csv"].count(b"\n") == 1 + table.num_rows
    return made


def held(fleet: Fleet) -> Sequence[Row[Any]]:
    """Which process that lives runs what attempt."""
    rows = fleet.rows(
        "SELECT CAST(split_part(worker, ':', 2) AS int) AS pid, attempt FROM job_parts WHERE state = 'running'"
    )
    return [row for row in rows if lives(row.pid)]


def lives(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def busy(fleet: Fleet) -> bool:
    """Whether parts are run. Whoever waits for that takes care of the workers."""
    fleet.revive()
    return bool(held(fleet))


def works(fleet: Fleet, name: str) -> bool:
    """Whether a process of that worker runs a part."""
    children = psutil.Process(fleet.child(name).pid).children()
    return not {child.pid for child in children}.isdisjoint(holder.pid for holder in held(fleet))


def kill_child(fleet: Fleet) -> bool:
    """A process that runs a part for the first time: three kills would fail the part, and rightly so.

    It is stopped while it is looked at. Returns whether there was one.
    """
    for holder in held(fleet):
        child = psutil.Process(holder.pid)
        child.suspend()
        if [other.attempt for other in held(fleet) if other.pid == holder.pid] == [1]:
            child.kill()
            return True
        child.resume()
    return False


def kill_a_worker(fleet: Fleet) -> bool:
    """As `kill_child`, a whole worker whose processes run parts for the first time; it is started again."""
    return any(_kill_worker(fleet, name) for name in WORKERS)


def _kill_worker(fleet: Fleet, name: str) -> bool:
    parent = psutil.Process(fleet.child(name).pid)
    parent.suspend()  # it starts no others meanwhile
    family = [*parent.children(recursive=True), parent]
    for process in family:
        process.suspend()
    pids = {process.pid for process in family}
    its = [holder.attempt for holder in held(fleet) if holder.pid in pids]
    if its and set(its) == {1}:
        fleet.kill(name)
        fleet.start(name)
        return True
    for process in family:
        process.resume()
    return False


def ended(fleet: Fleet, jobs: Iterable[str]) -> int:
    """How many parts of the jobs have."""
    statement = "SELECT sum(parts_ended) FROM jobs WHERE id = ANY(CAST(:jobs AS uuid[]))"
    return int(fleet.rows(statement, jobs=list(jobs))[0][0])


def test_nothing_is_lost_or_done_twice_when_workers_are_killed(
    fleet: Fleet, accounts: Sequence[Account], undisturbed: dict[str, bytes], record_property: Record
) -> None:
    """Half of the kills hit a whole worker, half a process of one; all hit while parts are run."""
    kills, total = often(4, 50), often(12, 134)
    with ExitStack() as clients:
        theirs = [clients.enter_context(fleet.client(account)) for account in accounts[1:]]
        jobs: dict[str, tuple[str, httpx.Client]] = {}
        for number in range(total):
            form, client = FORMS[number % 2], theirs[number % 3]
            jobs[submit(client, "*", form).json()["id"]] = form, client
        began, parts = time.monotonic(), total * SYMBOLS
        for kill in range(kills):
            wait_until(lambda kill=kill: ended(fleet, jobs) >= parts * (kill + 0.5) / (kills + 1), 600)
            wait_until(lambda kill=kill: kill_child(fleet) if kill % 2 else kill_a_worker(fleet))
            assert ended(fleet, jobs) < parts
        for job_id, (form, client) in jobs.items():
            assert result(client, job_id) == undisturbed[form]
        seconds = time.monotonic() - began
    fleet.assert_books()
    assert all([file.name for file in (fleet.results / job_id).iterdir()] for job_id in jobs)
    again = attempts(fleet, list(jobs))
    tell(
        record_property,
        f"{parts} parts, {kills} SIGKILLs: {total} jobs completed with the bytes of an undisturbed run in"
        f" {seconds:.0f} s; parts by attempts {again}",
    )
    assert 2 in again


def test_workers_are_restarted_one_after_the_other(fleet: Fleet, customers: Customers, record_property: Record) -> None:
    """SIGTERM lets a worker end what it has begun, and nothing has to be done again."""
    restarts, drained = often(3, 20), []
    with customers:
        for number in range(restarts):
            name = WORKERS[number % 2]
            wait_until(lambda name=name: works(fleet, name))
            child = fleet.child(name)
            began = time.monotonic()
            child.send(signal.SIGTERM)
            wait_until(child.has_ended, DRAINED)
            drained.append(time.monotonic() - began)
            assert child.exit_code == 0
            fleet.start(name)
            wait_until(lambda name=name: works(fleet, name))
    again = attempts(fleet, customers.jobs)
    tell(
        record_property,
        f"{restarts} rolling restarts: {customers}; longest drain {max(drained):.1f} s; parts by attempts {again}",
    )
    assert set(again) == {1}


# --- Redis


def consuming(fleet: Fleet, since: datetime) -> float:
    """Seconds from a moment until parts are run again: more of them than were under way."""
    claimed = "SELECT claimed_at FROM job_parts WHERE claimed_at > :since ORDER BY claimed_at LIMIT 10"

    def look() -> Sequence[Row[Any]] | None:
        fleet.revive()
        found = fleet.rows(claimed, since=since)
        return found if len(found) == 10 else None

    claims = wait_until(look, CONSUMING)
    seconds: float = (claims[-1][0] - since).total_seconds()
    return seconds


def test_no_accepted_job_is_lost_with_redis(fleet: Fleet, customers: Customers, record_property: Record) -> None:
    losses, pause = often(2, 20), often(3, 30)
    took: dict[str, list[float]] = {"killed": [], "emptied": [], "paused": []}
    before = fleet.revived
    with customers:
        for _ in range(losses):
            wait_until(lambda: busy(fleet))
            fleet.kill("redis")
            took["killed"].append(consuming(fleet, fleet.return_redis()))
            wait_until(lambda: busy(fleet))
            with redis.Redis.from_url(fleet.backends.redis_url) as client:
                client.flushall()
            took["emptied"].append(consuming(fleet, datetime.now(UTC)))
        server = psutil.Process(fleet.child("redis").pid)
        server.suspend()
        time.sleep(pause)  # the pause is what happens
        server.resume()
        took["paused"].append(consuming(fleet, datetime.now(UTC)))
    longest = {what: round(max(seconds), 1) for what, seconds in took.items()}
    revived = fleet.revived - before
    tell(
        record_property,
        f"Redis killed and emptied {losses} times each, paused for {pause} s: {customers}; slowest submission"
        f" {customers.slowest:.1f} s; consuming again within {longest} s; workers that ended of themselves: {revived}",
    )


def test_a_job_whose_api_died_before_it_rang_runs_all_the_same(
    fleet: Fleet, accounts: Sequence[Account], symbols: Sequence[str], record_property: Record
) -> None:
    """Redis is stopped, so a job is accepted but nobody hears the ring for it; then API and Redis are killed."""
    psutil.Process(fleet.child("redis").pid).suspend()
    with fleet.client(accounts[0]) as client:
        answer = submit(client, symbols[:1], "csv")
    assert answer.status_code == 202
    job_id = answer.json()["id"]
    for name in APIS:
        fleet.kill(name)
    fleet.kill("redis")
    since = fleet.return_redis()
    for name in APIS:
        fleet.start(name)
    ended = "SELECT status, completed_at FROM jobs WHERE id = :id AND status NOT IN ('queued', 'running')"
    [[status, moment]] = wait_until(lambda: fleet.rows(ended, id=job_id), CONSUMING)
    assert status == "completed"
    seconds = (moment - since).total_seconds()
    wait_until(fleet.is_ready, 60)
    tell(
        record_property,
        f"API killed between commit and ring: the job ended {seconds:.1f} s after Redis was back;"
        f" rung for after {REPUBLISH + SWEEP:g} s at most",
    )
    assert seconds <= REPUBLISH + SWEEP + RECONNECTED + MARGIN


# --- PostgreSQL


def test_nothing_is_half_done_when_postgresql_is_restarted(
    fleet: Fleet, customers: Customers, record_property: Record
) -> None:
    """As an operator does, and by a crash, in turn."""
    restarts, took = often(2, 10), []
    with customers:
        for number in range(restarts):
            wait_until(lambda: busy(fleet))
            since = fleet.restart_postgres((signal.SIGINT, signal.SIGKILL)[number % 2])
            fleet.assert_books()
            took.append(consuming(fleet, since))
    tell(
        record_property,
        f"PostgreSQL restarted {restarts} times, by a crash every other time: {customers}; slowest submission"
        f" {customers.slowest:.1f} s; parts run again within {max(took):.1f} s",
    )


# --- the same job, sent again and again


def test_parallel_submissions_with_one_key_are_one_job(
    fleet: Fleet, symbols: Sequence[str], record_property: Record
) -> None:
    """Over two API processes, each submission on a connection of its own."""
    account, times = fleet.sign_up(), often(100, 1000)
    headers = {**account.headers, "Idempotency-Key": "the one"}
    body = {**BODY, "symbols": symbols[:1], "format": "csv"}

    async def submit_all() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=fleet.url, headers=headers, limits=limits, timeout=60) as client:
            return await asyncio.gather(*(client.post("/v1/jobs", json=body) for _ in range(times)))

    answers = asyncio.run(submit_all())
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) <= {202, 409}
    assert len({answer.headers["x-request-id"][:16] for answer in answers}) == len(APIS)
    [job_id] = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    with fleet.client(account) as client:
        assert [job["id"] for job in client.get("/v1/jobs").json()["jobs"]] == [job_id]
        assert client.get("/v1/me").json()["usage"]["used"] == SERIES
    tell(record_property, f"{times} parallel submissions with one key: one job; statuses {dict(statuses)}")
