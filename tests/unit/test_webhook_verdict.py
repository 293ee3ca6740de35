"""What becomes of a message after an attempt."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from worker.webhooks.verdict import Attempt, Verdict, judge

NOW = datetime(2025, 10, 1, 9, tzinfo=UTC)
HALF_A_DAY = 12 * 3600


def after(status: int | None, made: int = 1, *, retry_after: str | None = None, first_pause: float = 5) -> Verdict:
    attempt = Attempt(NOW, status, "", 1, retry_after)
    return judge(attempt, made, most=8, first_pause=first_pause)


def pause(status: int | None, made: int = 1, *, retry_after: str | None = None, first_pause: float = 5) -> float:
    verdict = after(status, made, retry_after=retry_after, first_pause=first_pause)
    assert verdict.state == "pending"
    assert verdict.pause is not None
    return verdict.pause


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_a_2xx_is_delivery_at_any_attempt(status: int) -> None:
    assert after(status) == after(status, 8) == Verdict("delivered")


@pytest.mark.parametrize("status", [None, 199, 300, 302, 400, 404, 429, 500, 503, 999])
def test_anything_else_is_tried_again_until_the_last_attempt(status: int | None) -> None:
    assert after(status, 7).state == "pending"
    assert after(status, 8) == Verdict("failed")
    assert after(status, 9) == Verdict("failed")  # sent again by hand


def test_a_receiver_that_is_gone_is_not_asked_again() -> None:
    assert after(410) == Verdict("failed")


@pytest.mark.parametrize(("made", "least"), [(1, 5), (2, 15), (3, 45), (4, 135), (5, 405), (6, 1215), (7, 3645)])
def test_each_pause_is_three_times_the_one_before_and_a_little_more(made: int, least: float) -> None:
    pauses = [pause(500, made) for _ in range(50)]
    assert all(least <= p <= least * 1.2 for p in pauses)
    assert len(set(pauses)) > 40


def test_no_pause_is_longer_than_half_a_day() -> None:
    assert pause(500, 7, first_pause=1000) == HALF_A_DAY
    assert pause(503, retry_after="9" * 400) == HALF_A_DAY


@pytest.mark.parametrize("status", [429, 503])
def test_a_receiver_may_ask_for_a_longer_pause(status: int) -> None:
    assert pause(status, retry_after="120") == 120
    assert pause(status, retry_after=format_datetime(NOW + timedelta(hours=1), usegmt=True)) == 3600
    assert pause(status, retry_after=(NOW + timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S")) == 3600


@pytest.mark.parametrize("said", [None, "", "1", "-5", "1.5", "soon", "²", format_datetime(NOW - timedelta(days=1))])
def test_it_may_not_ask_for_a_shorter_one_or_for_what_nobody_understands(said: str | None) -> None:
    assert 5 <= pause(503, retry_after=said) <= 6


def test_others_do_not_ask_for_pauses() -> None:
    assert pause(500, retry_after="120") <= 6
