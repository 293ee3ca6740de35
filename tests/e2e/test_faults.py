"""Parts of a stack are paused, killed and restarted under load.

Whatever happens: a client gets its answer, or 503 and when to ask again, within a bound; what it got is what was
counted; and when the part is back, so are the answers, from the same API processes.
"""

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path

import httpx
import orjson
import psutil
import psycopg2
import pytest
import redis

from common.redis import VALUES_DONE
from tests.load import BROKEN, Ask, Books, Connection, Load, Outcome, Queries, all_at_once, until
from tests.stack import Stack, started

ROUNDS = int(os.environ.get("TEST_ROUNDS", "1"))
"""More of them look longer: for a machine with time to spare."""

PAUSES = [3.0] if ROUNDS == 1 else [3.0, 8.0]
"""The second is longer than anybody waits for PostgreSQL."""

RECOVERY = 10.0
BOUND = 20.0
"""Of a request: 5 s for PostgreSQL, 10 s for a worker, 5 s for PostgreSQL once more."""

MARGIN = 2.0
"""For two cores on which the client and everything else run as well."""

Record = Callable[[str, object], None]


class Scene:
    """A stack under load, and who asks."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.books = Books(stack)
        self.accounts = self.books.sign_up("premium", "premium", "premium")
        self.queries = Queries(stack, self.accounts[0])
        self.warm_up()

    def warm_up(self) -> None:
        """Each process has the cached ones in its memory."""
        while True:
            asks = [Ask(self.accounts[0], self.queries.warm(n)) for n in range(10) for _ in range(8)]
            outcomes = asyncio.run(all_at_once(self.stack.url, asks))
            assert {o.status for o in outcomes} == {200}
            having = Counter((o.process, o.ask.target) for o in outcomes)
            if len(having) == 10 * len({o.process for o in outcomes}) == 20:
                return

    def asks(self) -> Iterator[Ask]:
        """Nine of ten are cached. Of those that are not, every other one is content with a job."""
        for number in count():
            account = self.accounts[number % len(self.accounts)]
            if number % 10:
                yield Ask(account, self.queries.warm(number % 10))
            else:
                yield Ask(account, self.queries.fresh(), {"Prefer": "wait=2"} if number % 20 else {})

    @contextmanager
    def load(self) -> Iterator[Load]:
        """Under way inside the block; checked after it."""
        self._before = self.books.used(self.accounts)
        api = self.stack.up["pids"]["api"]
        with Load(self.stack.url, self.asks(), bound=BOUND) as load:
            load.wait_for(300)
            yield load
        assert_dignity(load.outcomes)
        assert self.stack.up["pids"]["api"] == api, "an API process was restarted"

    def counted(self) -> int:
        """Since the load began."""
        after = self.books.used(self.accounts)
        return sum(after.values()) - sum(self._before.values())


def assert_dignity(outcomes: list[Outcome]) -> None:
    """Nothing but answers, jobs for who asked for them, and 503 in so many words."""
    strange = [o for o in outcomes if o.status not in {200, 202, 503}]
    assert not strange, Counter(o.status for o in strange)
    for outcome in outcomes:
        if outcome.status == 503:
            assert outcome.detail == "Service temporarily unavailable"
            assert int(outcome.headers["retry-after"]) >= 1
        elif outcome.status == 202:
            assert "Prefer" in outcome.ask.headers
            assert outcome.headers["location"].startswith("/v1/jobs/")


def paid(outcomes: list[Outcome]) -> int:
    """Series that were paid for: answers, and jobs."""
    return sum(o.status in {200, 202} for o in outcomes)


def told(record: Record, load: Load, what: str, recovery: float) -> None:
    """For the report of the run. Nothing fails any more once it has recovered."""
    assert all(o.status in {200, 202} for o in load.answers_from(load.recovered_at))
    statuses = dict(sorted(Counter(o.status for o in load.outcomes).items()))
    slowest = max(o.seconds for o in load.outcomes)
    failed = [o for o in load.outcomes if o.status not in {200, 202}]
    outage = max(o.ended for o in failed) - min(o.ended for o in failed) if failed else 0.0
    tell(
        record,
        f"{what}: failures over {outage:.2f} s, the last {recovery:.2f} s after the part was back; statuses {statuses};"
        f" slowest answer {slowest:.2f} s",
    )


def tell(record: Record, line: str) -> None:
    """Into the JUnit file, and with `pytest -rP` on the terminal."""
    record("fault", line)
    sys.stdout.write(f"{line}\n")


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, sample_file: Path) -> Iterator[Scene]:
    folder: Path = tmp_path_factory.mktemp("faults") / "state"
    options = ("--data", str(sample_file), "--workers", "2", "--no-flower", "--api-processes", "2")
    with started(folder, *options) as stack:
        yield Scene(stack)


# --- the parts


@contextmanager
def paused(*processes: psutil.Process) -> Iterator[None]:
    """The first of them is the parent: it starts no others meanwhile."""
    with ExitStack() as going_on:
        for process in processes:
            process.suspend()
            going_on.callback(process.resume)
        yield


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def answers_redis(stack: Stack) -> bool:
    with redis.Redis.from_url(stack.up["redis_url"], socket_timeout=1) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:
            return False


def answers_postgres(stack: Stack) -> bool:
    with closing(psycopg2.connect(stack.up["database_url"], connect_timeout=2)):
        return True


# --- Redis


@pytest.mark.parametrize("pause", PAUSES)
def test_redis_is_paused(scene: Scene, record_property: Record, pause: float) -> None:
    with scene.load() as load:
        with paused(psutil.Process(scene.stack.pid("redis"))):
            began = time.monotonic()
            outcomes = asyncio.run(
                all_at_once(
                    scene.stack.url,
                    [Ask(scene.accounts[0], scene.queries.warm(n)) for n in range(1, 10)]
                    + [Ask(scene.accounts[0], scene.queries.fresh()) for _ in range(10)],
                )
            )
            # What the process has is served, all else refused before long.
            assert [o.status for o in outcomes] == [200] * 9 + [503] * 10
            assert {o.headers["x-cache"] for o in outcomes[:9]} == {"HIT"}
            assert max(o.seconds for o in outcomes) <= 2 + MARGIN
            time.sleep(max(0.0, began + pause - time.monotonic()))
        recovery = load.recovered(time.monotonic(), RECOVERY)
    told(record_property, load, f"Redis paused for {pause:g} s", recovery)
    assert scene.counted() == paid(load.outcomes) + paid(outcomes)


def test_redis_is_killed(scene: Scene, record_property: Record) -> None:
    with scene.load() as load:
        pid = scene.stack.pid("redis")
        os.kill(pid, signal.SIGKILL)
        until(lambda: scene.stack.pid("redis") != pid)
        recovery = load.recovered(until(lambda: answers_redis(scene.stack)), RECOVERY)
    told(record_property, load, "Redis killed", recovery)
    assert scene.counted() == paid(load.outcomes)


# --- PostgreSQL


@pytest.mark.parametrize("pause", PAUSES)
def test_postgresql_is_paused(scene: Scene, record_property: Record, pause: float) -> None:
    with scene.load() as load:
        with paused(*family(scene.stack.pid("postgres"))):
            time.sleep(pause)
        recovery = load.recovered(time.monotonic(), RECOVERY)
    told(record_property, load, f"PostgreSQL paused for {pause:g} s", recovery)
    assert scene.counted() == paid(load.outcomes)


def test_postgresql_is_restarted(scene: Scene, record_property: Record) -> None:
    """As an operator does, who forgets nothing."""
    with scene.load() as load:
        pid = scene.stack.pid("postgres")
        os.kill(pid, signal.SIGINT)
        until(lambda: scene.stack.pid("postgres") != pid)
        recovery = load.recovered(until(lambda: answers_postgres(scene.stack)), RECOVERY)
    told(record_property, load, "PostgreSQL restarted", recovery)
    assert scene.counted() == paid(load.outcomes)


def kill_a_backend(stack: Stack) -> float:
    """One that counts; the postmaster then ends all others and recovers from its log."""
    with closing(psycopg2.connect(stack.up["database_url"])) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'kalpi-counting'")
        [(pid,), *_] = cursor.fetchall()
    os.kill(pid, signal.SIGKILL)
    return time.monotonic()


def quit_at_once(stack: Stack) -> float:
    pid = stack.pid("postgres")
    os.kill(pid, signal.SIGQUIT)
    crashed_at = time.monotonic()
    until(lambda: stack.pid("postgres") != pid)
    return crashed_at


@pytest.mark.parametrize("crash", [kill_a_backend, quit_at_once])
def test_postgresql_crashes(scene: Scene, record_property: Record, crash: Callable[[Stack], float]) -> None:
    """The charges of the last fraction of a second may be forgotten (ADR 11), and nothing else."""
    with scene.load() as load:
        crashed_at = crash(scene.stack)
        back = until(lambda: answers_postgres(scene.stack))
        recovery = load.recovered(back, RECOVERY)
    told(record_property, load, f"PostgreSQL crashed ({crash.__name__})", recovery)
    # Other backends go on until the postmaster has noticed.
    last_second = [o for o in load.outcomes if crashed_at - 1 <= o.ended and o.began <= back]
    assert paid(load.outcomes) - paid(last_second) <= scene.counted() <= paid(load.outcomes)
    tell(record_property, f"forgotten: {paid(load.outcomes) - scene.counted()} of {paid(load.outcomes)} charges")


# --- workers


def test_a_worker_process_dies_during_each_cold_request(scene: Scene, record_property: Record) -> None:
    """The children are stopped before and killed once one of them has the query."""
    slowest = 0.0
    for _ in range(5 * ROUNDS):
        [account] = scene.books.sign_up("premium")
        children = psutil.Process(scene.stack.pid("worker")).children()
        with redis.Redis.from_url(scene.stack.up["redis_url"]) as broker, asyncio.Runner() as runner:
            for child in children:
                child.suspend()
            asked = runner.get_loop().create_task(all_at_once(scene.stack.url, [Ask(account, scene.queries.fresh())]))
            runner.run(_until(lambda: broker.hlen("unacked") > 0))
            for child in children:
                child.kill()
            [outcome] = runner.run(_finish(asked))
        assert outcome.status == 200
        slowest = max(slowest, outcome.seconds)
        assert scene.books.used([account]) == {account.username: 1}
        until(lambda: len(psutil.Process(scene.stack.pid("worker")).children()) == 2)
    tell(record_property, f"worker process killed during a cold request: slowest answer {slowest:.2f} s")


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110 - it is another process that meets it
            await asyncio.sleep(0.01)


async def _finish(asked: "asyncio.Task[list[Outcome]]") -> list[Outcome]:
    return await asked


def test_the_worker_dies_under_load(scene: Scene, record_property: Record) -> None:
    """The parent and all children, with queries under way; then it is started again."""
    with scene.load() as load:
        pid = scene.stack.pid("worker")
        processes = family(pid)
        with paused(*processes):
            load.wait_for(50, since=time.monotonic())  # cached ones; the others wait
            for process in processes:
                process.kill()
        until(lambda: scene.stack.pid("worker") != pid)
        back = until(lambda: httpx.get(f"{scene.stack.url}/health/ready", timeout=20).status_code == 200, 60)
        recovery = load.recovered(back, RECOVERY)
    told(record_property, load, "worker killed", recovery)
    assert scene.counted() == paid(load.outcomes)


def test_every_worker_is_away(scene: Scene) -> None:
    """503 for who waits, a job for who would rather not; whoever leaves pays nothing, and takes nothing along."""
    stack, books = scene.stack, scene.books
    waiting, hurried, leaving, staying = accounts = books.sign_up("premium", "premium", "premium", "premium")
    shared = scene.queries.fresh()
    asks = [
        Ask(waiting, scene.queries.fresh()),
        Ask(hurried, scene.queries.fresh(), {"Prefer": "wait=1"}),
        Ask(hurried, scene.queries.fresh(), {"Prefer": "wait=0"}),
    ]

    async def ask(cache: redis.Redis) -> tuple[list[Outcome], list[Outcome]]:
        leaver = Connection(stack.url)
        with paused(*family(stack.pid("worker"))):
            left = asyncio.create_task(leaver.ask(Ask(leaving, shared), BOUND))
            stayed = asyncio.create_task(all_at_once(stack.url, [Ask(staying, shared, {"Prefer": "wait=30"})] * 4))
            asked = asyncio.create_task(all_at_once(stack.url, asks))
            await _until(lambda: len(cache.keys("flight:*")) == 1 + len(asks))  # all are on their way
            leaver.close()
            assert (await left).status == BROKEN
            answers = await asked
        return answers, await stayed

    with redis.Redis.from_url(stack.up["cache_url"]) as cache:
        answers, shared_answers = asyncio.run(ask(cache))
    assert [o.status for o in answers] == [503, 202, 202]
    assert_dignity(answers)
    assert [o.status for o in shared_answers] == [200] * 4
    with stack.client(hurried) as client:
        for outcome in answers[1:]:
            job = client.get(outcome.headers["location"], params={"wait": 30}).json()
            assert (job["status"], job["cost"]) == ("completed", 1)
    assert books.used(accounts) == {
        waiting.username: 0,
        hurried.username: 2,
        leaving.username: 0,
        staying.username: 4,
    }


# --- API processes


def test_what_two_processes_are_asked_at_once_is_computed_once(scene: Scene) -> None:
    account, targets = scene.accounts[0], [scene.queries.fresh() for _ in range(10 * ROUNDS)]

    async def ask() -> None:
        connections = [Connection(scene.stack.url) for _ in range(16)]
        try:
            probes = await asyncio.gather(*(c.ask(Ask(account, scene.queries.warm(1)), BOUND) for c in connections))
            assert len({o.process for o in probes}) == 2
            for wanted in targets:
                outcomes = await asyncio.gather(*(c.ask(Ask(account, wanted), BOUND) for c in connections))
                assert {o.status for o in outcomes} == {200}
                assert len({o.body for o in outcomes}) == 1
        finally:
            for connection in connections:
                connection.close()

    with redis.Redis.from_url(scene.stack.up["cache_url"]) as cache, cache.pubsub() as channel:
        channel.subscribe(VALUES_DONE)
        assert channel.get_message(timeout=5) is not None  # subscribed
        asyncio.run(ask())
        announced: Counter[str] = Counter()
        while len(announced) < len(targets) or channel.connection.can_read(timeout=0.5):
            message = channel.get_message(timeout=5)
            assert message is not None
            announced.update(orjson.loads(message["data"])["done"])
    assert sorted(announced.values()) == [1] * len(targets)


def test_one_of_two_api_processes_is_killed(scene: Scene, record_property: Record) -> None:
    """What was charged and whose answer was on its way stays charged: nobody can know whether it arrived."""
    before = scene.books.used(scene.accounts)
    pids = scene.stack.up["pids"]["api"]
    with Load(scene.stack.url, scene.asks(), bound=BOUND) as load:
        load.wait_for(300)
        killed_at = time.monotonic()
        os.kill(pids[0], signal.SIGKILL)
        until(lambda: len(found := scene.stack.up["pids"]["api"]) == 2 and pids[0] not in found)
        recovery = load.recovered(killed_at, RECOVERY)
    broken = [o for o in load.outcomes if o.status == BROKEN]
    assert_dignity([o for o in load.outcomes if o.status != BROKEN])
    assert all(o.began <= killed_at + MARGIN for o in broken)
    counted = sum(scene.books.used(scene.accounts).values()) - sum(before.values())
    told(record_property, load, f"API process killed, {len(broken)} connections broken", recovery)
    assert paid(load.outcomes) <= counted <= paid(load.outcomes) + len(broken)
