"""Token buckets by the textbook, in place of those in Redis, over a clock of the test's own."""

import asyncio
from collections.abc import Sequence

from api.token_buckets import Ask, Grant, Limit, Need


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Redis:
    """Stands for it: buckets by the textbook, which may be away."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.away = False
        self.trips: list[dict[str, int]] = []  # what each was granted
        self.gate: asyncio.Event | None = None
        self._held: dict[str, tuple[float, float]] = {}

    def held(self, key: str, limit: Limit) -> float:
        tokens, at = self._held.get(key, (limit.capacity, 0.0))
        return min(limit.capacity, tokens + (self.clock.now - at) * limit.rate)

    async def take(self, asks: Sequence[Ask], needs: Sequence[Need]) -> Sequence[Grant]:
        trip: dict[str, int] = {}
        self.trips.append(trip)
        if self.gate is not None:
            await self.gate.wait()
        if self.away:
            raise ConnectionError
        held = [int(self.held(ask.key, ask.limit) + 1e-6) for ask in asks]
        used = [0] * len(asks)
        for need in needs:
            for _ in range(need.requests):
                if all(asks[n].hand + held[n] > used[n] for n in need.places):
                    for n in need.places:
                        used[n] += 1
        grants = []
        for ask, most, spent in zip(asks, held, used, strict=True):
            granted = trip[ask.key] = max(0, min(most, spent - ask.hand + ask.ahead))
            left = self.held(ask.key, ask.limit) - granted
            self._held[ask.key] = (left, self.clock.now)
            grants.append(Grant(granted, (ask.limit.capacity - left) / ask.limit.rate))
        return grants
