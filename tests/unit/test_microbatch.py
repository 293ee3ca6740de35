"""The batcher: who shares a trip, who hears of a failure, who is forgotten."""

import asyncio
from collections.abc import Sequence

import pytest

from api.microbatch import MicroBatcher
from common.errors import Unavailable


class Trips:
    """Records the trips and holds each until it is let go."""

    def __init__(self) -> None:
        self.made: list[list[int]] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()

    async def __call__(self, items: Sequence[int]) -> Sequence[int | Exception]:
        self.made.append(list(items))
        self.begun.set()
        await self.gate.wait()
        return [ValueError(f"bad {item}") if item < 0 else item * 10 for item in items]


async def _waiting(count: int, batcher: MicroBatcher[int, int]) -> None:
    while len(batcher._waiting) < count:  # noqa: ASYNC110 - the batcher tells nobody who waits
        await asyncio.sleep(0)


def test_callers_of_the_same_moment_share_a_trip_and_later_ones_the_next() -> None:
    async def scenario() -> None:
        trips = Trips()
        batcher = MicroBatcher("parts", trips)
        first = [asyncio.create_task(batcher.submit(n, 5)) for n in (1, 2, 3)]
        await trips.begun.wait()
        later = [asyncio.create_task(batcher.submit(n, 5)) for n in (4, 5)]
        await _waiting(2, batcher)
        trips.gate.set()
        assert await asyncio.gather(*first, *later) == [10, 20, 30, 40, 50]
        assert trips.made == [[1, 2, 3], [4, 5]]

    asyncio.run(scenario())


def test_one_bad_item_harms_no_other() -> None:
    async def scenario() -> None:
        trips = Trips()
        trips.gate.set()
        batcher = MicroBatcher("parts", trips)
        outcome = await asyncio.gather(*(batcher.submit(n, 5) for n in (1, -2, 3)), return_exceptions=True)
        assert outcome[0] == 10
        assert isinstance(outcome[1], ValueError)
        assert outcome[2] == 30

    asyncio.run(scenario())


def test_a_failed_trip_is_everybodys_failure_and_the_next_one_is_made_all_the_same() -> None:
    async def scenario() -> None:
        fails = True

        async def trip(items: Sequence[int]) -> Sequence[int]:
            if fails:
                raise Unavailable("redis")
            return items

        batcher: MicroBatcher[int, int] = MicroBatcher("redis", trip)
        outcome = await asyncio.gather(*(batcher.submit(n, 5) for n in (1, 2)), return_exceptions=True)
        assert [type(o) for o in outcome] == [Unavailable, Unavailable]
        fails = False
        assert await batcher.submit(3, 5) == 3

    asyncio.run(scenario())


def test_who_runs_out_of_patience_is_told_and_the_result_is_not_lost() -> None:
    async def scenario() -> None:
        trips = Trips()
        left: list[tuple[int, int]] = []
        batcher = MicroBatcher("parts", trips, abandoned=lambda item, result: left.append((item, result)))
        with pytest.raises(Unavailable):
            await batcher.submit(7, 0.01)
        trips.gate.set()
        assert await batcher.submit(8, 5) == 80
        assert left == [(7, 70)]

    asyncio.run(scenario())


def test_a_caller_that_left_before_its_trip_is_not_taken_along() -> None:
    async def scenario() -> None:
        trips = Trips()
        batcher = MicroBatcher("parts", trips)
        first = asyncio.create_task(batcher.submit(1, 5))
        await trips.begun.wait()
        second = asyncio.create_task(batcher.submit(2, 5))
        third = asyncio.create_task(batcher.submit(3, 5))
        await _waiting(2, batcher)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        trips.gate.set()
        assert await asyncio.gather(first, third) == [10, 30]
        assert trips.made == [[1], [3]]

    asyncio.run(scenario())


def test_too_many_waiting_are_refused_at_once() -> None:
    async def scenario() -> None:
        trips = Trips()
        batcher = MicroBatcher("parts", trips, waiting=2)
        first = asyncio.create_task(batcher.submit(0, 5))
        await trips.begun.wait()
        others = [asyncio.create_task(batcher.submit(n, 5)) for n in (1, 2)]
        await _waiting(2, batcher)
        with pytest.raises(Unavailable, match="parts"):
            await batcher.submit(3, 5)
        trips.gate.set()
        await asyncio.gather(first, *others)

    asyncio.run(scenario())
