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

from common.catalogue import find
from common.catalogue.spec import ParamValue
from common.errors import DataError, KalpiError
from common.jobs import JobRequest, Series, SeriesError
from common.query import IndicatorQuery, Warmup
from worker import kernels
from worker.market.bars import FIELDS, Floats
from worker.market.store import Block, Market, Place

log = structlog.get_logger()

_EPOCH = date(1970, 1, 1).toordinal()


@dataclass(frozen=True, slots=True)
class ValuesFrame:
    """The answer to one query: every array has shape (rows,) and NaN where there is no value.

    `dates` is datetime64[D], ascending; `outputs` are in the order of the spec; `ohlcv` is there when asked for.
    """

    query: IndicatorQuery
    data_version: str
    lookback: int
    dates: NDArray[np.datetime64]
    outputs: Mapping[str, Floats]
    ohlcv: Mapping[str, Floats] | None = None


@dataclass(frozen=True, slots=True)
class _Window:
    """Rows [start, stop) of a symbol's calendar."""

    start: int
    stop: int

    @property
    def rows(self) -> int:
        return self.stop - self.start


def compute_values(market: Market, queries: Sequence[IndicatorQuery]) -> list[ValuesFrame | KalpiError]:
    """Answer each query, in order; what is wrong with one is its answer and harms no other.

    Queries for the same indicator, parameters and rows of a block are one panel.
    """
    answers: list[ValuesFrame | KalpiError | None] = [None] * len(queries)
    groups: dict[object, list[tuple[int, Place, _Window]]] = {}
    for i, query in enumerate(queries):
        try:
            place = market.place(query.symbol)
            find(query.indicator)
        except KalpiError as error:
            answers[i] = error
            continue
        window = _window(market, place, query.start_date, query.end_date)
        seen = _rows_seen(query.warmup, place.block, window)
        key = (query.indicator, query.params, query.interval, place.block.number, seen)
        groups.setdefault(key, []).append((i, place, window))
    for members in groups.values():
        try:
            frames = _answer(market, queries, members)
        except SoftTimeLimitExceeded:
            raise
        except Exception:  # noqa: BLE001 - whatever a kernel raises concerns those alone whose query raises it
            frames = [_answer_alone(market, queries, member) for member in members]
        for (i, _, _), frame in zip(members, frames, strict=True):
            answers[i] = frame
    return cast("list[ValuesFrame | KalpiError]", answers)


def _answer_alone(
    market: Market, queries: Sequence[IndicatorQuery], member: tuple[int, Place, _Window]
) -> ValuesFrame | KalpiError:
    try:
        return _answer(market, queries, [member])[0]
    except SoftTimeLimitExceeded:
        raise
    except Exception as error:  # noqa: BLE001 - as above
        query = queries[member[0]]
        failure = KalpiError(f"{query.indicator} of {query.symbol} failed: {describe(error)}")
        failure.__cause__ = error
        return failure


def _answer(
    market: Market, queries: Sequence[IndicatorQuery], members: Sequence[tuple[int, Place, _Window]]
) -> list[ValuesFrame | KalpiError]:
    """The frames of queries that differ in nothing but symbol of a block, window and encoding."""
    query, (_, place, window) = queries[members[0][0]], members[0]
    spec, params = query.spec, dict(query.params)
    seen = _rows_seen(query.warmup, place.block, window)
    columns = sorted({p.column for _, p, _ in members})
    position = {column: i for i, column in enumerate(columns)}
    inputs = [
        market.source_panel(place.block, _source(name, params), columns)[seen.start : seen.stop] for name in spec.inputs
    ]
    panels = kernels.run(spec.name, inputs, params)
    frames: list[ValuesFrame | KalpiError] = []
    for i, place, window in members:
        cut = slice(window.start - seen.start, window.stop - seen.start)
        rows = slice(window.start, window.stop)
        frames.append(
            ValuesFrame(
                query=queries[i],
                data_version=market.data_version,
                lookback=spec.lookback(params),
                dates=market.days(place)[rows].astype("datetime64[D]"),
                outputs={
                    output.name: np.ascontiguousarray(panel[cut, position[place.column]])
                    for output, panel in zip(spec.outputs, panels, strict=True)
                },
                ohlcv=_ohlcv(market, place, rows) if queries[i].include_ohlcv else None,
            )
        )
    return frames


def _ohlcv(market: Market, place: Place, rows: slice) -> dict[str, Floats]:
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


def _source(name: str, params: Mapping[str, ParamValue]) -> str:
    """Which series an input is: the one asked for by `source`, or the one it is named after."""
    return str(params[name]) if name == "source" else name


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
    for symbol in sorted(set(symbols)):
        try:
            places[symbol] = market.place(symbol)
        except KalpiError as error:
            errors += [SeriesError(symbol, series.label, str(error)) for series in request.series]
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
    for seen, columns in by_rows.items():
        panels = _Panels(market, block, list(columns.values()), seen)
        for series in request.series:
            try:
                results = panels.run(series)
            except SoftTimeLimitExceeded:
                raise
            except Exception as error:
                # MemoryError included: a failed series leaves the others be.
                log.exception("series_failed", series=series.label, symbols=len(columns))
                errors += [SeriesError(table.names[i], series.label, describe(error)) for i in columns]
                continue
            for name, panel in zip(series.columns, results, strict=True):
                table.put(name, panel, list(columns), seen.start)
    return errors


class _Panels:
    """Some symbols of a block, rows `seen`: each source is gathered once, and output panels are used again."""

    def __init__(self, market: Market, block: Block, columns: Sequence[int], seen: _Window) -> None:
        self._market = market
        self._block = block
        self._columns = None if list(columns) == list(range(len(block.symbols))) else columns
        self._rows = slice(seen.start, seen.stop)
        self._sources: dict[str, Floats] = {}
        self._results: list[Floats] = []

    def run(self, series: Series) -> Sequence[Floats]:
        """The outputs of a series, valid until the next call."""
        spec, params = series.spec, dict(series.params)
        inputs = [self._source(_source(name, params)) for name in spec.inputs]
        while len(self._results) < len(spec.outputs):
            self._results.append(np.empty(inputs[0].shape))
        return kernels.run(spec.name, inputs, params, self._results[: len(spec.outputs)])

    def _source(self, name: str) -> Floats:
        if name not in self._sources:
            self._sources[name] = self._market.source_panel(self._block, name, self._columns)[self._rows]
        return self._sources[name]


def _nullable(values: Floats, kind: pa.DataType) -> pa.Array:
    """As an Arrow array of `kind`, null where a value is not finite."""
    missing = ~np.isfinite(values)
    if pa.types.is_int64(kind):
        values = np.rint(np.where(missing, 0.0, values)).astype(np.int64)
    return pa.array(values, mask=missing if missing.any() else None, type=kind)
