"""Token buckets: those in Redis, which all processes share, and what one process holds and knows of each.

Tokens are taken out of the shared ones by one script, for any number of buckets and requests at once. A process
that cannot reach them does the same arithmetic on what it knows.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from math import inf
from typing import cast

import redis.asyncio

LEASE_SECONDS = 1.0
"""So long tokens that a process has taken are good."""

_LEASES_A_SECOND = 20

_FORGIVEN = 1e-6
"""Of a token: what adds up in floating point."""

# A bucket is the time at which it will be full again, in microseconds, rounded up; none is a full one. Of a user
# whose tier has changed it says the same fraction. A clock that was set back makes nobody wait longer than for an
# empty bucket. Requests are served in turn, with a token of each of their buckets or with none.
_TAKE = f"""
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full_at, held, used = {{}}, {{}}, {{}}
for i, key in ipairs(KEYS) do
  local rate, capacity = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2])
  full_at[i] = math.max(now, tonumber(redis.call('GET', key) or now))
  full_at[i] = math.min(full_at[i], now + math.ceil(capacity / rate * 1000000))
  held[i] = math.max(0, math.floor(capacity - (full_at[i] - now) * rate / 1000000 + {_FORGIVEN}))
  used[i] = 0
end
for a = 4 * #KEYS + 1, #ARGV, 3 do
  local served = tonumber(ARGV[a])
  for b = a + 1, a + 2 do
    local i = tonumber(ARGV[b])
    if i > 0 then served = math.min(served, ARGV[4 * i - 1] + held[i] - used[i]) end
  end
  for b = a + 1, a + 2 do
    local i = tonumber(ARGV[b])
    if i > 0 then used[i] = used[i] + served end
  end
end
local replies = {{}}
for i, key in ipairs(KEYS) do
  local granted = math.max(0, math.min(held[i], used[i] + ARGV[4 * i] - ARGV[4 * i - 1]))
  if granted > 0 then
    full_at[i] = math.ceil(full_at[i] + granted / ARGV[4 * i - 3] * 1000000)
    redis.call('SET', key, string.format('%.0f', full_at[i]), 'PX', math.ceil((full_at[i] - now) / 1000))
  end
  replies[2 * i - 1] = granted
  replies[2 * i] = full_at[i] - now
end
return replies
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """The size of a bucket: it holds `capacity` tokens and gains `rate` a second."""

    rate: float
    capacity: float

    @property
    def ahead(self) -> int:
        """Tokens a lease may hold beyond what is asked for at that moment."""
        return int(min(self.rate / _LEASES_A_SECOND, self.capacity))


@dataclass(frozen=True, slots=True)
class Ask:
    """For tokens of the bucket under `key`: what requests need beyond the `hand`, and some `ahead`."""

    key: str
    limit: Limit
    hand: int
    ahead: int


@dataclass(frozen=True, slots=True)
class Need:
    """So many requests that need a token of each of these asks, by their place: of one, or of two."""

    requests: int
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Grant:
    """What came of an `Ask`, and in how many seconds the bucket would be full again."""

    tokens: int
    full_in: float


Take = Callable[[Sequence[Ask], Sequence[Need]], Awaitable[Sequence[Grant]]]


def shared_buckets(client: redis.asyncio.Redis) -> Take:
    """The buckets in Redis: one trip for any number of them. Raises RedisError, OSError."""
    script = client.register_script(_TAKE)

    async def take(asks: Sequence[Ask], needs: Sequence[Need]) -> Sequence[Grant]:
        words: list[float] = []
        for ask in asks:
            words += (ask.limit.rate, ask.limit.capacity, ask.hand, ask.ahead)
        for need in needs:
            first, second = (*need.places, -1)[:2]
            words += (need.requests, first + 1, second + 1)
        replies = cast(Sequence[int], await script([ask.key for ask in asks], words))
        return [Grant(tokens, full_in / 1e6) for tokens, full_in in zip(replies[::2], replies[1::2], strict=True)]

    return take


class Bucket:
    """What this process holds and knows of one bucket; times are those of its own clock."""

    __slots__ = ("base", "blocked_until", "full_at", "key", "limit", "tokens", "until")

    def __init__(self, key: str, limit: Limit, full_at: float) -> None:
        self.key = key
        self.limit = limit
        self.tokens = 0
        """Leased and not spent, good before `until`."""
        self.until = -inf
        self.base = 0
        """As `tokens` when the lease was taken, with those that were waited for."""
        self.full_at = full_at
        """When the bucket will be full again, as far as this process knows."""
        self.blocked_until = -inf

    def is_idle(self, now: float) -> bool:
        """Whether forgetting it forgets nothing."""
        return now >= self.until and now >= self.full_at and now >= self.blocked_until

    def give_back(self) -> None:
        """Of a token that nobody took after all."""
        self.tokens += 1
        self.blocked_until = -inf

    def take_out(self, count: int, now: float) -> int:
        """Takes up to so many of the leased tokens out of everybody's reach."""
        if now >= self.until:
            self.tokens = self.base = 0
        taken = min(self.tokens, count)
        self.tokens -= taken
        return taken

    def held(self, now: float) -> int:
        """Tokens that are still in it, as far as this process knows."""
        return int(self.limit.capacity - max(0.0, self.full_at - now) * self.limit.rate + _FORGIVEN)

    def take_alone(self, now: float) -> None:
        """Takes a token as the bucket in Redis would give it."""
        if self.held(now):
            self.full_at = max(self.full_at, now) + 1 / self.limit.rate
            self.tokens = self.base = 1
            self.until = now + LEASE_SECONDS

    def block(self, now: float) -> float:
        """Notes that it is empty; returns in how many seconds it will be worth asking: for a lease, not a token."""
        worth = max(1, self.limit.ahead)
        seconds = max(0.0, self.full_at - now - (self.limit.capacity - worth) / self.limit.rate)
        self.blocked_until = now + seconds
        return seconds
