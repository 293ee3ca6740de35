"""The three tiers: what each may ask for, how often, and how far back."""

import calendar
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache


class TierName(StrEnum):
    FREE = "free"
    PRO = "pro"
    PREMIUM = "premium"


@dataclass(frozen=True, slots=True)
class Tier:
    """One row of the price list. `rank` orders tiers: a higher one includes every lower one."""

    name: TierName
    rank: int
    series_a_day: int | None  # None: unlimited
    months: int  # of data, ending at the data set's last date

    def window_start(self, as_of: date) -> date:
        """First day this tier may see of a data set that ends at `as_of`."""
        return _months_before(as_of, self.months)


@lru_cache(maxsize=64)
def _months_before(day: date, months: int) -> date:
    years, month0 = divmod(day.year * 12 + day.month - 1 - months, 12)
    last_day = calendar.monthrange(years, month0 + 1)[1]
    return date(years, month0 + 1, min(day.day, last_day))


TIERS: dict[TierName, Tier] = {
    tier.name: tier
    for tier in (
        Tier(TierName.FREE, rank=0, series_a_day=50, months=3),
        Tier(TierName.PRO, rank=1, series_a_day=500, months=12),
        Tier(TierName.PREMIUM, rank=2, series_a_day=None, months=36),
    )
}

OUT_OF_REACH = len(TIERS)
"""The rank of what no tier includes."""


def rank_for_date(day: date, as_of: date) -> int:
    """Rank of the lowest tier whose window reaches back to `day`; OUT_OF_REACH when none does."""
    return next((t.rank for t in TIERS.values() if day >= t.window_start(as_of)), OUT_OF_REACH)


def name_of_rank(rank: int) -> TierName | None:
    """The tier of that rank; None for what no tier includes."""
    return next((t.name for t in TIERS.values() if t.rank == rank), None)
