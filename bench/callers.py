"""Three hundred users of mixed tiers, and what each of them asks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

import psycopg2
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - psycopg2 writes it small

from bench.load import Ask, Headers
from bench.stack import Stack, register, sign_in
from common.tiers import TIERS, Tier, TierName

OF_EACH_TIER = 100
REQUESTS_A_DAY = min(tier.series_a_day for tier in TIERS.values() if tier.series_a_day is not None)
"""More than so many of a user's may not lie between two calls of `start_day`."""


@dataclass(frozen=True, slots=True)
class Callers:
    """Signed in; free, pro, premium, and again."""

    stack: Stack
    tiers: Sequence[Tier]
    headers: Sequence[Headers]

    def of_tier(self, name: TierName) -> Sequence[Headers]:
        return [headers for tier, headers in zip(self.tiers, self.headers, strict=True) if tier.name == name]

    def year_of_sma(self, period: int) -> Sequence[Ask]:
        """Each asks for one year of another symbol, or for what the tier allows."""
        last = date.fromisoformat(self.stack.as_of)
        year = TIERS[TierName.PRO].window_start(last)
        return [
            (sma(self.stack.symbols[place], period, max(year, tier.window_start(last)), last), place)
            for place, tier in enumerate(self.tiers)
        ]

    def start_day(self) -> None:
        """Nobody has asked anything today."""
        with _database(self.stack) as cursor:
            cursor.execute("UPDATE users SET requests_today = 0 WHERE requests_today > 0")


def sma(symbol: str, period: int, first: date, last: date) -> str:
    words = {"symbol": symbol, "period": period, "start_date": first, "end_date": last}
    return f"/v1/indicators/sma/values?{urlencode(words)}"


def signed_in(stack: Stack) -> Callers:
    """Registers users over HTTP, gives them their tiers in PostgreSQL, and signs them in over HTTP."""
    tiers = [*TIERS.values()] * OF_EACH_TIER
    names = [f"bench-{number}" for number in range(len(tiers))]
    register(stack.url, names)
    with _database(stack) as cursor:
        for name, tier in zip(names, tiers, strict=True):
            cursor.execute("UPDATE users SET tier = %s WHERE username = %s", (tier.name.value, name))
    return Callers(stack, tiers, sign_in(stack.url, names))


@contextmanager
def _database(stack: Stack) -> Iterator[Cursor]:
    """One transaction."""
    connection = psycopg2.connect(stack.up["database_url"])
    try:
        with connection, connection.cursor() as cursor:
            yield cursor
    finally:
        connection.close()
