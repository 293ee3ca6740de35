"""The burst limit: a token of the user's bucket and one of the address's for each request, spent from memory.

A process takes tokens a handful at a time (a lease) and hands them out without a trip, so that what all processes
hand out together never exceeds what the bucket held. A lease is as large as what was lately spent, up to a
twentieth of a second's worth, and ends after a second: who rarely asks costs the bucket one token a request.
While Redis is away every process keeps buckets of its own, of the same size.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address
from math import ceil, inf
from time import monotonic

import structlog
from starlette.types import Scope

from api.microbatch import MicroBatcher
from api.token_buckets import LEASE_SECONDS, Ask, Bucket, Grant, Limit, Need, Take
from common.errors import TooManyRequests, Unavailable
from common.redis import REDIS_AWAY, address_burst_key, user_burst_key
from common.settings import Settings
from common.tiers import TIERS, TierName

log = structlog.get_logger()

_PATIENCE = 0.25
"""Seconds a request waits for Redis."""

_ALONE_SECONDS = 1.0
"""So long Redis is left alone when it was away."""

_RENEWAL_PERIOD = 0.25
_MOST_RENEWED = 500

_MOST_BUCKETS = 20_000


@dataclass(frozen=True, slots=True)
class Limits:
    """None is no bound. `of_rank` has one for each tier, by its rank."""

    of_rank: tuple[Limit | None, ...]
    of_address: Limit | None

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        def limit(rate: float) -> Limit | None:
            return Limit(rate, max(1.0, rate * settings.burst_seconds)) if rate else None

        rates = {
            TierName.FREE: settings.free_per_second,
            TierName.PRO: settings.pro_per_second,
            TierName.PREMIUM: settings.premium_per_second,
        }
        ranked = sorted(TIERS.values(), key=lambda tier: tier.rank)
        return cls(tuple(limit(rates[tier.name]) for tier in ranked), limit(settings.address_per_second))


def address_of(scope: Scope) -> str:
    """Who is counted as one address: of IPv6 a /64, which is what one customer has.

    It is the peer's own, or what a proxy says that the server trusts (FORWARDED_ALLOW_IPS of uvicorn).
    """
    client = scope.get("client")
    address: str = client[0] if client else ""  # none on a Unix socket
    if ":" not in address and len(address) <= len("255.255.255.255"):
        return address
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((int(parsed), 64), strict=False))


Payer = tuple[Bucket, ...]
"""The buckets a request needs a token of, each."""


class Bursts:
    """Spends the tokens of requests: with `spend_now` if it can, else with `spend`. Addresses are `address_of`'s."""

    def __init__(
        self,
        take: Take,
        limits: Limits,
        clock: Callable[[], float] = monotonic,
        patience: float = _PATIENCE,
    ) -> None:
        self._take = take
        self._of_rank = limits.of_rank
        self._of_address = limits.of_address
        self._clock = clock
        self._patience = patience
        self._buckets: dict[int | str, Bucket] = {}  # by user id, by address
        self._leased: set[Bucket] = set()
        self._renew_at = -inf
        self._alone = False
        self._ask_at = -inf
        """While alone: when Redis is asked again."""
        self._trips: MicroBatcher[Payer, None] = MicroBatcher("redis", self._trip, abandoned=_give_back)

    def spend_now(self, user_id: int, rank: int, address: str) -> bool:
        """Whether the tokens were at hand, in which case they are spent."""
        now = self._clock()
        user = address_bucket = None
        limit = self._of_rank[rank]
        if limit is not None:
            user = self._buckets.get(user_id)
            if user is None or user.tokens == 0 or now >= user.until or user.limit is not limit:
                return False
        if self._of_address is not None:
            address_bucket = self._buckets.get(address)
            if address_bucket is None or address_bucket.tokens == 0 or now >= address_bucket.until:
                return False
            address_bucket.tokens -= 1
        if user is not None:
            user.tokens -= 1
        return True

    def blocked_for(self, user_id: int, address: str) -> float:
        """Seconds until it is worth asking again, 0.0 when it may be at once."""
        user, address_bucket = self._buckets.get(user_id), self._buckets.get(address)
        until = -inf if user is None else user.blocked_until
        if address_bucket is not None and address_bucket.blocked_until > until:
            until = address_bucket.blocked_until
        return 0.0 if until == -inf else max(0.0, until - self._clock())

    async def spend(self, user_id: int, rank: int, address: str) -> None:
        """A token of the user's and one of the address's. Raises TooManyRequests, and then spends neither."""
        limit = self._of_rank[rank]
        payer: Payer = ()
        if limit is not None:
            payer = (self._bucket(user_id, user_burst_key(user_id), limit),)
        if self._of_address is not None:
            payer = (*payer, self._bucket(address, address_burst_key(address), self._of_address))
        await self._spend(payer)

    async def spend_address(self, address: str) -> None:
        """A token of the address's, where there is no user. Raises TooManyRequests."""
        if self._of_address is not None:
            await self._spend((self._bucket(address, address_burst_key(address), self._of_address),))

    async def _spend(self, payer: Payer) -> None:
        now = self._clock()
        if _pay(payer, now):
            return
        blocked = max(bucket.blocked_until for bucket in payer) - now
        if blocked > 0:
            raise TooManyRequests(_whole(blocked))
        if now >= self._ask_at:
            if self._alone:
                self._ask_at = now + self._patience  # one request asks; who comes meanwhile does not wait for it
            try:
                await self._trips.submit(payer, self._patience)
            except Unavailable:
                self._go_alone()
            else:
                return
        self._spend_alone(payer)

    def _bucket(self, holder: int | str, key: str, limit: Limit) -> Bucket:
        bucket = self._buckets.get(holder)
        if bucket is not None and bucket.limit is limit:
            return bucket
        if bucket is None and len(self._buckets) >= _MOST_BUCKETS:
            self._make_room()
        full_at = -inf
        if bucket is not None:  # the tier has changed: nothing leased under the old limit may be spent
            self._leased.discard(bucket)
            full_at = bucket.full_at
        made = self._buckets[holder] = Bucket(key, limit, full_at)
        return made

    def _make_room(self) -> None:
        """Forgets buckets, a tenth at least: those that are idle, else the oldest."""
        now = self._clock()
        self._buckets = {holder: bucket for holder, bucket in self._buckets.items() if not bucket.is_idle(now)}
        for holder in list(self._buckets)[: max(0, len(self._buckets) - _MOST_BUCKETS * 9 // 10)]:
            del self._buckets[holder]
        self._leased.intersection_update(self._buckets.values())

    async def _trip(self, payers: Sequence[Payer]) -> Sequence[TooManyRequests | None]:
        """Lets each pay, in order, with what is leased and what Redis grants. Raises Unavailable."""
        now = self._clock()
        needed = Counter(bucket for payer in payers for bucket in payer)
        # What is at hand is out of the others' reach during the trip, so that it is still there after it.
        hands = {bucket: bucket.take_out(count, now) for bucket, count in needed.items()}
        asks = {b: Ask(b.key, b.limit, hands[b], _ahead(b, n)) for b, n in needed.items() if n > hands[b]}
        if asks:
            place = {bucket: number for number, bucket in enumerate(asks)}
            lacking = Counter(tuple(place[b] for b in payer if b in place) for payer in payers)
            needs = [Need(count, places) for places, count in lacking.items() if places]
            asks |= {b: Ask(b.key, b.limit, 0, wanted) for b, wanted in self._due(now).items() if b not in needed}
            try:
                grants = await self._ask(list(asks.values()), needs)
            except Unavailable:
                for bucket, count in hands.items():
                    bucket.tokens += count
                raise
            now = self._clock()
            for bucket, grant in zip(asks, grants, strict=True):
                bucket.full_at = now + grant.full_in
                if grant.tokens:
                    hands[bucket] = hands.get(bucket, 0) + grant.tokens
                    bucket.base = bucket.tokens + hands[bucket]
                    bucket.until = now + LEASE_SECONDS
                    self._leased.add(bucket)
        outcomes = [_pay_by_hand(payer, hands, now) for payer in payers]
        for bucket, count in hands.items():
            bucket.tokens += count
        return outcomes

    async def _ask(self, asks: Sequence[Ask], needs: Sequence[Need]) -> Sequence[Grant]:
        try:
            async with asyncio.timeout(self._patience):
                grants = await self._take(asks, needs)
        except REDIS_AWAY as error:  # TimeoutError is an OSError
            raise Unavailable("redis") from error
        if self._alone:
            self._alone, self._ask_at = False, -inf
            log.info("burst_limit_shared_again")
        return grants

    def _due(self, now: float) -> dict[Bucket, int]:
        """Leases that are in use and will run out or end before long: renewed when there is a trip anyway."""
        if now < self._renew_at:
            return {}
        self._renew_at = now + _RENEWAL_PERIOD
        self._leased = {bucket for bucket in self._leased if now < bucket.until}
        due = {}
        for bucket in self._leased:
            spent = bucket.base - bucket.tokens
            age = max(_RENEWAL_PERIOD, now - bucket.until + LEASE_SECONDS)
            expected = spent / age * LEASE_SECONDS  # in the life of a lease, if it goes on like that
            if spent > 1 and bucket.limit.ahead and (age > LEASE_SECONDS / 2 or bucket.tokens < expected / 2):
                due[bucket] = max(1, min(bucket.limit.ahead, ceil(expected)) - bucket.tokens)
                if len(due) == _MOST_RENEWED:
                    break
        return due

    def _go_alone(self) -> None:
        if not self._alone:
            self._alone = True
            log.warning("burst_limit_alone")
        self._ask_at = self._clock() + _ALONE_SECONDS

    def _spend_alone(self, payer: Payer) -> None:
        now = self._clock()
        for bucket in payer:
            if bucket.tokens == 0 or now >= bucket.until:
                bucket.tokens = 0
                bucket.take_alone(now)
        if not _pay(payer, now):
            raise _refusal([bucket for bucket in payer if bucket.tokens == 0], now)


def _pay(payer: Payer, now: float) -> bool:
    """Spends a token of each, if each has one."""
    for bucket in payer:
        if bucket.tokens == 0 or now >= bucket.until:
            return False
    for bucket in payer:
        bucket.tokens -= 1
    return True


def _pay_by_hand(payer: Payer, hands: dict[Bucket, int], now: float) -> TooManyRequests | None:
    """As `_pay`, with the tokens that a trip holds."""
    if not all(hands[bucket] for bucket in payer):
        return _refusal([bucket for bucket in payer if not hands[bucket]], now)
    for bucket in payer:
        hands[bucket] -= 1
    return None


def _refusal(lacking: Collection[Bucket], now: float) -> TooManyRequests:
    """Of one bucket nothing may have been taken only because the other is empty: that one is not to blame."""
    return TooManyRequests(_whole(max((b.block(now) for b in lacking if not b.held(now)), default=0.0)))


def _whole(seconds: float) -> int:
    return max(1, ceil(seconds))


def _ahead(bucket: Bucket, waiting: int) -> int:
    """How many tokens to lease beyond those that are waited for: as if what was spent lately went on, and grew."""
    spent = bucket.base - bucket.tokens
    return min(bucket.limit.ahead, 2 * spent + waiting - 1)


def _give_back(payer: Payer, _result: None) -> None:
    for bucket in payer:
        bucket.give_back()
