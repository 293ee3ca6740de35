"""Which rows of a file can be bars, and why the others cannot."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from worker.market.bars import FIELDS, PRICES, Bars, Floats
from worker.market.reading import COLUMNS, NO_UTF8, RawFile

Mask = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)

MAX_SYMBOL = 32

_DATE = re.compile(r"(\d{4}-\d{2}-\d{2})([T ].*)?", re.ASCII)
_COMPACT_DATE = re.compile(r"(\d{4})(\d{2})(\d{2})", re.ASCII)
_NO_DAY = np.iinfo(np.int32).min
_TEXT = partial(pc.cast, target_type=pa.string(), safe=False)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that cannot be used: data row `row` (1-based) of `files[file]`, and everything wrong with it."""

    file: int
    row: int
    reason: str


@dataclass(frozen=True, slots=True)
class Checked:
    """The rows of some files after the checks: `bars` of the good ones (None when there are none), and the others."""

    bars: Bars | None
    refused: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of one file as values; what cannot be read is _NO_DAY, code -1 or NaN."""

    symbols: list[str]
    codes: NDArray[np.int64]
    days: NDArray[np.int32]
    numbers: dict[str, Floats]
    bad_symbols: list[str]  # per symbol: what is wrong with it, or ""

    @property
    def rows(self) -> int:
        return len(self.days)


def check(files: Sequence[RawFile], today: date | None = None) -> Checked:
    """Check the union of `files`. Rows after `today` (by default that of UTC) are refused.

    Of several rows with one symbol and date the first good one stands and the others are refused.
    """
    last_day = (today or datetime.now(UTC).date()).toordinal() - date(1970, 1, 1).toordinal()
    read = [_columns(file.table) for file in files]
    symbols = sorted({symbol for columns in read for symbol in columns.symbols})
    number = {symbol: i for i, symbol in enumerate(symbols)}

    refused: list[Refusal] = []
    good: list[Mask] = []
    codes: list[NDArray[np.int64]] = []
    for i, (file, columns) in enumerate(zip(files, read, strict=True)):
        reasons = _reasons(columns, file, last_day)
        refused += [Refusal(i, row + 1, "; ".join(texts)) for row, texts in sorted(reasons.items())]
        mask = np.ones(columns.rows, np.bool_)
        mask[list(reasons)] = False
        good.append(mask)
        known = np.array([number[symbol] for symbol in columns.symbols] or [0], np.int64)
        codes.append(known[columns.codes])

    all_codes = _joined(codes, good)
    all_days = _joined([columns.days for columns in read], good)
    origins = _joined([np.full(columns.rows, i) for i, columns in enumerate(read)], good)
    rows = _joined([np.arange(columns.rows) for columns in read], good)
    first = _first_of_equal(all_codes, all_days)
    again = np.flatnonzero(first != np.arange(len(first)))
    for position in again.tolist():
        twin = first[position]
        where = f"row {rows[twin] + 1}"
        if len(files) > 1:
            where += f" of {files[origins[twin]].path}"
        refused.append(Refusal(int(origins[position]), int(rows[position]) + 1, f"same symbol and date as {where}"))
    refused.sort(key=lambda refusal: (refusal.file, refusal.row))

    kept = np.ones(len(first), np.bool_)
    kept[again] = False
    if not kept.any():
        return Checked(None, tuple(refused))
    bars = Bars.from_rows(
        symbols,
        all_codes[kept],
        all_days[kept],
        {name: _joined([columns.numbers[name] for columns in read], good)[kept] for name in FIELDS},
        synthetic=all(file.synthetic for file in files),
    )
    return Checked(bars, tuple(refused))


def refused_rows(files: Sequence[RawFile], refused: Sequence[Refusal]) -> pd.DataFrame:
    """The refused rows as they came, with `file`, `row` and `reason`."""
    frames = []
    for i, file in enumerate(files):
        mine = [refusal for refusal in refused if refusal.file == i]
        rows = file.table.take([refusal.row - 1 for refusal in mine])
        frame = pd.DataFrame({name: _TEXT(rows.column(name)).to_pylist() for name in COLUMNS}, dtype=object)
        frame["file"] = str(file.path)
        frame["row"] = [refusal.row for refusal in mine]
        frame["reason"] = [refusal.reason for refusal in mine]
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _joined(parts: Sequence[NDArray[T]], masks: Sequence[Mask]) -> NDArray[T]:
    return np.concatenate([part[mask] for part, mask in zip(parts, masks, strict=True)])


def _first_of_equal(codes: NDArray[np.int64], days: NDArray[np.int32]) -> NDArray[np.int64]:
    """Per row the first row with the same code and day."""
    keys = codes * 2**32 + days
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return np.asarray(first[inverse], np.int64)


# --- what can be wrong with a row


def _reasons(columns: _Columns, file: RawFile, last_day: int) -> dict[int, list[str]]:
    """Everything wrong with the rows of one file, by row; texts quote the value as it stands in the file."""
    reasons = {row: [text] for row, text in file.ragged.items()}
    whole = np.ones(columns.rows, np.bool_)
    whole[list(reasons)] = False
    for mask, text in _rules(columns, file.table, last_day):
        for row in np.flatnonzero(mask & whole).tolist():
            reasons.setdefault(row, []).append(text(row))
    return reasons


def _rules(columns: _Columns, table: pa.Table, last_day: int) -> Iterator[tuple[Mask, Callable[[int], str]]]:
    def shown(name: str, row: int) -> str:
        value = table.column(name)[row].as_py()
        return "is missing, not" if value is None else f"{str(value)[:40]!r} is not"

    broken = np.array([bool(problem) for problem in [*columns.bad_symbols, "missing"]])
    yield broken[columns.codes], lambda row: f"symbol {[*columns.bad_symbols, 'is missing'][columns.codes[row]]}"

    yield columns.days == _NO_DAY, lambda row: f"date {shown('date', row)} a date (YYYY-MM-DD)"
    yield columns.days > last_day, lambda row: f"date {table.column('date')[row].as_py()!s:.40} is in the future"

    values = columns.numbers
    for name in FIELDS:
        unreadable = ~np.isfinite(values[name])
        yield unreadable, lambda row, name=name: f"{name} {shown(name, row)} a finite number"  # type: ignore[misc]
    for name in PRICES:
        worthless = values[name] <= 0
        yield worthless, lambda row, name=name: f"{name} {values[name][row]!s} is not above zero"  # type: ignore[misc]
    yield values["volume"] < 0, lambda row: f"volume {values['volume'][row]!s} is negative"

    high, low = values["high"], values["low"]
    yield high < low, lambda row: f"high {high[row]!s} is below low {low[row]!s}"
    for name in ("open", "close"):
        outside = (high >= low) & ((values[name] > high) | (values[name] < low))
        yield (
            outside,
            lambda row, name=name: (  # type: ignore[misc]
                f"{name} {values[name][row]!s} is outside low {low[row]!s} to high {high[row]!s}"
            ),
        )


def _problem_of_symbol(symbol: str) -> str:
    if not symbol:
        return "is empty"
    if NO_UTF8 in symbol:
        return f"{symbol[:MAX_SYMBOL]!r} is not UTF-8"
    if len(symbol) > MAX_SYMBOL:
        return f"{symbol[:MAX_SYMBOL]!r}… is longer than {MAX_SYMBOL} characters"
    if "/" in symbol or not symbol.isprintable():
        return f"{symbol!r} has a slash or a control character"
    return ""


# --- columns as values


def _columns(table: pa.Table) -> _Columns:
    symbols, codes = _distinct(table.column("symbol"))
    stripped = [symbol.strip() for symbol in symbols]
    return _Columns(
        symbols=stripped,
        codes=codes,
        days=_days(table.column("date")),
        numbers={name: _numbers(table.column(name)) for name in FIELDS},
        bad_symbols=[_problem_of_symbol(symbol) for symbol in stripped],
    )


def _distinct(column: pa.ChunkedArray) -> tuple[list[str], NDArray[np.int64]]:
    """The distinct texts of a column, and per row the number of its text, -1 for null."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = _TEXT(column).combine_chunks().dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return encoded.dictionary.to_pylist(), codes


def _days(column: pa.ChunkedArray) -> NDArray[np.int32]:
    """Days since 1970-01-01 as written: a time of day is dropped, a time with a zone keeps its own date."""
    if pa.types.is_timestamp(column.type):
        if column.type.tz is not None:
            column = pc.local_timestamp(column)
        column = pc.floor_temporal(column, unit="day").cast(pa.date32())
    elif pa.types.is_date64(column.type):
        column = column.cast(pa.date32())
    if pa.types.is_date32(column.type):
        whole = column.cast(pa.int32()).fill_null(_NO_DAY)
        return np.ascontiguousarray(whole.to_numpy(), np.int32)
    texts, codes = _distinct(column)
    days = np.array([*map(_read_day, texts), _NO_DAY], np.int32)
    return days[codes]


def _read_day(text: str) -> int:
    match = _DATE.fullmatch(text.strip())
    compact = _COMPACT_DATE.fullmatch(text.strip())
    if match:
        iso = match[1]
    elif compact:
        iso = "-".join(compact.groups())
    else:
        return _NO_DAY
    try:
        return date.fromisoformat(iso).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return _NO_DAY


def _numbers(column: pa.ChunkedArray) -> Floats:
    """As float64; whatever is no number is NaN."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = pd.Series(column.to_numpy(), dtype=object)
        return np.asarray(pd.to_numeric(texts, errors="coerce"), np.float64)
    return np.full(len(column), np.nan)
