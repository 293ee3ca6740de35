"""From the body of a job to the request it means."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from itertools import product
from math import prod
from typing import Any, TypeVar

import orjson

from api.bounds import MAX_ERRORS, MAX_SERIES, MAX_SYMBOLS
from api.job_bounds import JobBounds
from common.catalogue import chain, find
from common.catalogue.spec import IndicatorSpec, ParamValue, shown_value, unknown_name
from common.dataset import Manifest
from common.errors import FieldError, InvalidParameters, NotFound
from common.jobs import XLSX_COLUMNS, XLSX_ROWS, JobRequest, Series, TableFormat
from common.query import Interval, Warmup, read_date
from common.tiers import TIERS, Tier, rank_for_date
from common.webhooks import read_url

_FIELDS = (
    "symbols", "indicators", "start_date", "end_date", "interval", "warmup", "include_ohlcv", "format", "webhook_url",
)  # fmt: skip
_INDICATOR_FIELDS = ("name", "params", "as")
_LABEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")

Choice = TypeVar("Choice", bound=StrEnum)
Loc = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A valid job: `rank` is that of the lowest tier that may ask for it, `rows` about how many it will have."""

    request: JobRequest
    rank: int
    rows: int
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class _Entry:
    """One indicator of a body, its parameters unread."""

    spec: IndicatorSpec
    params: Mapping[str, object]
    label: str | None


class _Faults:
    """What is wrong with a body: values first, then names that are not there."""

    def __init__(self) -> None:
        self._errors: list[FieldError] = []
        self._missing: NotFound | None = None

    def add(self, loc: Loc, msg: str) -> None:
        self._errors.append(FieldError(("body", *loc), msg))

    def add_all(self, errors: Sequence[FieldError]) -> None:
        self._errors += errors

    def not_found(self, error: NotFound) -> None:
        self._missing = self._missing or error

    def raise_if_any(self) -> None:
        if self._errors:
            raise InvalidParameters(self._errors[:MAX_ERRORS])
        if self._missing is not None:
            raise self._missing


def read_job(body: bytes, manifest: Manifest, tier: Tier, bounds: JobBounds) -> JobPlan:
    """Reads and checks everything a body says; defaults are those of `tier`.

    Raises InvalidParameters with the place of each fault, or NotFound for the first unknown symbol or indicator.
    """
    raw = _object(body)
    faults = _Faults()
    for name in raw:
        if name not in _FIELDS:
            faults.add((name[:64],), unknown_name(name, list(_FIELDS), "a field of a job"))
    symbols = _symbols(raw.get("symbols"), manifest, faults)
    include_ohlcv = _flag(raw, "include_ohlcv", faults)
    series = _all_series(raw.get("indicators"), faults)
    start_date = _date(raw, "start_date", faults)
    end_date = _date(raw, "end_date", faults) or manifest.as_of
    if start_date is not None and start_date > end_date:
        faults.add(("start_date",), f"{start_date} is after end_date {end_date}")
    request = JobRequest(
        symbols=symbols,
        series=tuple(one for _, one in series),
        start_date=start_date or tier.window_start(manifest.as_of),
        end_date=end_date,
        format=_choice(raw, "format", TableFormat.PARQUET, faults),
        interval=_choice(raw, "interval", Interval.DAY, faults),
        warmup=_choice(raw, "warmup", Warmup.FULL, faults),
        include_ohlcv=include_ohlcv,
    )
    webhook_url = _webhook_url(raw.get("webhook_url"), faults, private=bounds.webhook_private)
    _check_columns(series, include_ohlcv, faults)
    faults.raise_if_any()
    days = sum(manifest.symbols[name].rows_between(request.start_date, end_date) for name in symbols)
    rows = round(days / request.interval.days)
    _check_size(request, rows, bounds)
    reach = end_date if start_date is None else start_date
    needed = [spec for one in request.series for spec in chain.required(one.spec, dict(one.params))]
    ranks = [TIERS[spec.tier].rank for spec in needed]
    rank = max(*ranks, rank_for_date(reach, manifest.as_of), bounds.rank_for(request.cost))
    return JobPlan(request, rank, rows, webhook_url)


def _check_size(request: JobRequest, rows: int, bounds: JobBounds) -> None:
    """Raises InvalidParameters for a table that is too large, or too large for its format."""
    columns = request.width
    cells = rows * columns
    if cells > bounds.cells:
        raise InvalidParameters.one(("body",), f"asks for about {cells:,} cells; a job may have {bounds.cells:,}")
    if request.format is not TableFormat.XLSX:
        return
    too_large = (
        (rows + 1, XLSX_ROWS, "rows, its header among them; a sheet may have"),
        (columns, XLSX_COLUMNS, "columns; a sheet may have"),
        (cells, bounds.xlsx_cells, "cells; a job in xlsx may have"),
    )
    for count, most, what in too_large:
        if count > most:
            raise InvalidParameters.one(
                ("body", "format"), f"xlsx: the table has about {count:,} {what} {most:,}; ask for another format"
            )


def _object(body: bytes) -> Mapping[str, Any]:
    """The body's fields; those that are null count as not given."""
    try:
        raw = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidParameters.one(("body",), f"is not JSON: {error}") from None
    if not isinstance(raw, dict):
        raise InvalidParameters.one(("body",), f"is {_kind(raw)}, not an object")
    return {name: value for name, value in raw.items() if value is not None}


def _symbols(raw: object, manifest: Manifest, faults: _Faults) -> tuple[str, ...]:
    """Sorted and distinct."""
    if raw == "*":
        raw = list(manifest.symbols)
    if not isinstance(raw, list) or not raw:
        what = "is missing" if raw is None else "is an empty list" if raw == [] else f"is {_kind(raw)}"
        faults.add(("symbols",), f'{what}; give a list of symbols, or "*" for all')
        return ()
    wrong = [(i, name) for i, name in enumerate(raw) if not isinstance(name, str) or not name]
    for i, name in wrong[:MAX_ERRORS]:
        faults.add(("symbols", i), f"is {'an empty string' if name == '' else _kind(name)}, not a symbol")
    if wrong:
        return ()
    names = sorted(set(raw))
    if len(names) > MAX_SYMBOLS:
        faults.add(("symbols",), f"names {len(names):,} symbols; a job may have {MAX_SYMBOLS:,}")
        return ()
    for name in names:
        try:
            manifest.find(name)
        except NotFound as error:
            faults.not_found(error)
            break
    return tuple(names)


def _all_series(raw: object, faults: _Faults) -> list[tuple[int, Series]]:
    """Every series, with the place of the indicator it comes from."""
    if not isinstance(raw, list) or not raw:
        what = "is missing" if raw is None else "is an empty list" if raw == [] else f"is {_kind(raw)}"
        faults.add(("indicators",), f'{what}; give a list of indicators, each {{"name": …}}')
        return []
    if len(raw) > MAX_SERIES:
        faults.add(("indicators",), f"has {len(raw):,} entries; a job may have {MAX_SERIES} series per symbol")
        return []
    named: list[tuple[int, Series]] = []
    left = MAX_SERIES
    for i, entry in enumerate(raw):
        found = _series(entry, ("indicators", i), left, faults)
        if found is None:
            return []
        left -= len(found)
        named += [(i, one) for one in found]
    return named


def _series(raw: object, loc: Loc, left: int, faults: _Faults) -> list[Series] | None:
    """The series of one entry, at most `left`; None when there are more."""
    entry = _entry(raw, loc, faults)
    grid = None if entry is None else _grid(entry.spec, entry.params, (*loc, "params"), faults)
    if entry is None or grid is None:
        return []
    if prod(len(values) for values in grid.values()) > left:
        faults.add(("indicators",), f"ask for more than {MAX_SERIES} series per symbol")
        return None
    return _combine(entry.spec, grid, entry.label, (*loc, "params"), faults)


def _entry(raw: object, loc: Loc, faults: _Faults) -> _Entry | None:
    if not isinstance(raw, dict):
        faults.add(loc, f'is {_kind(raw)}, not an object {{"name": …}}')
        return None
    for field in raw:
        if field not in _INDICATOR_FIELDS:
            faults.add((*loc, field[:64]), unknown_name(field, list(_INDICATOR_FIELDS), "a field of an indicator"))
    name, params, label = raw.get("name"), raw.get("params"), raw.get("as")
    if label is not None and not (isinstance(label, str) and _LABEL.fullmatch(label)):
        faults.add((*loc, "as"), "is not 1 to 64 characters of A-Z a-z 0-9 _ . -")
        label = None
    if params is not None and not isinstance(params, dict):
        faults.add((*loc, "params"), f"is {_kind(params)}, not an object")
        params = None
    if not isinstance(name, str):
        faults.add((*loc, "name"), "is missing" if name is None else f"is {_kind(name)}, not a name")
        return None
    try:
        return _Entry(find(name), params or {}, label)
    except NotFound as error:
        faults.not_found(error)
        return None


def _grid(
    spec: IndicatorSpec, given: Mapping[str, object], loc: Loc, faults: _Faults
) -> dict[str, list[ParamValue]] | None:
    """The values of each parameter, in the spec's order; None when some are wrong."""
    known = [p.name for p in spec.params]
    sound = True
    for name in given:
        if name not in known:
            faults.add((*loc, name[:64]), unknown_name(name, known, f"a parameter of {spec.name}"))
            sound = False
    grid: dict[str, list[ParamValue]] = {}
    for param in spec.params:
        raw = given.get(param.name)
        many = isinstance(raw, list)
        asked = raw if isinstance(raw, list) else [param.default if raw is None else raw]
        if not asked or len(asked) > MAX_SERIES:
            what = "is an empty list" if not asked else f"has more than {MAX_SERIES} values"
            faults.add((*loc, param.name), what)
            sound = False
            continue
        values = grid[param.name] = []
        for i, one in enumerate(asked):
            try:
                values.append(param.read(one))
            except ValueError as error:
                faults.add((*loc, param.name, i) if many else (*loc, param.name), str(error))
                sound = False
    return grid if sound else None


def _combine(
    spec: IndicatorSpec, grid: Mapping[str, list[ParamValue]], label: str | None, loc: Loc, faults: _Faults
) -> list[Series]:
    """Every combination of the values. Under a common label, the parameters that differ are added to it."""
    varied = [name for name, values in grid.items() if len(values) > 1]
    found = []
    for combination in product(*grid.values()):
        params = dict(zip(grid, combination, strict=True))
        try:
            spec.read_params(params, ("body", *loc))  # each value is right; their combination may not be
        except InvalidParameters as error:
            faults.add_all(error.errors)
            continue
        name = spec.label(params) if label is None else "_".join([label, *(shown_value(params[v]) for v in varied)])
        found.append(Series(name, spec.name, tuple(params.items())))
    return found


def _check_columns(series: Sequence[tuple[int, Series]], include_ohlcv: bool, faults: _Faults) -> None:
    bars = ("open", "high", "low", "close", "volume") if include_ohlcv else ()
    taken = dict.fromkeys(("symbol", "date", *bars), "the table itself")
    for i, one in series:
        for column in one.columns:
            if column in taken:
                msg = f"column {column!r} would be there twice, by {taken[column]} too; name this one with `as`"
                faults.add(("indicators", i), msg)
                break
        taken.update(dict.fromkeys(one.columns, f"indicators.{i}"))


def _date(raw: Mapping[str, object], name: str, faults: _Faults) -> date | None:
    if name not in raw:
        return None
    try:
        return read_date(raw[name])
    except ValueError as error:
        faults.add((name,), str(error))
        return None


def _choice(raw: Mapping[str, Any], name: str, default: Choice, faults: _Faults) -> Choice:
    value = raw.get(name, default.value)
    kind = type(default)
    try:
        return kind(value)
    except ValueError:
        shown = repr(value[:40]) if isinstance(value, str) else _kind(value)
        faults.add((name,), f"{shown} is not one of {', '.join(kind)}")
        return default


def _webhook_url(raw: object, faults: _Faults, *, private: bool) -> str | None:
    if raw is None:
        return None
    try:
        if not isinstance(raw, str):
            raise ValueError(f"is {_kind(raw)}, not a URL")  # noqa: TRY004, TRY301 - a fault like the others
        read_url(raw, private=private)
    except ValueError as error:
        faults.add(("webhook_url",), str(error))
        return None
    return raw


def _flag(raw: Mapping[str, object], name: str, faults: _Faults) -> bool:
    value = raw.get(name, False)
    if not isinstance(value, bool):
        faults.add((name,), f"is {_kind(value)}, not true or false")
        return False
    return value


def _kind(value: object) -> str:
    """What a JSON value is, in words."""
    match value:
        case bool():
            return "true" if value else "false"
        case None:
            return "null"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
    return "an object"
