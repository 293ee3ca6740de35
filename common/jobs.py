"""What a job is: its request, its states, and which state may follow which."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from common.catalogue import find
from common.catalogue.spec import IndicatorSpec, ParamValue
from common.query import BARS, Interval, Warmup


class JobState(StrEnum):
    """The life of a job.

    queued ──> running ──> completed ──> expired
       │          ├──────> failed ─────> expired
       └──────────┴──────> cancelled ──> expired
    """

    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


ENDED = frozenset({JobState.COMPLETED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED})
LIVE = frozenset({JobState.QUEUED, JobState.RUNNING})


class PartState(StrEnum):
    """The life of a part of a job.

    waiting ──> queued <──> running ──> completed | failed
    Any of the first three may become cancelled. Only the assembly waits: for all other parts. A job of one part has
    none.
    A running part whose lease ran out is queued again, or failed after its last attempt.
    """

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class TableFormat(StrEnum):
    """Encodings of a job's table."""

    PARQUET = "parquet"
    CSV = "csv"
    JSON = "json"
    ARROW = "arrow"
    XLSX = "xlsx"

    @property
    def media_type(self) -> str:
        return {
            TableFormat.PARQUET: "application/vnd.apache.parquet",
            TableFormat.CSV: "text/csv",
            TableFormat.JSON: "application/json",
            TableFormat.ARROW: "application/vnd.apache.arrow.stream",
            TableFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }[self]

    @property
    def counts_rows(self) -> bool:
        """Whether a piece of the table says which rows of it it has."""
        return self is TableFormat.XLSX


XLSX_ROWS = 1_048_576
"""Of a sheet, its header among them."""

XLSX_COLUMNS = 16_384


@dataclass(frozen=True, slots=True)
class Series:
    """One indicator with one set of parameters; `label` names its columns."""

    label: str
    indicator: str
    params: tuple[tuple[str, ParamValue], ...]  # complete, in the spec's order

    @property
    def spec(self) -> IndicatorSpec:
        return find(self.indicator)

    @property
    def columns(self) -> list[str]:
        return self.spec.columns(self.label)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A batch, every default resolved: what is stored, and all a worker needs besides the symbols of its part.

    Without series it asks for the bars alone, which then count as one series of each symbol.
    """

    symbols: tuple[str, ...]  # sorted, distinct
    series: tuple[Series, ...]
    start_date: date
    end_date: date
    format: TableFormat
    interval: Interval = Interval.DAY
    warmup: Warmup = Warmup.FULL
    include_ohlcv: bool = False
    warnings: tuple[str, ...] = ()  # what the user should know, though it is no error

    @property
    def labels(self) -> tuple[str, ...]:
        """What is counted for each symbol, by the names that errors give it."""
        return tuple(series.label for series in self.series) or (BARS,)

    @property
    def cost(self) -> int:
        """Price in series: symbols × indicators × parameter sets."""
        return len(self.symbols) * len(self.labels)

    @property
    def columns(self) -> list[str]:
        """Columns of the table after `symbol, date`."""
        bars = ["open", "high", "low", "close", "volume"] if self.include_ohlcv else []
        return bars + [column for s in self.series for column in s.columns]

    @property
    def width(self) -> int:
        """How many columns the table has, symbol and date among them."""
        return 2 + len(self.columns)

    def to_json(self) -> dict[str, Any]:
        return {
            "symbols": list(self.symbols),
            "series": [{"label": s.label, "indicator": s.indicator, "params": dict(s.params)} for s in self.series],
            "start_date": self.start_date.isoformat(),
            "end_date": self.end_date.isoformat(),
            "interval": self.interval.value,
            "warmup": self.warmup.value,
            "include_ohlcv": self.include_ohlcv,
            "format": self.format.value,
            "warnings": list(self.warnings),
        }

    @classmethod
    def from_json(cls, raw: Mapping[str, Any]) -> "JobRequest":
        """The inverse of `to_json`. Parameters that an indicator has gained since have their defaults."""
        return cls(
            symbols=tuple(raw["symbols"]),
            series=tuple(
                Series(s["label"], s["indicator"], find(s["indicator"]).complete(s["params"])) for s in raw["series"]
            ),
            start_date=date.fromisoformat(raw["start_date"]),
            end_date=date.fromisoformat(raw["end_date"]),
            interval=Interval(raw["interval"]),
            warmup=Warmup(raw["warmup"]),
            include_ohlcv=raw["include_ohlcv"],
            format=TableFormat(raw["format"]),
            warnings=tuple(raw.get("warnings", ())),
        )


@dataclass(frozen=True, slots=True)
class SeriesError:
    """One series of one symbol that could not be computed; its cells in the table are null."""

    symbol: str
    indicator: str
    detail: str


def cut(symbols: Sequence[str], weights: Sequence[float], most: float) -> list[tuple[str, ...]]:
    """`symbols` in their order, cut into the fewest runs of about equal weight, none much over `most`.

    The cut depends on its arguments alone, so a job planned twice has the same parts.
    """
    total = sum(weights)
    runs = max(1, min(len(symbols), round(total / most)))
    parts: list[tuple[str, ...]] = []
    start, passed = 0, 0.0
    for i, weight in enumerate(weights):
        passed += weight
        # A run ends where its share of the whole does, the symbol on the border in the run that has more of it.
        if i + 1 < len(symbols) and passed + weights[i + 1] / 2 > total * (len(parts) + 1) / runs:
            parts.append(tuple(symbols[start : i + 1]))
            start = i + 1
    if start < len(symbols):
        parts.append(tuple(symbols[start:]))
    return parts
