"""The synthetic sample: seeded, plausible, marked."""

from datetime import date

import numpy as np
import pytest

from worker.market.datafile import SYNTHETIC, to_table
from worker.market.sample import generate, trading_days

END = date(2024, 6, 30)  # a Sunday


def test_same_arguments_same_bars() -> None:
    assert generate(20, 1, END, 7).version() == generate(20, 1, END, 7).version()
    assert generate(20, 1, END, 7).version() != generate(20, 1, END, 8).version()


def test_bars_are_possible() -> None:
    bars = generate(50, 3, END)
    o, h, l, c, v = (bars.columns[name] for name in ("open", "high", "low", "close", "volume"))  # noqa: E741
    assert (h >= np.maximum(o, c)).all()
    assert (l <= np.minimum(o, c)).all()
    assert (l > 0).all()
    assert (v > 0).all()
    assert (np.rint(v) == v).all()
    for prices in (o, h, l, c):
        np.testing.assert_array_equal(prices, np.round(prices, 2))
    assert 0 < np.abs(np.diff(np.log(c[: bars.counts[0]]))).max() < 0.3
    assert bars.symbols[0] == "SYN001"
    assert to_table(bars).schema.metadata[SYNTHETIC] == b"true"


@pytest.mark.parametrize(
    ("end", "first", "last"),
    [
        (END, date(2023, 6, 28), date(2024, 6, 28)),
        (date(2024, 2, 29), date(2023, 2, 28), date(2024, 2, 29)),
    ],
)
def test_calendar(end: date, first: date, last: date) -> None:
    days = trading_days(end, 1)
    assert (days[0].item(), days[-1].item()) == (first, last)
    assert np.is_busday(days).all()
