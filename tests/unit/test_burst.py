"""The burst limit with a clock of the test's own: never more than the bucket held, and nothing asked in vain."""

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import burst
from api.burst import Bursts, Limits, address_of
from api.token_buckets import Limit
from common.errors import TooManyRequests
from common.redis import address_burst_key, user_burst_key
from common.settings import Settings
from tests.oracles.token_buckets import Clock, Redis

HOME = "198.51.100.7"
SLACK = 1e-3  # of a token


def _limit(rate: float, seconds: float = 10) -> Limit:
    return Limit(rate, max(1.0, rate * seconds))


def _limits(user: Limit | None = None, address: Limit | None = None) -> Limits:
    return Limits((user, user, user), address)


async def _allowed(bursts: Bursts, user_id: int = 1, rank: int = 0, address: str = HOME) -> bool:
    if bursts.spend_now(user_id, rank, address):
        return True
    try:
        await bursts.spend(user_id, rank, address)
    except TooManyRequests:
        return False
    return True


async def _count(bursts: Bursts, requests: int, user_id: int = 1, rank: int = 0, address: str = HOME) -> int:
    """How many of so many at one moment are allowed."""
    return sum(await asyncio.gather(*(_allowed(bursts, user_id, rank, address) for _ in range(requests))))


async def _until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0)


def _made(limits: Limits) -> tuple[Clock, Redis, Bursts]:
    clock = Clock()
    redis = Redis(clock)
    return clock, redis, Bursts(redis.take, limits, clock, patience=20)


def test_a_burst_is_allowed_to_the_last_token_and_then_the_rate() -> None:
    async def scenario() -> None:
        clock, _, bursts = _made(_limits(_limit(5, 2)))
        assert await _count(bursts, 30) == 10
        with pytest.raises(TooManyRequests) as refused:
            await bursts.spend(1, 0, HOME)
        assert refused.value.retry_after == 1
        assert bursts.blocked_for(1, HOME) == pytest.approx(0.2)
        clock.now += 0.19
        assert await _count(bursts, 5) == 0
        clock.now += 0.02
        assert await _count(bursts, 5) == 1
        clock.now += 60
        assert await _count(bursts, 30) == 10

    asyncio.run(scenario())


def test_what_is_told_is_how_long_it_takes() -> None:
    async def scenario() -> None:
        clock, _, bursts = _made(_limits(_limit(0.1, 20)))
        assert await _count(bursts, 3) == 2
        with pytest.raises(TooManyRequests) as refused:
            await bursts.spend(1, 0, HOME)
        assert refused.value.retry_after == 10
        clock.now += 10
        await bursts.spend(1, 0, HOME)

    asyncio.run(scenario())


def test_the_address_is_bounded_over_all_its_users_and_a_refusal_by_one_bucket_costs_the_other_nothing() -> None:
    async def scenario() -> None:
        user, of_address = _limit(1, 4), _limit(1, 10)
        _, redis, bursts = _made(_limits(user, of_address))
        assert await _count(bursts, 6, user_id=1) == 4
        assert redis.held(address_burst_key(HOME), of_address) == 6
        assert await _count(bursts, 6, user_id=2) == 4
        assert await _count(bursts, 6, user_id=3) == 2  # the address's
        assert redis.held(user_burst_key(3), user) == 2
        assert bursts.blocked_for(3, "198.51.100.8") == 0
        assert await _count(bursts, 6, user_id=3, address="198.51.100.8") == 2
        with pytest.raises(TooManyRequests):
            await bursts.spend_address(HOME)
        await bursts.spend_address("198.51.100.9")

    asyncio.run(scenario())


def test_no_bound_takes_no_trip() -> None:
    async def scenario() -> None:
        _, redis, bursts = _made(_limits())
        assert all(bursts.spend_now(1, 0, HOME) for _ in range(1000))
        await bursts.spend(1, 0, HOME)
        await bursts.spend_address(HOME)
        assert bursts.blocked_for(1, HOME) == 0
        assert redis.trips == []
        _, redis, bursts = _made(_limits(address=_limit(100)))
        assert await _count(bursts, 3) == 3
        assert set().union(*redis.trips) == {address_burst_key(HOME)}

    asyncio.run(scenario())


def test_who_is_known_to_be_blocked_causes_no_trips() -> None:
    async def scenario() -> None:
        clock, redis, bursts = _made(_limits(_limit(200, 1), _limit(10_000)))
        assert await _count(bursts, 300) == 200
        made = len(redis.trips)
        for _ in range(49):
            clock.now += 0.001
            assert bursts.blocked_for(1, HOME) > 0
            assert await _count(bursts, 20) == 0
        assert len(redis.trips) == made
        clock.now += 0.002  # a lease's worth has come
        assert bursts.blocked_for(1, HOME) == 0
        assert await _count(bursts, 20) == 10
        assert len(redis.trips) <= made + 2
        assert await _count(bursts, 20, user_id=2) == 20  # nobody else is

    asyncio.run(scenario())


def test_who_wait_at_the_same_moment_share_a_trip_and_both_buckets_do() -> None:
    async def scenario() -> None:
        _, redis, bursts = _made(_limits(_limit(200), _limit(10_000)))
        await asyncio.gather(*(bursts.spend(user_id, 0, HOME) for user_id in range(50)))
        [trip] = redis.trips
        assert len(trip) == 51

    asyncio.run(scenario())


def test_leases_follow_what_is_spent_and_end_after_a_second() -> None:
    async def scenario() -> None:
        clock, redis, bursts = _made(_limits(_limit(1000)))
        seldom = 0
        for _ in range(5):
            seldom += await _count(bursts, 1)
            clock.now += 2
        assert seldom == 5
        assert redis.trips == [{user_burst_key(1): 1}] * 5  # nothing beyond what was spent
        redis.trips.clear()
        for _ in range(500):
            assert await _count(bursts, 1) == 1
        largest = max(max(trip.values()) for trip in redis.trips)
        assert largest == 51  # a twentieth of a second's worth, and the one that waits
        assert len(redis.trips) < 20
        assert bursts.spend_now(1, 0, HOME)
        clock.now += 1
        assert not bursts.spend_now(1, 0, HOME)

    asyncio.run(scenario())


def test_leases_in_use_are_renewed_on_trips_that_are_made_anyway() -> None:
    async def scenario() -> None:
        clock, redis, bursts = _made(_limits(_limit(200), _limit(10_000)))
        users = range(100)
        for _ in range(40):  # 5 seconds of 8 requests a second of each user
            clock.now += 0.125
            for user_id in users:
                assert await _allowed(bursts, user_id)
        redis.trips.clear()
        for _ in range(80):
            clock.now += 0.125
            for user_id in users:
                assert await _allowed(bursts, user_id)
        assert len(redis.trips) <= 80  # for 8,000 requests
        taken = Counter[str]()
        for trip in redis.trips:
            taken.update(trip)
        assert max(taken[user_burst_key(user_id)] for user_id in users) <= 80 + 2 * 11  # next to nothing is dropped

    asyncio.run(scenario())


def test_another_tier_holds_from_the_next_request() -> None:
    async def scenario() -> None:
        slow, fast = _limit(10, 1), _limit(1000, 1)
        _, _, bursts = _made(Limits((slow, fast, None), None))
        assert await _count(bursts, 30, rank=1) == 30  # some of the fast one's tokens are at hand now
        assert await _count(bursts, 30, rank=0) <= 10
        assert await _count(bursts, 30, rank=0) == 0
        assert await _count(bursts, 30, rank=2) == 30

    asyncio.run(scenario())


def test_alone_the_same_bound_holds_in_this_process_and_redis_is_left_alone_for_a_second() -> None:
    async def scenario() -> None:
        clock, redis, bursts = _made(_limits(_limit(5, 2), _limit(100)))
        assert await _count(bursts, 4) == 4
        redis.away = True
        assert await _count(bursts, 30) == 6  # what was spent before is not forgotten
        made = len(redis.trips)
        for _ in range(9):
            clock.now += 0.1
            await _count(bursts, 10)
        assert len(redis.trips) == made
        clock.now += 10
        assert await _count(bursts, 30) == 10
        clock.now += 2
        redis.away = False
        made = len(redis.trips)
        assert await _count(bursts, 1, user_id=2) == 1
        assert len(redis.trips) == made + 1
        assert await _count(bursts, 30, user_id=2) == 9
        assert redis.held(user_burst_key(2), _limit(5, 2)) < 1

    asyncio.run(scenario())


def test_while_redis_is_away_one_request_at_a_time_asks_whether_it_is_back() -> None:
    async def scenario() -> None:
        clock, redis, bursts = _made(_limits(_limit(100)))
        redis.away = True
        assert await _count(bursts, 1) == 1
        clock.now += 2
        redis.gate = asyncio.Event()
        asking = asyncio.create_task(bursts.spend(1, 0, HOME))
        await _until(lambda: len(redis.trips) == 2)
        assert await _count(bursts, 50, user_id=2) == 50  # the gate is shut, and nobody else waits at it
        redis.gate.set()
        await asking
        assert len(redis.trips) == 2

    asyncio.run(scenario())


def test_a_redis_that_does_not_answer_keeps_nobody_longer_than_patience() -> None:
    async def scenario() -> None:
        clock = Clock()
        redis = Redis(clock)
        redis.gate = asyncio.Event()
        bursts = Bursts(redis.take, _limits(_limit(5, 2)), clock, patience=0.01)
        assert await _count(bursts, 30) == 10

    asyncio.run(scenario())


def test_who_left_meanwhile_has_spent_nothing() -> None:
    async def scenario() -> None:
        _, redis, bursts = _made(_limits(_limit(1, 3), _limit(1, 3)))
        redis.gate = asyncio.Event()
        gone = [asyncio.create_task(bursts.spend(1, 0, HOME)) for _ in range(3)]
        await _until(lambda: len(redis.trips) == 1)
        for task in gone:
            task.cancel()
        await asyncio.gather(*gone, return_exceptions=True)
        redis.gate.set()
        redis.gate = None
        await _until(lambda: bursts.spend_now(1, 0, HOME))
        assert await _count(bursts, 5) == 2

    asyncio.run(scenario())


def test_tokens_that_a_waiting_request_counts_on_are_not_spent_by_others_meanwhile() -> None:
    async def scenario() -> None:
        _, redis, bursts = _made(_limits(_limit(1, 10), _limit(100)))
        assert await _count(bursts, 1) == 1
        assert await _count(bursts, 1) == 1
        assert bursts._buckets[HOME].tokens > 0
        redis.gate = asyncio.Event()
        waiting = asyncio.create_task(bursts.spend(1, 0, HOME))
        await _until(lambda: len(redis.trips) == 3)
        at_hand = bursts._buckets[HOME].tokens
        assert [bursts.spend_now(2, 0, HOME) for _ in range(3)] == [False] * 3
        assert bursts._buckets[HOME].tokens == at_hand
        bursts._buckets[HOME].tokens = 0
        redis.gate.set()
        await waiting

    asyncio.run(scenario())


def test_memory_is_bounded_and_the_idle_are_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burst, "_MOST_BUCKETS", 100)

    async def scenario() -> None:
        clock, redis, bursts = _made(_limits(_limit(1, 2), _limit(10_000)))
        for user_id in range(80):
            assert await _count(bursts, 2, user_id) == 2
        clock.now += 3  # these are full again
        for user_id in range(80, 98):
            assert await _count(bursts, 3, user_id) == 2
        for user_id in range(98, 150):
            assert await _count(bursts, 1, user_id) == 1
        assert all(user_id in bursts._buckets for user_id in range(80, 150))
        redis.away = True
        for user_id in range(150, 5000):
            await _allowed(bursts, user_id)
            assert len(bursts._buckets) <= 100
            assert len(bursts._leased) <= 100

    asyncio.run(scenario())


@given(
    rate=st.sampled_from([0.3, 1, 7, 20, 200]),
    seconds=st.sampled_from([0.1, 1, 3]),
    steps=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.0, 0.001, 0.03, 0.4, 1.1, 7.0]),  # seconds later ...
            st.integers(0, 2),  # ... to this process ...
            st.integers(0, 1),  # ... this user ...
            st.integers(1, 40),  # ... sends so many at one moment
        ),
        max_size=40,
    ),
)
def test_no_interleaving_of_processes_gets_more_than_the_buckets_held(
    rate: float, seconds: float, steps: list[tuple[float, int, int, int]]
) -> None:
    user, address = _limit(rate, seconds), _limit(1.5 * rate, seconds)

    async def scenario() -> None:
        clock = Clock()
        redis = Redis(clock)
        processes = [Bursts(redis.take, _limits(user, address), clock, patience=20) for _ in range(3)]
        allowed = Counter[int]()
        began = clock.now
        for later, process, user_id, count in steps:
            clock.now += later
            allowed[user_id] += await _count(processes[process], count, user_id)
            passed = clock.now - began
            for limit, total in ((user, max(allowed.values())), (address, allowed.total())):
                assert total <= limit.capacity + limit.rate * passed + SLACK

    asyncio.run(scenario())


@given(
    rate=st.sampled_from([0.3, 1, 7, 19.5]),  # too slow for leases: every token is asked for when it is needed
    steps=st.lists(
        st.tuples(st.sampled_from([0.0, 0.01, 0.13, 0.5, 2.0]), st.integers(0, 2), st.integers(1, 40)), max_size=40
    ),
    away=st.booleans(),
)
def test_without_leases_every_answer_is_the_textbooks(
    rate: float, steps: list[tuple[float, int, int]], *, away: bool
) -> None:
    limit = _limit(rate, 2)

    async def scenario() -> None:
        clock = Clock()
        redis = Redis(clock)
        redis.away = away
        processes = [Bursts(redis.take, _limits(limit), clock, patience=20) for _ in range(1 if away else 3)]
        held = limit.capacity
        for later, process, count in steps:
            clock.now += later
            held = min(limit.capacity, held + later * limit.rate)
            allowed = await _count(processes[process % len(processes)], count)
            ideal = {min(count, int(held - SLACK)), min(count, int(held + SLACK))}
            assert allowed in ideal
            held -= allowed

    asyncio.run(scenario())


def test_limits_are_the_settings() -> None:
    limits = Limits.of(
        Settings(free_per_second=2, pro_per_second=0, premium_per_second=0.01, address_per_second=50, burst_seconds=3)
    )
    assert limits == Limits((Limit(2, 6), None, Limit(0.01, 1)), Limit(50, 150))


@pytest.mark.parametrize(
    ("client", "address"),
    [
        (("198.51.100.7", 4711), "198.51.100.7"),
        (("2001:db8:1:2:3:4:5:6", 4711), "2001:db8:1:2::/64"),
        (("2001:db8:1:2::1", 4711), "2001:db8:1:2::/64"),
        (("::1", 4711), "::/64"),
        (("fe80::1%eth0", 4711), "fe80::/64"),
        (("::ffff:198.51.100.7", 4711), "198.51.100.7"),
        (("made-up-by-a-proxy" * 1000, 0), ("made-up-by-a-proxy" * 1000)[:64]),
        (None, ""),
    ],
)
def test_who_counts_as_one_address(client: tuple[str, int] | None, address: str) -> None:
    assert address_of({"type": "http", "client": client}) == address
