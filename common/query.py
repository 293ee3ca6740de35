"""A question for one indicator of one symbol, in its one canonical form."""

import calendar
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from common.catalogue import find
from common.catalogue.spec import IndicatorSpec, ParamValue, shown_value
from common.version import ENGINE_VERSION

BARS = "ohlcv"
"""Stands in a query's place of the indicator when the bars themselves are asked for; no indicator has this name."""

_FRIDAY = 4
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Interval(StrEnum):
    """Length of a bar. Weeks and months are made of the days that trade in them."""

    DAY = "1d"
    WEEK = "1w"
    MONTH = "1mo"

    @property
    def days(self) -> int:
        """Trading days of a bar, about."""
        return {Interval.DAY: 1, Interval.WEEK: 5, Interval.MONTH: 21}[self]

    def is_over(self, label: date, as_of: date) -> bool:
        """Whether the bar that so far ends on `label` can get no more days in data that ends at `as_of`.

        Weeks end on Friday, months with their last weekday.
        """
        if self is Interval.DAY:
            return True
        if self is Interval.WEEK:
            return as_of >= label + timedelta(days=(_FRIDAY - label.weekday()) % 7)
        end = label.replace(day=calendar.monthrange(label.year, label.month)[1])
        return as_of >= end - timedelta(days=max(0, end.weekday() - _FRIDAY))


class Warmup(StrEnum):
    """Which rows an indicator sees: the symbol's whole history before the cut, or the cut rows alone."""

    FULL = "full"
    NONE = "none"


class Form(StrEnum):
    """Encodings of a single answer."""

    JSON = "json"
    CSV = "csv"
    ARROW = "arrow"
    PARQUET = "parquet"

    @property
    def media_type(self) -> str:
        return {
            Form.JSON: "application/json",
            Form.CSV: "text/csv",
            Form.ARROW: "application/vnd.apache.arrow.stream",
            Form.PARQUET: "application/vnd.apache.parquet",
        }[self]


def read_date(raw: object) -> date:
    """`raw` as a calendar date. Raises ValueError that names the value and what would be right."""
    if isinstance(raw, str) and _DATE.fullmatch(raw):
        try:
            return date.fromisoformat(raw)
        except ValueError:
            raise ValueError(f"{raw!r} is not a day of the calendar") from None
    raise ValueError(f"{str(raw)[:40]!r} is not a date; write YYYY-MM-DD")


@dataclass(frozen=True, slots=True)
class IndicatorQuery:
    """What to compute and how to encode it. Equal questions are equal values and share one cache key.

    `indicator` is BARS, without parameters, where the bars themselves are asked for.
    """

    symbol: str
    indicator: str
    params: tuple[tuple[str, ParamValue], ...]  # complete, in the spec's order
    start_date: date
    end_date: date
    interval: Interval = Interval.DAY
    warmup: Warmup = Warmup.FULL
    include_ohlcv: bool = False
    form: Form = Form.JSON

    @property
    def spec(self) -> IndicatorSpec:
        """Raises NotFound of bars, which are no indicator."""
        return find(self.indicator)

    @property
    def parameters(self) -> str:
        """Everything the answer depends on beyond symbol, dates and indicator, as the last part of the key."""
        pairs = [f"{name}={shown_value(value)}" for name, value in self.params]
        pairs += [f"interval={self.interval}", f"warmup={self.warmup}", f"form={self.form}"]
        if self.include_ohlcv:
            pairs.append("ohlcv")
        return ",".join(pairs)

    def cache_key(self, data_version: str) -> str:
        """`{symbol}:{start_date}:{end_date}:{indicator}:{parameters}` behind both versions.

        A colon inside a symbol is escaped, so no two questions can share a key. The prefix counts the layouts of what
        lies there (`common.answer`): an older process never meets an entry that it cannot read.
        """
        return (
            f"values2:{data_version}:{ENGINE_VERSION}:{quote(self.symbol, safe='&')}:{self.start_date}:{self.end_date}"
            f":{self.indicator}:{self.parameters}"
        )

    def to_message(self) -> dict[str, Any]:
        """As plain JSON values, for the broker."""
        return {
            "symbol": self.symbol,
            "indicator": self.indicator,
            "params": dict(self.params),
            "start_date": self.start_date.isoformat(),
            "end_date": self.end_date.isoformat(),
            "interval": self.interval.value,
            "warmup": self.warmup.value,
            "include_ohlcv": self.include_ohlcv,
            "form": self.form.value,
        }

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> "IndicatorQuery":
        """The inverse of `to_message`. Parameters that the indicator has gained since have their defaults."""
        indicator = message["indicator"]
        return cls(
            symbol=message["symbol"],
            indicator=indicator,
            params=() if indicator == BARS else find(indicator).complete(message["params"]),
            start_date=date.fromisoformat(message["start_date"]),
            end_date=date.fromisoformat(message["end_date"]),
            interval=Interval(message["interval"]),
            warmup=Warmup(message["warmup"]),
            include_ohlcv=message["include_ohlcv"],
            form=Form(message["form"]),
        )
