"""Weekly and monthly bars against pandas."""

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.query import Interval
from tests.oracles.bars import REAL
from worker.market import sample
from worker.market.bars import FIELDS, Bars
from worker.market.publish import publish
from worker.market.resample import resample
from worker.market.store import Market

RULES = {Interval.WEEK: "W-FRI", Interval.MONTH: "ME"}
HOW = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum", "day": "last"}


def bars_of(frame: pd.DataFrame) -> Bars:
    names = sorted(frame["symbol"].unique())
    codes = frame["symbol"].map({name: i for i, name in enumerate(names)}).to_numpy(np.int64)
    columns = {name: frame[name].to_numpy(np.float64) for name in FIELDS}
    return Bars.from_rows(names, codes, frame["day"].to_numpy(np.int32), columns)


def real() -> pd.DataFrame:
    frame = pd.read_parquet(REAL)
    frame["day"] = pd.to_datetime(frame["date"]).to_numpy().astype("datetime64[D]").astype(np.int32)
    return frame


def made_up() -> pd.DataFrame:
    """Three symbols; one starts late, one pauses for a month, and one trades on some Saturdays."""
    bars = sample.generate(3, 1, date(2024, 6, 26))
    names = np.repeat(bars.symbols, bars.counts)
    frame = pd.DataFrame({"symbol": names, "day": bars.days, **bars.columns})
    frame = frame[(names != "SYN002") | (frame["day"] > bars.days[40])]
    frame = frame[(frame["symbol"] != "SYN003") | ~frame["day"].between(bars.days[100], bars.days[125])]
    saturdays = frame[(frame["symbol"] == "SYN001") & ((frame["day"] + 3) % 7 == 4)].iloc[::3].copy()
    saturdays["day"] += 1
    return pd.concat([frame, saturdays])


@pytest.mark.parametrize("interval", RULES)
@pytest.mark.parametrize(
    "make", [made_up, pytest.param(real, marks=pytest.mark.skipif(not REAL.exists(), reason="no real data beside it"))]
)
def test_as_pandas(make: type[pd.DataFrame], interval: Interval) -> None:
    frame = make()
    ours = resample(bars_of(frame), interval)
    frame = frame.sort_values(["symbol", "day"])
    frame.index = pd.to_datetime(frame["day"].to_numpy().astype("datetime64[D]"))
    expected = frame.groupby("symbol").resample(RULES[interval]).agg(HOW).dropna().reset_index()
    np.testing.assert_array_equal(np.repeat(ours.symbols, ours.counts), expected["symbol"])
    np.testing.assert_array_equal(ours.days, expected["day"])
    for field in FIELDS:
        np.testing.assert_array_equal(ours.columns[field], expected[field])


def test_published_beside_the_daily_ones(tmp_path: Path) -> None:
    bars = bars_of(made_up())
    publish(bars, tmp_path, {})
    market = Market.open(tmp_path)
    assert market.at(Interval.DAY) is market
    for interval in RULES:
        expected = resample(bars, interval)
        other = market.at(interval)
        for symbol, start, count in zip(expected.symbols, expected.starts, expected.counts, strict=True):
            place = other.place(symbol)
            np.testing.assert_array_equal(other.days(place), expected.days[start : start + count])
            panel = other.panel(place.block, "volume")
            np.testing.assert_array_equal(panel[:, place.column], expected.columns["volume"][start : start + count])


@pytest.mark.parametrize(
    ("interval", "label", "as_of", "final"),
    [
        (Interval.DAY, "2024-06-26", "2024-06-26", True),
        (Interval.WEEK, "2024-06-26", "2024-06-26", False),  # a Wednesday
        (Interval.WEEK, "2024-06-27", "2024-06-27", False),
        (Interval.WEEK, "2024-06-28", "2024-06-28", True),
        (Interval.WEEK, "2024-06-27", "2024-06-28", True),  # this symbol did not trade on Friday, others did
        (Interval.WEEK, "2024-06-29", "2024-07-01", False),  # a Saturday belongs to the next week
        (Interval.MONTH, "2024-06-27", "2024-06-27", False),
        (Interval.MONTH, "2024-06-28", "2024-06-28", True),  # the month ends on a Sunday
        (Interval.MONTH, "2024-07-30", "2024-07-30", False),
        (Interval.MONTH, "2024-07-31", "2024-07-31", True),
        (Interval.MONTH, "2024-08-30", "2024-08-30", True),  # ... on a Saturday
        (Interval.MONTH, "2024-06-12", "2024-08-01", True),
    ],
)
def test_a_bar_is_final_when_its_period_is_over(interval: Interval, label: str, as_of: str, final: bool) -> None:
    assert interval.is_over(date.fromisoformat(label), date.fromisoformat(as_of)) is final
