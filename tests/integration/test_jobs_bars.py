"""Jobs for the bars themselves, which count as one series of each symbol."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from api.jobs import Draft, Entry, cancel_job, make_draft, record_job
from common.dataset import Manifest, ManifestFile
from common.errors import KalpiError
from common.jobs import JobRequest, TableFormat
from common.quota import charge_whole
from tests.integration.job_kit import TODAY, Desk, make_request
from worker import jobs
from worker.resources import Resources

TTL = 3600.0


def one_each(request: JobRequest, manifest: Manifest) -> Draft:
    """A part for each symbol."""
    return replace(make_draft(request, manifest, 1), parts=[(symbol,) for symbol in request.symbols])


def submit_bars(desk: Desk, *, symbols: int, form: TableFormat = TableFormat.CSV) -> str:
    """A charged job for the bars themselves, a part for each symbol."""
    manifest = ManifestFile(desk.settings.market_dir).current()
    request = replace(make_request(manifest, symbols, (), form), include_ohlcv=True)
    job_id = uuid4()
    with desk.engine.begin() as connection:
        charged = charge_whole(connection, desk.user_id, request.cost, TODAY)
        assert charged is not None
        record_job(connection, Entry(job_id, one_each(request, manifest), desk.user_id), charged.day)
    return str(job_id)


@pytest.mark.parametrize("form", list(TableFormat))
def test_bars_alone_count_one_series_of_each_symbol(desk: Desk, resources: Resources, form: TableFormat) -> None:
    job_id = submit_bars(desk, symbols=2, form=form)
    assert (desk.job(job_id).cost, desk.used()) == (2, 2)
    desk.run_all(resources, job_id)
    job = desk.job(job_id)
    assert (job.status, job.series_completed, job.series_failed, job.refunded, desk.used()) == ("completed", 2, 0, 0, 2)
    if form is TableFormat.CSV:
        assert desk.result(job_id).startswith(b"symbol,date,open,high,low,close,volume\n")


def test_bars_that_fail_are_given_back_and_null(
    desk: Desk, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit_bars(desk, symbols=2)
    compute = jobs.compute_table
    first = desk.part(job_id, 0).symbols[0]

    def poisoned(market: object, request: object, symbols: tuple[str, ...]) -> object:
        if first in symbols and request.include_ohlcv:  # type: ignore[attr-defined]
            raise KalpiError("no such thing")
        return compute(market, request, symbols)  # type: ignore[arg-type]

    monkeypatch.setattr(jobs, "compute_table", poisoned)
    desk.run_all(resources, job_id)
    job = desk.job(job_id)
    assert (job.status, job.series_completed, job.series_failed, job.refunded, desk.used()) == ("completed", 1, 1, 1, 1)
    assert desk.part(job_id, 0).errors == [{"symbol": first, "indicator": "ohlcv", "detail": "no such thing"}]
    lines = desk.result(job_id).decode().splitlines()
    of_first = [line for line in lines if line.startswith(f"{first},")]
    assert all(line.endswith(",,,,,") for line in of_first)
    assert len(lines) == 1 + 2 * len(of_first)


def test_bars_of_one_symbol_that_fail_fail_the_job(
    desk: Desk, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = submit_bars(desk, symbols=1)

    def wrong(*_: object) -> object:
        raise KalpiError("no such thing")

    monkeypatch.setattr(jobs, "compute_table", wrong)
    desk.run(resources, job_id, 0)
    job = desk.job(job_id)
    assert (job.status, job.series_failed, job.refunded, desk.used()) == ("failed", 1, 1, 0)


def test_bars_that_are_cancelled_are_given_back(desk: Desk, resources: Resources) -> None:
    job_id = submit_bars(desk, symbols=3)
    desk.run(resources, job_id, 0)
    with desk.engine.begin() as connection:
        cancel_job(connection, desk.user_id, UUID(job_id), TTL)
    assert (desk.job(job_id).refunded, desk.used()) == (2, 1)
