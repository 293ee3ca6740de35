"""Jobs are accepted whole or not at all: with their key, their charge and within their bounds."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

from api.idempotency import IdempotencyKey, read_key
from api.jobs import Entry, accept_job, cancel_job, make_draft
from common.dataset import ManifestFile
from common.errors import Conflict, InvalidParameters, QuotaExceeded, TooManyRequests
from common.jobs import TableFormat
from tests.integration.job_kit import TODAY, Desk, make_request, sma

KEY = IdempotencyKey("night", b"body")


def entry(desk: Desk, key: IdempotencyKey | None = None, symbols: int = 2) -> Entry:
    manifest = ManifestFile(desk.settings.market_dir).current()
    request = make_request(manifest, symbols, sma(5), TableFormat.CSV)
    return Entry(uuid4(), make_draft(request, manifest, 100), desk.user_id, key=key)


def accept(desk: Desk, asked: Entry, *, most: int = 10, today: date = TODAY) -> tuple[str, bool]:
    """Id, and whether the job is new."""
    with desk.engine.begin() as connection:
        accepted, charged = accept_job(connection, asked, today, most, 60)
    assert accepted.is_new == (charged is not None)
    return str(accepted.id), accepted.is_new


def outcome(desk: Desk, asked: Entry, most: int) -> str:
    try:
        accept(desk, asked, most=most)
    except (TooManyRequests, QuotaExceeded, Conflict) as error:
        return type(error).__name__
    return "accepted"


def count(desk: Desk, table: str) -> int:
    with desk.engine.connect() as connection:
        found: int = connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()
        return found


def test_no_more_jobs_are_under_way_than_may_be_however_many_are_asked_for_at_once(desk: Desk) -> None:
    with ThreadPoolExecutor(10) as threads:
        outcomes = Counter(threads.map(lambda _: outcome(desk, entry(desk), 4), range(30)))
    assert outcomes == {"accepted": 4, "TooManyRequests": 26}
    assert (count(desk, "jobs"), desk.used()) == (4, 8)
    with desk.engine.begin() as connection:
        [first, *_] = connection.execute(text("SELECT id FROM jobs")).scalars()
        cancel_job(connection, desk.user_id, first, 60)
    assert outcome(desk, entry(desk), 4) == "accepted"


def test_what_the_day_does_not_allow_leaves_nothing(desk: Desk) -> None:
    desk.change("UPDATE users SET requests_today = 499")
    with pytest.raises(QuotaExceeded) as error:
        accept(desk, entry(desk, KEY))
    assert error.value.retry_after == 60
    assert [count(desk, table) for table in ("jobs", "job_parts", "idempotency_keys")] == [0, 0, 0]
    assert desk.used() == 499


def test_a_key_stands_for_one_job_however_many_ask_at_once(desk: Desk) -> None:
    with ThreadPoolExecutor(10) as threads:
        outcomes = Counter(threads.map(lambda _: outcome(desk, entry(desk, KEY), 100), range(40)))
    assert outcomes["accepted"] >= 1
    assert outcomes["accepted"] + outcomes["Conflict"] == 40
    assert (count(desk, "jobs"), desk.used()) == (1, 2)


def test_a_key_is_another_jobs_after_a_day(desk: Desk) -> None:
    first, _ = accept(desk, entry(desk, KEY))
    assert accept(desk, entry(desk, KEY)) == (first, False)
    desk.change("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
    second, is_new = accept(desk, entry(desk, replace(KEY, digest=b"another")))
    assert is_new
    assert second != first
    assert accept(desk, entry(desk, replace(KEY, digest=b"another"))) == (second, False)


def test_a_key_with_another_body_is_refused_and_costs_nothing(desk: Desk) -> None:
    accept(desk, entry(desk, KEY))
    with pytest.raises(InvalidParameters, match="another body"):
        accept(desk, entry(desk, replace(KEY, digest=b"another")))
    assert (count(desk, "jobs"), desk.used()) == (1, 2)


def test_a_job_is_charged_to_the_day_that_the_database_is_at(desk: Desk) -> None:
    """The clock of this process is a day behind."""
    desk.change("UPDATE users SET requests_today = 3, last_request_reset = :today", today=TODAY)
    job_id, _ = accept(desk, entry(desk), today=date.fromordinal(TODAY.toordinal() - 1))
    assert (desk.job(job_id).charged_on, desk.used()) == (TODAY, 5)


def test_a_job_of_one_part_has_no_assembly(desk: Desk) -> None:
    job_id, _ = accept(desk, entry(desk, symbols=1))
    assert desk.states(job_id) == ["queued"]
    assert desk.job(job_id).parts_total == 1
    assert isinstance(desk.part(job_id, 0).job_id, UUID)


@pytest.mark.parametrize(("one", "other", "same"), [
    (b'{"a":1,"b":[1,2]}', b'{ "b": [1, 2], "a": 1 }', True),
    (b'{"a":1}', b'{"a":2}', False),
    (b"no json", b"no json", True),
    (b"no json", b"no json at all", False),
])  # fmt: skip
def test_bodies_are_told_apart_by_what_they_say(one: bytes, other: bytes, same: bool) -> None:
    keys = [read_key("key", body) for body in (one, other)]
    assert (keys[0] == keys[1]) == same
