"""The data file: one Parquet file of bars in long form, `date, symbol, open, high, low, close, volume`."""

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from common.errors import DataError
from worker.market.bars import PRICES, Bars

SYNTHETIC = b"synthetic"
"""Key in the file's metadata; `true` marks generated data."""

_ROW_GROUP = 1 << 20


def to_table(bars: Bars) -> pa.Table:
    """Bars as an Arrow table sorted by symbol and date; volume is int64 where all of it is whole."""
    codes = np.repeat(np.arange(len(bars.symbols), dtype=np.int32), bars.counts)
    volume = bars.columns["volume"]
    whole = bool((np.rint(volume) == volume).all() and volume.max(initial=0) < 2**53)
    columns = {
        "date": pa.array(bars.days).cast(pa.date32()),
        "symbol": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(bars.symbols)).cast(pa.string()),
        **{name: pa.array(bars.columns[name]) for name in PRICES},
        "volume": pa.array(volume.astype(np.int64) if whole else volume),
    }
    return pa.table(columns).replace_schema_metadata({SYNTHETIC: b"true"} if bars.synthetic else None)


def write(bars: Bars, path: Path) -> None:
    """Write the file, replacing what is there by one atomic rename. Raises DataError when that is not possible."""
    building = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(to_table(bars), building, compression="zstd", row_group_size=_ROW_GROUP)
        with building.open("rb") as file:
            os.fsync(file.fileno())
        building.replace(path)
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error
    finally:
        building.unlink(missing_ok=True)


def is_synthetic(path: Path) -> bool:
    """Whether the file at `path` is one of ours with generated data; False for anything else, readable or not."""
    try:
        metadata = pq.read_schema(path).metadata or {}
    except (OSError, pa.ArrowException):
        return False
    return metadata.get(SYNTHETIC) == b"true"
