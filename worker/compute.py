"""Questions become numbers: queries become series, a part of a job becomes a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import cast

import numpy as np
import pyarrow as pa
import structlog
from celery.exceptions import SoftTimeLimitExceeded
from numpy.typing import NDArray

from common.catalogue import chain, find
from common.errors import DataError, KalpiError
from common.jobs import JobRequest, SeriesError
from common.query import BARS, IndicatorQuery, Interval, Warmup
from worker.kernels.panels import empty_panel
from worker.market.bars import FIELDS, Floats
from worker.market.layout import Block
from worker.market.store import Market, Place
from worker.sources import Sources

log = structlog.get_logger()

_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class ValuesFrame:
    """The answer to one query: every array has shape (rows,) and NaN where there is no value.

    `dates` is datetime64[D], ascending; `outputs` are in the order of the spec; `ohlcv` is there when asked for.
    `history` is the number of rows the indicator was computed over. `last_bar_final` is false when the last bar is of a
    week or month that goes on after the data ends.
    """

    query: IndicatorQuery
    data_version: str
    lookback: int
    dates: NDArray[np.datetime64]
    outputs: Mapping[str, Floats]
    history: int
    ohlcv: Mapping[str, Floats] | None = None
    last_bar_final: bool = True


@dataclass(frozen=True, slots=True)
class BarsFrame:
    """The answer to a query for the bars themselves; arrays as in `ValuesFrame`."""

    query: IndicatorQuery
    data_version: str
    dates: NDArray[np.datetime64]
    ohlcv: Mapping[str, Floats]


Frame = ValuesFrame | BarsFrame


@dataclass(frozen=True, slots=True)
class _Window:
    """Rows [start, stop) of a symbol's calendar."""

    start: int
    stop: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class _Span:
    """What symbols of one calendar have in common in the window of a query."""

    window: _Window
    dates: NDArray[np.datetime64]
    last_bar_final: bool


def compute_values(market: Market, queries: Sequence[IndicatorQuery]) -> list[Frame | KalpiError]:
    """Answer each query, in order; what is wrong with one is its answer and harms no other.

    Queries for the same indicator, parameters and rows of a block are one panel.
    """
    answers: list[Frame | KalpiError | None] = [None] * len(queries)
    groups: dict[object, list[_Member]] = {}
    spans: dict[object, _Span] = {}
    for i, query in enumerate(queries):
        bars = market.at(query.interval)
        try:
            place = bars.place(query.symbol)
            if query.indicator != BARS:
                find(query.indicator)
        except KalpiError as error:
            answers[i] = error
            continue
        block = place.block
        calendar = (query.interval, block.rows, block.calendars[place.column], query.start_date, query.end_date)
        span = spans.get(calendar)
        if span is None:
            span = spans[calendar] = _span(bars, place, query)
        if query.indicator == BARS:
            answers[i] = BarsFrame(query, bars.data_version, span.dates, _ohlcv(bars, place, span.window))
            continue
        seen = _rows_seen(query.warmup, block, span.window)
        key = (query.indicator, query.params, query.interval, block.number, seen.start, seen.stop)
        groups.setdefault(key, []).append(_Member(i, query, bars, place, span))
    for members in groups.values():
        try:
            frames = _answer(members)
        except SoftTimeLimitExceeded:
            raise
        except Exception:  # noqa: BLE001 - whatever a kernel raises concerns those alone whose query raises it
            frames = [_answer_alone(member) for member in members]
        for member, frame in zip(members, frames, strict=True):
            answers[member.number] = frame
    return cast("list[Frame | KalpiError]", answers)


@dataclass(frozen=True, slots=True)
class _Member:
    """A query among those that are computed together, and where its symbol lies in the bars of its interval."""

    number: int
    query: IndicatorQuery
    bars: Market
    place: Place
    span: _Span


def _answer_alone(member: _Member) -> Frame | KalpiError:
    try:
        return _answer([member])[0]
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        query = member.query
        failure = KalpiError(f"{query.indicator} of {query.symbol} failed: {describe(error)}")
        failure.__cause__ = error
        return failure


def _answer(members: Sequence[_Member]) -> list[Frame | KalpiError]:
    """The frames of queries that differ in nothing but symbol of a block, window and encoding."""
    query, bars, block = members[0].query, members[0].bars, members[0].place.block
    spec, params = query.spec, dict(query.params)
    seen = _rows_seen(query.warmup, block, members[0].span.window)
    columns = sorted({member.place.column for member in members})
    position = {column: i for i, column in enumerate(columns)}
    panels = Sources(bars, block, columns, slice(seen.start, seen.stop)).run(spec, params)
    named = [(output.name, panel) for output, panel in zip(spec.outputs, panels, strict=True)]
    lookback = chain.lookback(spec, params)
    frames: list[Frame | KalpiError] = []
    for member in members:
        span, column = member.span, position[member.place.column]
        cut = slice(span.window.start - seen.start, span.window.stop - seen.start)
        frames.append(
            ValuesFrame(
                query=member.query,
                data_version=bars.data_version,
                lookback=lookback,
                dates=span.dates,
                outputs={name: np.ascontiguousarray(panel[cut, column]) for name, panel in named},
                history=seen.rows,
                ohlcv=_ohlcv(bars, member.place, span.window) if member.query.include_ohlcv else None,
                last_bar_final=span.last_bar_final,
            )
        )
    return frames


def _span(bars: Market, place: Place, query: IndicatorQuery) -> _Span:
    window = _window(bars, place, query.start_date, query.end_date)
    dates = bars.days(place)[window.start : window.stop].astype("datetime64[D]")
    return _Span(window, dates, _last_bar_final(bars, place, window, query.interval))


def _last_bar_final(bars: Market, place: Place, window: _Window, interval: Interval) -> bool:
    if window.stop < place.block.rows or not window.rows:
        return True
    last = date.fromordinal(_EPOCH + int(bars.days(place)[window.stop - 1]))
    return interval.is_over(last, bars.manifest.as_of)


def _ohlcv(market: Market, place: Place, window: _Window) -> dict[str, Floats]:
    rows = slice(window.start, window.stop)
    return {field: np.ascontiguousarray(market.panel(place.block, field)[rows, place.column]) for field in FIELDS}


def _window(market: Market, place: Place, start_date: date, end_date: date) -> _Window:
    """The rows of a symbol from `start_date` to `end_date`, both included; empty when there are none."""
    days = market.days(place)
    start = int(np.searchsorted(days, start_date.toordinal() - _EPOCH, side="left"))
    stop = int(np.searchsorted(days, end_date.toordinal() - _EPOCH, side="right"))
    return _Window(start, max(start, stop))


def _rows_seen(warmup: Warmup, block: Block, window: _Window) -> _Window:
    """The rows a kernel is given: the whole history, or the window alone."""
    return _Window(0, block.rows) if warmup is Warmup.FULL else window


def describe(error: Exception) -> str:
    """What those who asked are told: nothing of our insides."""
    match error:
        case DataError():  # its text names our files
            return "the market data it was asked of is gone"
        case KalpiError():
            return str(error)
        case MemoryError():
            return "needs more memory than a worker has"
    return "could not be computed"


# --- tables of jobs


def table_schema(request: JobRequest) -> pa.Schema:
    """Schema of every table of a job: symbol, date, then `request.columns`."""
    return pa.schema(
        [
            ("symbol", pa.dictionary(pa.int32(), pa.string())),
            ("date", pa.date32()),
            *((name, pa.int64() if _is_volume(request, i) else pa.float64()) for i, name in enumerate(request.columns)),
        ]
    )


def _is_volume(request: JobRequest, i: int) -> bool:
    return request.include_ohlcv and i == FIELDS.index("volume")


def compute_table(market: Market, request: JobRequest, symbols: Sequence[str]) -> tuple[pa.Table, list[SeriesError]]:
    """The rows of `symbols` (a part of the job's, in any order), sorted by symbol and date; no value is null.

    A series that fails is null for the symbols it failed for, and an error of each; the rest goes on. A symbol
    that is not in the data has no rows, and an error for every series.
    """
    errors: list[SeriesError] = []
    places: dict[str, Place] = {}
    market = market.at(request.interval)
    for symbol in sorted(set(symbols)):
        try:
            places[symbol] = market.place(symbol)
        except KalpiError as error:
            errors += [SeriesError(symbol, label, str(error)) for label in request.labels]
    windows = [_window(market, place, request.start_date, request.end_date) for place in places.values()]
    counts = np.array([window.rows for window in windows], np.int64)
    ends = np.cumsum(counts)
    table = _Cells(
        names=tuple(places),
        windows=windows,
        starts=(ends - counts).tolist(),
        columns={name: np.full(int(counts.sum()), np.nan) for name in request.columns},
    )
    by_block: dict[int, dict[int, int]] = {}
    for i, place in enumerate(places.values()):
        by_block.setdefault(place.block.number, {})[i] = place.column
    for number, members in by_block.items():
        errors += _fill(market, request, market.blocks[number], members, table)

    days = [market.days(place)[w.start : w.stop] for place, w in zip(places.values(), windows, strict=True)]
    dates = np.concatenate(days) if days else np.empty(0, np.int32)
    codes = np.repeat(np.arange(len(places), dtype=np.int32), counts)
    schema = table_schema(request)
    arrays = [
        pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(table.names, pa.string())),
        pa.array(dates).cast(pa.date32()),
        *(_nullable(table.columns[name], schema.field(name).type) for name in request.columns),
    ]
    return pa.Table.from_arrays(arrays, schema=schema), errors


def count_rows(market: Market, request: JobRequest, symbols: Sequence[str]) -> int:
    """Rows that `compute_table` makes of `symbols`, which are in the data."""
    market = market.at(request.interval)
    places = (market.place(symbol) for symbol in symbols)
    return sum(_window(market, place, request.start_date, request.end_date).rows for place in places)


@dataclass(frozen=True, slots=True)
class _Cells:
    """A table being filled: symbol i has rows `windows[i]` of its calendar, from cell `starts[i]` of each column on."""

    names: tuple[str, ...]
    windows: Sequence[_Window]
    starts: Sequence[int]
    columns: Mapping[str, Floats]

    def put(self, name: str, panel: Floats, symbols: Sequence[int], first_row: int) -> None:
        """Write the columns of `panel`, whose row 0 is row `first_row` of the calendars, to their symbols."""
        turned = np.ascontiguousarray(panel.T)
        column = self.columns[name]
        for line, i in zip(turned, symbols, strict=True):
            window, start = self.windows[i], self.starts[i]
            column[start : start + window.rows] = line[window.start - first_row : window.stop - first_row]


def _fill(
    market: Market, request: JobRequest, block: Block, members: Mapping[int, int], table: _Cells
) -> list[SeriesError]:
    """Compute every series for some symbols of one block, given with their columns; returns those that failed."""
    if request.include_ohlcv:
        for field in FIELDS:
            table.put(field, market.source_panel(block, field, list(members.values())), list(members), 0)
    by_rows: dict[_Window, dict[int, int]] = {}
    for i, column in members.items():
        seen = _rows_seen(request.warmup, block, table.windows[i])
        by_rows.setdefault(seen, {})[i] = column
    errors: list[SeriesError] = []
    results: list[Floats] = []  # used again for each series
    for seen, columns in by_rows.items():
        chosen = list(columns.values())
        whole = chosen == list(range(len(block.symbols)))
        sources = Sources(market, block, None if whole else chosen, slice(seen.start, seen.stop))
        results.clear()
        for series in request.series:
            while len(results) < len(series.spec.outputs):
                results.append(empty_panel((seen.rows, len(chosen))))
            outputs = results[: len(series.spec.outputs)]
            try:
                sources.run(series.spec, dict(series.params), outputs)
            except SoftTimeLimitExceeded:
                raise
            except Exception as error:
                # MemoryError included: a failed series leaves the others be.
                log.exception("series_failed", series=series.label, symbols=len(columns))
                errors += [SeriesError(table.names[i], series.label, describe(error)) for i in columns]
                continue
            for name, panel in zip(series.columns, outputs, strict=True):
                table.put(name, panel, list(columns), seen.start)
    return errors


def _nullable(values: Floats, kind: pa.DataType) -> pa.Array:
    """As an Arrow array of `kind`, null where a value is not finite."""
    missing = ~np.isfinite(values)
    if pa.types.is_int64(kind):
        values = np.rint(np.where(missing, 0.0, values)).astype(np.int64)
    return pa.array(values, mask=missing if missing.any() else None, type=kind)
