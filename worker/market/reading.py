"""Files of bars as they come: Parquet or CSV, columns in any case and order, values not yet judged."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from common.errors import DataError, nearest
from worker.market.bars import FIELDS
from worker.market.datafile import SYNTHETIC

COLUMNS = ("date", "symbol", *FIELDS)

_PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True)
class RawFile:
    """The seven columns of one file under their own names, types as found; row i is data row i + 1."""

    path: Path
    table: pa.Table
    ignored: tuple[str, ...]  # columns that were there besides
    synthetic: bool


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
    synthetic = (schema.metadata or {}).get(SYNTHETIC) == b"true"
    return RawFile(path, _named(table, found), ignored, synthetic)


def _read_csv(path: Path) -> RawFile:
    reading = pacsv.ReadOptions(use_threads=False)
    with pacsv.open_csv(path, read_options=reading) as stream:
        names = stream.schema.names
    found, ignored = _match(path, names)
    conversion = pacsv.ConvertOptions(
        include_columns=[found[name] for name in COLUMNS],
        # Tickers such as TRUE, NA or 005930 are no booleans, gaps or numbers.
        column_types={found["symbol"]: pa.string(), found["date"]: pa.string()},
        strings_can_be_null=False,
    )
    table = pacsv.read_csv(path, read_options=reading, convert_options=conversion)
    return RawFile(path, _named(table, found), ignored, synthetic=False)


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
