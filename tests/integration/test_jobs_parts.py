"""Parts of jobs: claimed once, finished by the holder alone, counted and given back exactly."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.jobs import cancel_job
from common.errors import Conflict, KalpiError, NotFound
from common.jobs import SeriesError, TableFormat
from tests.integration.job_kit import TODAY, Desk, sma, wait_until
from worker import jobs
from worker.resources import Resources
from worker.transitions import Claim, Outcome, StoredFile, complete_part, fail_part, release, renew

TTL = 3600.0
A_FILE = StoredFile("a-file", 0)


def claimed(desk: Desk, job_id: str, number: int) -> Claim:
    found = desk.claim(job_id, number)
    assert found is not None
    return found


def complete(desk: Desk, held: Claim, errors: tuple[SeriesError, ...] = ()) -> Outcome:
    with desk.engine.begin() as connection:
        return complete_part(connection, held, A_FILE, errors, TTL)


def test_a_job_runs_to_its_result(desk: Desk, resources: Resources) -> None:
    job_id = desk.submit(symbols=3, series=sma(5, 10))
    desk.run_all(resources, job_id)
    job = desk.job(job_id)
    assert (job.status, job.series_completed, job.series_failed, job.refunded) == ("completed", 6, 0, 0)
    assert job.started_at <= job.completed_at
    assert job.expires_at - job.completed_at == timedelta(seconds=desk.settings.job_ttl_seconds)
    assert desk.result(job_id).startswith(b"symbol,date,sma_5,sma_10\n")
    assert job.result_bytes == len(desk.result(job_id))
    folder = desk.results / job_id
    assert [f.name for f in folder.iterdir()] == [job.result_file.partition("/")[2]]
    assert desk.used() == 6


@pytest.mark.parametrize("form", list(TableFormat))
def test_the_cut_does_not_show_in_the_rows(desk: Desk, resources: Resources, form: TableFormat) -> None:
    """CSV and JSON are equal to the byte; Parquet has a row group per part, Arrow a record batch."""
    whole = desk.submit(symbols=5, parts_of=5, form=form)
    parts = desk.submit(symbols=5, parts_of=2, form=form)
    for job_id in (whole, parts):
        desk.run_all(resources, job_id)
    assert (desk.job(whole).parts_total, desk.job(parts).parts_total) == (1, 3)
    if form in {TableFormat.CSV, TableFormat.JSON}:
        assert desk.result(whole) == desk.result(parts)
        assert desk.job(whole).result_etag == desk.job(parts).result_etag
    else:
        assert rows_of(desk.result(whole), form) == rows_of(desk.result(parts), form)


def rows_of(result: bytes, form: TableFormat) -> list[tuple[object, ...]]:
    source = io.BytesIO(result)
    if form is TableFormat.XLSX:
        rows = list(openpyxl.load_workbook(source, read_only=True).active.values)
    else:
        table = pa.ipc.open_stream(source).read_all() if form is TableFormat.ARROW else pq.read_table(source)
        rows = [tuple(row.values()) for row in table.to_pylist()]
    assert rows
    return rows


def test_a_part_is_claimed_by_one(desk: Desk) -> None:
    job_id = desk.submit()
    with ThreadPoolExecutor(8) as threads:
        claims = list(threads.map(lambda i: desk.claim(job_id, 0, worker=f"worker-{i}"), range(8)))
    held = [c for c in claims if c is not None]
    assert [c.attempt for c in held] == [1]
    assert desk.part(job_id, 0).attempt == 1
    assert desk.job(job_id).status == "running"


def test_an_assembly_that_waits_cannot_be_claimed(desk: Desk) -> None:
    job_id = desk.submit(symbols=2)
    assert desk.claim(job_id, 2) is None
    assert desk.claim(job_id, 3) is None


def test_a_stale_attempt_finishes_nothing(desk: Desk) -> None:
    job_id = desk.submit()
    stale = claimed(desk, job_id, 0)
    desk.requeue(job_id, 0)
    fresh = claimed(desk, job_id, 0)
    assert (stale.attempt, fresh.attempt) == (1, 2)
    assert complete(desk, stale) is Outcome.REFUSED
    with desk.engine.begin() as connection:
        assert fail_part(connection, stale, "late", TTL) is Outcome.REFUSED
        assert not release(connection, stale)
        assert not renew(connection, stale, 30)
        assert renew(connection, fresh, 30)
    assert desk.job(job_id).parts_ended == 0
    assert desk.used() == 6
    assert complete(desk, fresh) is Outcome.ENDED
    assert complete(desk, fresh) is Outcome.REFUSED
    assert desk.job(job_id).parts_ended == 1


def test_the_same_attempt_of_another_worker_finishes_nothing(desk: Desk) -> None:
    """PostgreSQL has crashed and forgotten a claim: its number is given to another."""
    job_id = desk.submit()
    forgotten = claimed(desk, job_id, 0)
    desk.requeue(job_id, 0)
    desk.change("UPDATE job_parts SET attempt = 0 WHERE job_id = :id AND number = 0", id=UUID(job_id))
    other = desk.claim(job_id, 0, worker="another")
    assert other is not None
    assert other.attempt == forgotten.attempt
    assert complete(desk, forgotten) is Outcome.REFUSED
    assert complete(desk, other) is Outcome.ENDED


def test_what_a_stale_worker_has_written_does_not_count(
    desk: Desk, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, job_id = desk.submit(symbols=2), desk.submit(symbols=2)
    desk.run_all(resources, undisturbed)
    compute = jobs.compute_table
    overtaken: list[Claim] = []

    def overtake(*args: object) -> object:
        if not overtaken:
            desk.requeue(job_id, 0)
            overtaken.append(claimed(desk, job_id, 0))
        return compute(*args)

    monkeypatch.setattr(jobs, "compute_table", overtake)
    desk.run(resources, job_id, 0)
    assert (desk.part(job_id, 0).attempt, desk.part(job_id, 0).state) == (2, "running")
    assert desk.part(job_id, 0).file is None
    jobs.run_claimed(resources, replace(overtaken[0], worker="test"))
    desk.run_all(resources, job_id)
    assert desk.result(job_id) == desk.result(undisturbed)
    folder = desk.results / job_id
    assert [f.name for f in folder.iterdir()] == [desk.job(job_id).result_file.partition("/")[2]]


def test_a_part_delivered_many_times_counts_once(desk: Desk, resources: Resources) -> None:
    job_id = desk.submit(symbols=2)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda _: desk.run(resources, job_id, 0), range(8)))
    desk.run(resources, job_id, 0)
    assert (desk.job(job_id).parts_ended, desk.job(job_id).series_completed) == (1, 2)
    assert desk.part(job_id, 0).attempt == 1


def test_a_lease_is_renewed_while_its_part_runs(
    desk: Desk, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = desk.submit(symbols=2)
    compute = jobs.compute_table

    def slow(*args: object) -> object:
        first = desk.part(job_id, 0).lease_until
        wait_until(lambda: desk.part(job_id, 0).lease_until > first)
        return compute(*args)

    monkeypatch.setattr(jobs, "compute_table", slow)
    desk.run(resources, job_id, 0)
    assert desk.part(job_id, 0).state == "completed"


def test_a_failed_series_is_given_back(desk: Desk) -> None:
    job_id = desk.submit(symbols=2, series=sma(5, 10))
    assert desk.used() == 4
    held = claimed(desk, job_id, 0)
    assert complete(desk, held, (SeriesError(held.symbols[0], "sma_5", "no"),)) is Outcome.ENDED
    job = desk.job(job_id)
    assert (job.series_completed, job.series_failed, job.refunded) == (1, 1, 1)
    assert desk.used() == 3


def test_a_day_that_is_over_is_not_given_back(desk: Desk) -> None:
    job_id = desk.submit(symbols=2)
    desk.change(
        "UPDATE users SET last_request_reset = :tomorrow, requests_today = 3", tomorrow=TODAY + timedelta(days=1)
    )
    held = claimed(desk, job_id, 0)
    complete(desk, held, (SeriesError(held.symbols[0], "sma_5", "no"),))
    assert desk.used() == 3


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), RuntimeError("secret")])
def test_a_part_that_fails_is_tried_three_times_then_null(
    desk: Desk, resources: Resources, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    job_id = desk.submit(symbols=2, series=sma(5, 10))
    compute = jobs.compute_table
    first = desk.part(job_id, 0).symbols[0]

    def poisoned(market: object, request: object, symbols: tuple[str, ...]) -> object:
        if first in symbols and request.series:  # type: ignore[attr-defined]
            raise error
        return compute(market, request, symbols)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "compute_table", poisoned)
    for attempt in (1, 2):
        desk.run(resources, job_id, 0)
        assert (desk.part(job_id, 0).state, desk.part(job_id, 0).attempt) == ("queued", attempt)
    desk.run(resources, job_id, 0)
    assert desk.part(job_id, 0).state == "failed"
    assert desk.used() == 2
    desk.run(resources, job_id, 1)
    desk.run(resources, job_id, 2)
    job = desk.job(job_id)
    assert (job.status, job.series_completed, job.series_failed, job.refunded) == ("completed", 2, 2, 2)
    errors = desk.part(job_id, 0).errors
    assert [(e["symbol"], e["indicator"]) for e in errors] == [(first, "sma_5"), (first, "sma_10")]
    assert "secret" not in errors[0]["detail"]
    lines = desk.result(job_id).decode().splitlines()
    of_first = [line for line in lines if line.startswith(f"{first},")]
    assert of_first
    assert all(line.endswith(",,") for line in of_first)
    assert len(lines) == 1 + 2 * len(of_first)


@pytest.mark.parametrize("loss", ["missing", "truncated", "of an earlier run of the machine"])
def test_a_part_whose_file_does_not_count_any_more_is_computed_again(
    desk: Desk, resources: Resources, monkeypatch: pytest.MonkeyPatch, loss: str
) -> None:
    whole, job_id = desk.submit(symbols=2), desk.submit(symbols=2)
    desk.run_all(resources, whole)
    for number in range(2):
        desk.run(resources, job_id, number)
    file = desk.results / desk.part(job_id, 0).file
    if loss == "missing":
        file.unlink()
    elif loss == "truncated":
        file.write_bytes(file.read_bytes()[:-100])
    else:
        file.write_bytes(b"anything")
        monkeypatch.setattr(resources.store, "era", "another")
    desk.run(resources, job_id, 2)
    assert desk.job(job_id).status == "completed"
    assert desk.result(job_id) == desk.result(whole)


def test_what_cannot_be_right_is_not_tried_again(
    desk: Desk, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = desk.submit(symbols=1)

    def wrong(*_: object) -> object:
        raise KalpiError("no such thing")

    monkeypatch.setattr(jobs, "compute_table", wrong)
    desk.run(resources, job_id, 0)
    job = desk.job(job_id)
    assert (job.status, job.series_failed, job.refunded, desk.used()) == ("failed", 2, 2, 0)
    assert job.completed_at is not None
    assert job.expires_at is not None
    assert desk.states(job_id) == ["failed"]
    assert desk.part(job_id, 0).errors[0]["detail"] == "no such thing"


def test_a_job_whose_data_is_gone_fails_and_says_so(desk: Desk, resources: Resources) -> None:
    job_id = desk.submit(symbols=1)
    desk.change("UPDATE jobs SET data_version = 'gone'")
    desk.run(resources, job_id, 0)
    assert desk.job(job_id).status == "failed"
    assert [e["detail"] for e in desk.part(job_id, 0).errors] == ["the market data it was asked of is gone"] * 2


def test_an_assembly_that_fails_fails_the_job_and_gives_all_back(
    desk: Desk, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = desk.submit(symbols=2)
    other = desk.submit(symbols=1)
    desk.run(resources, job_id, 0)
    desk.run(resources, job_id, 1)

    def full(*_: object) -> object:
        raise OSError("no space left on device")

    monkeypatch.setattr(jobs, "join", full)
    for _ in range(3):
        desk.run(resources, job_id, 2)
    job = desk.job(job_id)
    assert (job.status, job.refunded, job.result_file) == ("failed", 4, None)
    assert desk.part(job_id, 2).errors == [{"symbol": None, "indicator": None, "detail": "could not be computed"}]
    assert desk.used() == desk.job(other).cost


def test_cancelling_gives_back_what_has_not_ended(desk: Desk, resources: Resources) -> None:
    job_id = desk.submit(symbols=3, series=sma(5, 10))
    desk.run(resources, job_id, 0)
    held = claimed(desk, job_id, 1)
    for _ in range(2):  # the second time changes nothing
        with desk.engine.begin() as connection:
            cancel_job(connection, desk.user_id, UUID(job_id), TTL)
        job = desk.job(job_id)
        assert (job.status, job.refunded, desk.used()) == ("cancelled", 4, 2)
    assert desk.states(job_id) == ["completed", "cancelled", "cancelled", "cancelled"]
    assert complete(desk, held) is Outcome.REFUSED
    assert desk.claim(job_id, 2) is None
    assert desk.used() == 2


def test_only_what_runs_can_be_cancelled_and_only_by_its_owner(desk: Desk, resources: Resources) -> None:
    job_id = desk.submit(symbols=1)
    stranger = Desk.open(desk.engine, desk.settings)
    with desk.engine.begin() as connection, pytest.raises(NotFound):
        cancel_job(connection, stranger.user_id, UUID(job_id), TTL)
    desk.run_all(resources, job_id)
    with desk.engine.begin() as connection, pytest.raises(Conflict):
        cancel_job(connection, desk.user_id, UUID(job_id), TTL)


def test_cancel_and_finish_at_the_same_moment_count_once(desk: Desk) -> None:
    for _ in range(20):
        before = desk.used()
        job_id = desk.submit(symbols=4, series=sma(5))
        held = [claimed(desk, job_id, number) for number in range(4)]

        def cancel(job_id: str = job_id) -> None:
            with desk.engine.begin() as connection:
                cancel_job(connection, desk.user_id, UUID(job_id), TTL)

        with ThreadPoolExecutor(5) as threads:
            ends = [threads.submit(complete, desk, one) for one in held]
            threads.submit(cancel).result()
        completed = sum(end.result() is not Outcome.REFUSED for end in ends)
        job = desk.job(job_id)
        assert (job.status, job.series_completed, job.refunded) == ("cancelled", completed, 4 - completed)
        assert desk.used() - before == completed
