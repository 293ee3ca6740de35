"""The burst limit over a real Redis: shared by processes, and what becomes of it when Redis forgets, stops or dies."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import monotonic

import psutil
import pytest
import redis
from redis.asyncio import Redis

from api.burst import Bursts, Limits
from api.token_buckets import Limit, shared_buckets
from cli.processes import Child, Children
from cli.redis_server import start_redis
from common.errors import TooManyRequests
from common.redis import make_async_client, user_burst_key

HOME = "198.51.100.7"
HOUR = 3600.0
FEW = Limit(10 / HOUR, 10)  # ten, and the next one in six minutes
MANY = Limit(1000 / HOUR, 1000)


@dataclass(frozen=True)
class Server:
    """A Redis of the test's own, to be paused and killed."""

    url: str
    children: Children
    child: Child

    def send(self, number: signal.Signals) -> None:
        assert self.child.pid is not None
        os.kill(self.child.pid, number)

    def restart(self) -> None:
        """As the supervisor does: the same command, over the same files."""
        self.child.kill()
        self.children.restart(self.child)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    children = Children(tmp_path)
    children.set_guard()
    try:
        url = start_redis(children, tmp_path / "redis", "test-redis")
        [child] = children
        yield Server(url, children, child)
        if child.pid is not None:
            psutil.Process(child.pid).resume()
    finally:
        children.close()


@asynccontextmanager
async def _processes(url: str, limits: Limits, number: int = 1, *, patience: float = 20) -> AsyncIterator[list[Bursts]]:
    """As many API processes' limiters, each with a connection of its own; on a busy machine they wait longer."""
    clients: list[Redis] = [make_async_client(url, 20) for _ in range(number)]
    try:
        yield [Bursts(shared_buckets(client), limits, patience=patience) for client in clients]
    finally:
        for client in clients:
            await client.aclose()


async def _allowed(bursts: Bursts, user_id: int = 1, address: str = HOME) -> bool:
    if bursts.spend_now(user_id, 0, address):
        return True
    try:
        await bursts.spend(user_id, 0, address)
    except TooManyRequests:
        return False
    return True


async def _count(processes: list[Bursts], requests: int, user_id: int = 1, address: str = HOME) -> int:
    """How many of so many, spread over the processes, are allowed at one moment."""
    asked = (_allowed(processes[n % len(processes)], user_id, address) for n in range(requests))
    return sum(await asyncio.gather(*asked))


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = monotonic() + 30
    while not await condition():
        assert monotonic() < deadline
        await asyncio.sleep(0.02)


def _calls(url: str) -> int:
    """How often scripts were run."""
    with redis.Redis.from_url(url) as client:
        stats = client.info("commandstats")
    return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("evalsha", "eval"))


async def _shared(processes: list[Bursts]) -> None:
    """Returns when all have found their way back to Redis; they look for it only when somebody asks."""
    users = count(1000)

    async def found() -> bool:
        for bursts in processes:
            await _allowed(bursts, next(users))
        return not any(bursts._alone for bursts in processes)

    await _until(found)


def _one(limit: Limit | None, address: Limit | None = None) -> Limits:
    return Limits((limit, limit, limit), address)


def test_processes_share_each_bucket_to_the_token(redis_url: str) -> None:
    async def scenario() -> None:
        async with _processes(redis_url, _one(FEW, Limit(25 / HOUR, 25)), 3) as processes:
            assert await _count(processes, 60, user_id=1) == 10
            assert await _count(processes, 60, user_id=2) == 10
            assert await _count(processes, 60, user_id=3) == 5  # what is left of the address's
            assert await _count(processes, 60, user_id=3, address="198.51.100.8") == 5
            for bursts in processes:
                with pytest.raises(TooManyRequests) as refused:
                    await bursts.spend(1, 0, HOME)
                assert 300 < refused.value.retry_after <= 360

    asyncio.run(scenario())


def test_leases_never_add_up_to_more_than_the_bucket_and_the_rate(redis_url: str) -> None:
    limit = Limit(400, 100)

    async def scenario() -> None:
        async with _processes(redis_url, _one(limit), 3) as processes:
            began = monotonic()
            allowed = 0
            while (passed := monotonic() - began) < 1.5:
                allowed += await _count(processes, 30)
                bound = limit.capacity + limit.rate * (monotonic() - began)
                assert allowed <= bound + 1
            assert allowed >= limit.capacity + limit.rate * passed / 2  # and the rate is to be had

    asyncio.run(scenario())


def test_a_bucket_fills_again_and_then_leaves_nothing_behind(redis_url: str) -> None:
    async def scenario() -> None:
        async with _processes(redis_url, _one(Limit(5, 5)), 2) as processes, make_async_client(redis_url, 1) as client:
            assert await _count(processes, 20) >= 5
            key = user_burst_key(1)
            assert 0 < await client.pttl(key) <= 1001

            async def is_full() -> bool:
                return not await client.exists(key)

            await _until(is_full)
            assert await _count(processes, 20) >= 5

    asyncio.run(scenario())


def test_a_clock_that_is_set_back_locks_nobody_out(redis_url: str) -> None:
    async def scenario() -> None:
        async with _processes(redis_url, _one(Limit(20, 2))) as [bursts], make_async_client(redis_url, 1) as client:
            await client.set(user_burst_key(1), "9000000000000000")  # in the year 2255
            with pytest.raises(TooManyRequests) as refused:
                await bursts.spend(1, 0, HOME)
            assert refused.value.retry_after == 1

    asyncio.run(scenario())


def test_a_flood_beyond_the_limit_makes_no_trips(redis_url: str) -> None:
    async def scenario() -> None:
        async with _processes(redis_url, _one(FEW, MANY), 2) as processes:
            assert await _count(processes, 40) == 10
            calls = _calls(redis_url)
            for _ in range(20):
                assert await _count(processes, 100) == 0
            assert all(bursts.blocked_for(1, HOME) > 0 for bursts in processes)
            assert _calls(redis_url) == calls
            assert await _count(processes, 40, user_id=2) == 10  # who share the address are not held up

    asyncio.run(scenario())


def test_no_bound_makes_no_trips(redis_url: str) -> None:
    calls = _calls(redis_url)

    async def scenario() -> None:
        async with _processes(redis_url, _one(None)) as processes:
            assert await _count(processes, 100) == 100
            await processes[0].spend_address(HOME)

    asyncio.run(scenario())
    assert _calls(redis_url) == calls


def test_redis_may_forget_the_script(redis_url: str) -> None:
    async def scenario() -> None:
        async with _processes(redis_url, _one(FEW), 2) as processes, make_async_client(redis_url, 1) as client:
            assert await _count(processes, 4) == 4
            await client.script_flush()
            assert await _count(processes, 40) == 6
            assert not any(bursts._alone for bursts in processes)

    asyncio.run(scenario())


def test_a_paused_redis_bounds_each_process_alone_and_is_taken_up_again(server: Server) -> None:
    async def scenario() -> None:
        async with _processes(server.url, _one(FEW), 2, patience=2) as processes:
            assert await _count(processes, 4) == 4
            server.send(signal.SIGSTOP)
            assert await _count(processes, 60) <= 16  # each knows what it has seen of the bucket
            assert await _count(processes, 60, user_id=2) == 20
            assert await _count(processes, 60, user_id=2) == 0
            server.send(signal.SIGCONT)
            await _shared(processes)
            assert await _count(processes, 60, user_id=5) == 10

    asyncio.run(scenario())


def test_a_killed_redis_fails_nobody_and_is_taken_up_again(server: Server) -> None:
    async def scenario() -> None:
        async with _processes(server.url, _one(FEW), 2, patience=2) as processes:
            assert await _count(processes, 40) == 10
            server.send(signal.SIGKILL)
            assert await _count(processes, 60) == 0  # known to be blocked
            assert await _count(processes, 60, user_id=2) == 20
            server.restart()
            await _shared(processes)
            assert await _count(processes, 60, user_id=5) == 10

    asyncio.run(scenario())
