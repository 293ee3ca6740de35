"""What a process holds of a bucket: the textbook's tokens while it is alone, leases that end, how long to wait."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.token_buckets import LEASE_SECONDS, Bucket, Limit

SLACK = 1e-3  # of a token


def _full(limit: Limit) -> Bucket:
    return Bucket("bucket", limit, 0.0)


def _emptied(limit: Limit, now: float) -> Bucket:
    bucket = _full(limit)
    bucket.full_at = now + limit.capacity / limit.rate
    return bucket


def _takes_alone(bucket: Bucket, now: float) -> bool:
    bucket.take_alone(now)
    return bucket.take_out(1, now) == 1


def test_a_lease_is_a_twentieth_of_a_second_ahead_and_never_more_than_the_bucket() -> None:
    assert [limit.ahead for limit in (Limit(2, 6), Limit(200, 2000), Limit(200, 4))] == [0, 10, 4]


@given(
    rate=st.sampled_from([0.3, 1, 7, 19.5, 200]),
    steps=st.lists(st.tuples(st.sampled_from([0.0, 0.01, 0.13, 0.5, 2.0]), st.integers(1, 40)), max_size=40),
)
def test_alone_every_token_is_the_textbooks(rate: float, steps: list[tuple[float, int]]) -> None:
    limit = Limit(rate, max(1.0, 2 * rate))
    bucket, now, held = _full(limit), 1000.0, limit.capacity
    for later, count in steps:
        now += later
        held = min(limit.capacity, held + later * rate)
        taken = sum(_takes_alone(bucket, now) for _ in range(count))
        assert taken in {min(count, int(held - SLACK)), min(count, int(held + SLACK))}
        held -= taken


def test_leased_tokens_are_gone_when_the_lease_ends() -> None:
    bucket = _full(Limit(100, 1000))
    bucket.tokens, bucket.until = 5, 1000 + LEASE_SECONDS
    assert bucket.take_out(2, 1000) == 2
    assert bucket.take_out(9, 1000.5) == 3
    bucket.give_back()
    assert bucket.take_out(9, 1000 + LEASE_SECONDS) == 0
    assert bucket.tokens == 0


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        (Limit(2, 6), 0.5),  # a token
        (Limit(200, 2000), 0.05),  # a lease
        (Limit(200, 4), 0.02),  # all of it
    ],
)
def test_who_finds_it_empty_waits_for_a_token_or_for_a_lease(limit: Limit, seconds: float) -> None:
    bucket = _emptied(limit, 1000.0)
    assert bucket.held(1000.0) == 0
    assert bucket.block(1000.0) == pytest.approx(seconds)
    assert bucket.blocked_until == pytest.approx(1000 + seconds)
    assert bucket.held(bucket.blocked_until + 1e-6) == max(1, limit.ahead)


def test_it_is_idle_when_nothing_is_leased_and_it_is_full_and_not_blocked() -> None:
    bucket = _full(Limit(1, 2))
    assert bucket.is_idle(1000)
    assert _takes_alone(bucket, 1000)
    assert not bucket.is_idle(1000.9)
    assert bucket.is_idle(1001)
    bucket.blocked_until = 1002
    assert not bucket.is_idle(1001)
