"""The price list."""

from datetime import date

import pytest

from common.tiers import OUT_OF_REACH, TIERS, TierName, name_of_rank, rank_for_date


def test_the_price_list() -> None:
    assert {name: (tier.series_a_day, tier.months) for name, tier in TIERS.items()} == {
        TierName.FREE: (50, 3),
        TierName.PRO: (500, 12),
        TierName.PREMIUM: (None, 36),
    }


def test_ranks_are_the_order() -> None:
    assert [tier.rank for tier in TIERS.values()] == list(range(len(TIERS)))
    assert [name_of_rank(rank) for rank in range(len(TIERS))] == list(TIERS)
    assert name_of_rank(OUT_OF_REACH) is None


@pytest.mark.parametrize(
    ("name", "as_of", "start"),
    [
        ("free", date(2025, 9, 30), date(2025, 6, 30)),
        ("pro", date(2025, 9, 30), date(2024, 9, 30)),
        ("premium", date(2025, 9, 30), date(2022, 9, 30)),
        ("free", date(2025, 5, 31), date(2025, 2, 28)),
        ("free", date(2024, 5, 31), date(2024, 2, 29)),
        ("free", date(2025, 1, 15), date(2024, 10, 15)),
        ("pro", date(2024, 2, 29), date(2023, 2, 28)),
    ],
)
def test_windows(name: str, as_of: date, start: date) -> None:
    assert TIERS[TierName(name)].window_start(as_of) == start


@pytest.mark.parametrize(
    ("day", "rank"),
    [
        (date(2025, 9, 30), 0),
        (date(2025, 6, 30), 0),
        (date(2025, 6, 29), 1),
        (date(2024, 9, 29), 2),
        (date(2022, 9, 29), OUT_OF_REACH),
    ],
)
def test_the_lowest_tier_that_reaches_a_day(day: date, rank: int) -> None:
    assert rank_for_date(day, date(2025, 9, 30)) == rank
