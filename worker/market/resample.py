"""Weekly and monthly bars, made of daily ones.

A bar is labelled by its last trading day. Weeks end on Friday (a session on a weekend belongs to the week that
follows), months with the calendar's.
"""

import numpy as np
from numpy.typing import NDArray

from common.query import Interval
from worker.market.bars import Bars, Days


def resample(bars: Bars, interval: Interval) -> Bars:
    """The bars of `interval`; daily ones are returned as they are."""
    if interval is Interval.DAY:
        return bars
    ends = np.cumsum(bars.counts)
    period = _periods(bars.days, interval)
    last = np.flatnonzero(np.append(period[1:] != period[:-1], True))
    last = np.union1d(last, ends - 1)
    first = np.append(0, last[:-1] + 1)
    symbol = np.searchsorted(ends, last, side="right")
    columns = bars.columns
    return Bars(
        symbols=bars.symbols,
        counts=np.bincount(symbol, minlength=len(bars.symbols)),
        days=bars.days[last],
        columns={
            "open": columns["open"][first],
            "high": np.maximum.reduceat(columns["high"], first),
            "low": np.minimum.reduceat(columns["low"], first),
            "close": columns["close"][last],
            "volume": np.add.reduceat(columns["volume"], first),
        },
        synthetic=bars.synthetic,
    )


def _periods(days: Days, interval: Interval) -> NDArray[np.int64]:
    """A number for each day that is the same for all days of a week or month."""
    if interval is Interval.WEEK:
        return (days.astype(np.int64) + 5) // 7  # day 1 was a Friday
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)
