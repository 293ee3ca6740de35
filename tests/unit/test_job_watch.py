"""The watch over jobs: how often it looks, at what, and whom it wakes."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis.asyncio
import structlog

from api import job_watch
from api.job_watch import JobWatch, Moment
from common.errors import Unavailable

END = Moment(9, has_ended=True)
A, B = uuid4(), uuid4()


class Looks:
    """Stands for PostgreSQL: the jobs as they are, and each look at them, held while the gate is shut."""

    def __init__(self) -> None:
        self.jobs = {A: Moment(1, has_ended=False), B: Moment(1, has_ended=False)}
        self.made: list[set[UUID]] = []
        self.began: list[float] = []
        self.most_at_once = self._at_once = 0
        self.fault: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, ids: Sequence[UUID]) -> Mapping[UUID, Moment]:
        self.made.append(set(ids))
        self.began.append(asyncio.get_running_loop().time())
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        seen = {job_id: self.jobs[job_id] for job_id in ids if job_id in self.jobs}
        try:
            await self.gate.wait()
        finally:
            self._at_once -= 1
        if self.fault is not None:
            raise self.fault
        return seen

    def watch(self) -> JobWatch:
        """One that is rung for by `ring` alone."""
        return JobWatch(self, redis.asyncio.Redis())


async def ring(watch: JobWatch, job_id: UUID) -> None:
    await watch.hear(str(job_id).encode())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.001)


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself it looks no more than once."""
    for name in ("_FIRST_PAUSE", "_LAST_PAUSE"):
        monkeypatch.setattr(job_watch, name, 3600.0)


def test_a_ring_makes_it_look_at_all_jobs_at_once(deaf: None) -> None:  # noqa: ARG001
    async def scenario() -> None:
        looks = Looks()
        watch = looks.watch()
        waiting = [asyncio.create_task(watch.wait(job_id, 60)) for job_id in (A, A, B)]
        await until(lambda: len(looks.made) == 1)
        looks.jobs |= {A: END, B: END}
        await ring(watch, A)
        assert await asyncio.gather(*waiting) == [True] * 3
        assert looks.made == [{A, B}] * 2

    asyncio.run(scenario())


def test_rings_during_a_look_make_one_more_and_none_for_jobs_of_others(deaf: None) -> None:  # noqa: ARG001
    async def scenario() -> None:
        looks = Looks()
        watch = looks.watch()
        looks.gate.clear()
        waiting = asyncio.create_task(watch.wait(A, 60))
        await until(lambda: len(looks.made) == 1)
        looks.jobs[A] = Moment(2, has_ended=False)
        for _ in range(100):
            await ring(watch, A)
        looks.gate.set()
        await until(lambda: len(looks.made) == 2)
        for message in (str(B).encode(), b"nonsense", b"\xff", b""):
            await watch.hear(message)
        later = asyncio.create_task(watch.wait(B, 60))  # whose look would come after any for those
        await until(lambda: len(looks.made) == 3)
        assert looks.made == [{A}, {A}, {A, B}]
        looks.jobs |= {A: END, B: END}
        await ring(watch, B)
        assert await asyncio.gather(waiting, later) == [True, True]

    asyncio.run(scenario())


def test_however_often_it_rings_looks_are_10_ms_apart_and_never_two_at_once() -> None:
    async def scenario() -> None:
        looks = Looks()
        watch = looks.watch()
        waiting = asyncio.create_task(watch.wait(A, 60))
        while len(looks.made) < 10:
            await ring(watch, A)
            await asyncio.sleep(0)
        looks.jobs[A] = END
        assert await waiting
        assert looks.most_at_once == 1
        apart = [b - a for a, b in zip(looks.began, looks.began[1:], strict=False)]
        assert min(apart) > 0.009

    asyncio.run(scenario())


def test_where_nobody_rings_it_looks_by_itself() -> None:
    async def scenario() -> None:
        looks = Looks()
        watch = looks.watch()
        waiting = asyncio.create_task(watch.wait(A, 60))
        await until(lambda: len(looks.made) > 2)
        looks.jobs[A] = END
        assert await waiting

    asyncio.run(scenario())


def test_who_waits_beyond_a_moment_is_woken_by_later_ones_alone(deaf: None) -> None:  # noqa: ARG001
    async def scenario() -> None:
        looks = Looks()
        watch = looks.watch()
        looks.jobs[A] = Moment(2, has_ended=False)
        assert await watch.wait(A, 60, beyond=Moment(1, has_ended=False))
        for held in (2, 3):  # where it is, and where it was before PostgreSQL forgot
            assert not await watch.wait(A, 0.001, beyond=Moment(held, has_ended=False))
        assert not await watch.wait(A, 0.001)
        looks.jobs[A] = END
        assert await watch.wait(A, 60, beyond=Moment(3, has_ended=False))
        del looks.jobs[A]
        assert await watch.wait(A, 60)

    asyncio.run(scenario())


def test_who_leaves_is_forgotten_and_nobody_is_looked_for_then() -> None:
    async def scenario() -> None:
        looks = Looks()
        watch = looks.watch()
        leaving = [asyncio.create_task(watch.wait(job_id, 60)) for job_id in (A, B)]
        assert not await watch.wait(A, 0.001)
        await until(lambda: bool(looks.made))
        for task in leaving:
            task.cancel()
        await asyncio.wait(leaving)
        assert not watch._waiting
        await until(lambda: watch._watching is not None and watch._watching.done())
        count = len(looks.made)
        looks.jobs[B] = END
        assert await watch.wait(B, 60)
        assert looks.made[count:] == [{B}]

    asyncio.run(scenario())


@pytest.mark.parametrize("fault", [Unavailable("postgresql"), ZeroDivisionError("bug")])
def test_a_look_that_fails_lets_everybody_wait_and_is_told_once_in_a_while(fault: Exception) -> None:
    async def scenario() -> list[Any]:
        looks = Looks()
        watch = looks.watch()
        looks.fault = fault
        with structlog.testing.capture_logs() as lines:
            waiting = asyncio.create_task(watch.wait(A, 60))
            await until(lambda: len(looks.made) > 3)
            assert not waiting.done()
            looks.fault, looks.jobs[A] = None, END
            assert await waiting
        return lines

    assert [line["event"] for line in asyncio.run(scenario())] == ["jobs_unwatched"]


def test_before_the_process_ends_everybody_is_let_go(deaf: None) -> None:  # noqa: ARG001
    async def scenario() -> None:
        looks = Looks()
        watch = looks.watch()
        looks.gate.clear()
        waiting = [asyncio.create_task(watch.wait(job_id, 3600)) for job_id in (A, A, B)]
        await until(lambda: bool(looks.made))
        watch.let_go()
        assert await asyncio.gather(*waiting) == [False] * 3
        assert not await watch.wait(A, 3600)
        await watch.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_the_steps_of_a_job_only_grow() -> None:
    life = [("queued", 0), ("running", 0), ("running", 1), ("running", 2), ("running", 3)]
    ends = [Moment.of(_row(status, 1)) for status in ("completed", "failed", "cancelled", "expired")]
    steps = [Moment.of(_row(*moment)).step for moment in life]
    assert len(set(ends)) == 1
    assert all(end.has_ended for end in ends)
    assert [*steps, ends[0].step] == sorted({*steps, ends[0].step})


def _row(status: str, parts_ended: int) -> Any:  # noqa: ANN401 - of the database
    return SimpleNamespace(status=status, parts_ended=parts_ended, parts_total=3)
