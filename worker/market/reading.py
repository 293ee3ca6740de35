"""Files of bars as they come: Parquet or CSV, columns in any case and order, values not yet judged."""

import io
from codecs import getincrementaldecoder
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from common.errors import DataError, nearest
from worker.market.bars import FIELDS
from worker.market.datafile import SYNTHETIC

COLUMNS = ("date", "symbol", *FIELDS)

NO_UTF8 = "\ufffd"
"""Stands in the cells of a CSV file for bytes that are not UTF-8."""

_PARQUET_MAGIC = b"PAR1"
_CHUNK = 1 << 20
_SHOWN = 200
"""Characters of a row that are quoted."""


@dataclass(frozen=True, slots=True)
class RawFile:
    """The seven columns of one file under their own names, types as found; row i is data row i + 1.

    `ragged` says by row what is wrong with those that have too few or too many cells; here all of theirs are null.
    """

    path: Path
    table: pa.Table
    ignored: tuple[str, ...]  # columns that were there besides
    synthetic: bool
    ragged: Mapping[int, str] = field(default_factory=dict)


def read(path: Path) -> RawFile:
    """Read one file; its first bytes tell Parquet from CSV.

    Raises DataError, naming the file, when it is missing, unreadable or empty, or a column is missing.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(_PARQUET_MAGIC))
        if not magic:
            raise DataError(f"{path}: the file is empty")
        raw = _read_parquet(path) if magic == _PARQUET_MAGIC else _read_csv(path)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{path}: cannot be read: {_one_line(reason)}") from error
    if raw.table.num_rows == 0:
        raise DataError(f"{path}: the file has no rows")
    return raw


def _read_parquet(path: Path) -> RawFile:
    # Without threads, for this may run before a fork.
    file = pq.ParquetFile(path)
    schema = file.schema_arrow
    found, ignored = _match(path, schema.names)
    table = file.read(columns=[found[name] for name in COLUMNS], use_threads=False)
    table.validate(full=True)  # text may be anything but UTF-8
    synthetic = (schema.metadata or {}).get(SYNTHETIC) == b"true"
    return RawFile(path, _named(table, found), ignored, synthetic)


def _read_csv(path: Path) -> RawFile:
    # Without threads, a ragged row is told with its number.
    reading = pacsv.ReadOptions(use_threads=False)
    parsing = pacsv.ParseOptions(invalid_row_handler=lambda _: "skip")
    with _open_text(path) as file, pacsv.open_csv(file, read_options=reading, parse_options=parsing) as stream:
        names = stream.schema.names
    found, ignored = _match(path, names)
    ragged: list[Any] = []

    def leave_out(row: Any) -> str:  # noqa: ANN401 - pyarrow has no types
        ragged.append(row)
        return "skip"

    parsing = pacsv.ParseOptions(invalid_row_handler=leave_out)
    conversion = pacsv.ConvertOptions(
        include_columns=[found[name] for name in COLUMNS],
        # Tickers such as TRUE, NA or 005930 are no booleans, gaps or numbers.
        column_types={found["symbol"]: pa.string(), found["date"]: pa.string()},
        strings_can_be_null=False,
    )
    with _open_text(path) as file:
        table = pacsv.read_csv(file, read_options=reading, parse_options=parsing, convert_options=conversion)
    table = _named(table, found)
    _refuse_open_quotes(path, table, [row.text for row in ragged])
    # Their numbers count the header as 1.
    reasons = {
        row.number - 2: f"has {_cells(row.actual_columns)}, not {len(names)}: {_quoted(row.text)}" for row in ragged
    }
    return RawFile(path, _with_nulls(table, list(reasons)), ignored, synthetic=False, ragged=reasons)


def _refuse_open_quotes(path: Path, table: pa.Table, ragged: list[str]) -> None:
    """A quote that is not closed takes the rows after it into its cell: they would be lost unseen."""
    texts = [column for column in table.columns if pa.types.is_string(column.type)]
    if any("\n" in text for text in ragged) or any(pc.any(pc.match_substring(text, "\n")).as_py() for text in texts):
        raise DataError(f"{path}: cannot be read: a quoted cell goes over the end of its line")


def _with_nulls(table: pa.Table, rows: list[int]) -> pa.Table:
    """The table with rows of nulls put in, so that they are `rows` of what comes out."""
    if not rows:
        return table
    is_new = np.zeros(table.num_rows + len(rows), np.bool_)
    is_new[rows] = True
    return table.take(pa.array(np.cumsum(~is_new) - 1, mask=is_new))


def _cells(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"


def _quoted(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}…"


def _open_text(path: Path) -> io.BufferedReader:
    """The bytes of a file, unpacked if its name says so, as UTF-8 whatever they are."""
    return io.BufferedReader(_Utf8(pa.input_stream(str(path))), _CHUNK)


class _Utf8(io.RawIOBase):
    """What is read from `source`, NO_UTF8 in place of what is not UTF-8."""

    def __init__(self, source: Any) -> None:  # noqa: ANN401 - pyarrow has no types
        self._source = source
        self._decoder = getincrementaldecoder("utf-8")("replace")
        self._left = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        while not self._left and not self._ended:
            chunk = self._source.read(_CHUNK)
            self._ended = not chunk
            self._left = memoryview(self._decoder.decode(chunk, self._ended).encode())
        size = min(len(buffer), len(self._left))
        buffer[:size] = self._left[:size]
        self._left = self._left[size:]
        return size

    def close(self) -> None:
        self._source.close()
        super().close()


def _named(table: pa.Table, found: dict[str, str]) -> pa.Table:
    return pa.table({name: table.column(found[name]) for name in COLUMNS})


def _match(path: Path, names: list[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The file's own name of each column, and the names that are none of ours."""
    found: dict[str, str] = {}
    ignored = []
    for name in names:
        folded = name.strip().casefold()
        if folded not in COLUMNS:
            ignored.append(name)
        elif folded in found:
            raise DataError(f"{path}: column {folded!r} occurs twice, as {found[folded]!r} and {name!r}")
        else:
            found[folded] = name
    missing = [name for name in COLUMNS if name not in found]
    if missing:
        raise DataError(f"{path}: {'; '.join(_missing(name, ignored) for name in missing)}")
    return found, tuple(ignored)


def _one_line(text: str) -> str:
    """Text that may quote a file's bytes, fit for a terminal."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:300]


def _missing(name: str, others: list[str]) -> str:
    hint = nearest(name, others, 1)
    if hint:
        return f"column {name!r} is missing; is it the one called {hint[0]!r}?"
    return f"column {name!r} is missing"
