"""Publication: bars become panels, and the manifest names them."""

import os
import shutil
import tempfile
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from common.dataset import MANIFEST, Manifest, SymbolInfo
from common.errors import DataError
from worker.market.bars import FIELDS, Bars
from worker.market.layout import arrange
from worker.market.resample import resample
from worker.market.store import DAYS, INDEX, LAYOUT, RESAMPLED, open_version
from worker.market.versions import SCRATCH, clear_scratch, locked

_EPOCH = date(1970, 1, 1)


def source_stamp(path: Path) -> dict[str, Any]:
    """What tells one state of a file from the next. Raises FileNotFoundError."""
    stat = path.stat()
    return {"path": str(path.resolve()), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def published_from(market_dir: Path, source: dict[str, Any]) -> Manifest | None:
    """The current manifest if it was made from just this file and its panels are in place, else None."""
    try:
        manifest = Manifest.from_json((market_dir / MANIFEST).read_bytes())
        if dict(manifest.source) != source:
            return None
        _open_whole(market_dir, manifest.data_version)
    except (FileNotFoundError, DataError, ValueError, KeyError, TypeError):
        return None
    return manifest


def publish(bars: Bars, market_dir: Path, source: dict[str, Any]) -> Manifest:
    """Write the panels of `bars`, then replace the manifest; readers see the old data or the new.

    Publishers exclude one another. Older versions stay on disk until the sweeper prunes them: jobs may need them.
    """
    market_dir.mkdir(parents=True, exist_ok=True)
    with locked(market_dir):
        clear_scratch(market_dir)
        manifest = describe(bars, source)
        folder = market_dir / manifest.data_version
        try:
            _open_whole(market_dir, manifest.data_version)
            os.utime(folder)
        except DataError:
            building = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=market_dir))
            building.chmod(0o755)
            _write_panels(bars, building)
            for interval in RESAMPLED:
                (building / interval).mkdir(mode=0o755)
                _write_panels(resample(bars, interval), building / interval)
            _write(building / MANIFEST, replace(manifest, source=MappingProxyType({})).to_json())
            _sync_folder(building)
            shutil.rmtree(folder, ignore_errors=True)
            building.rename(folder)
        _replace(market_dir / MANIFEST, manifest.to_json())
    return manifest


def _open_whole(market_dir: Path, data_version: str) -> None:
    """Raises DataError when panels are missing, those of weeks and months included, or cannot be read."""
    open_version(market_dir, data_version)
    for interval in RESAMPLED:
        if not (market_dir / data_version / interval).is_dir():
            raise DataError(f"version {data_version} was published without bars of {interval}")


def describe(bars: Bars, source: dict[str, Any]) -> Manifest:
    """The manifest of `bars`."""
    starts, ends = bars.starts, bars.starts + bars.counts - 1
    return Manifest(
        data_version=bars.version(),
        as_of=day_to_date(int(bars.days.max())),
        rows=bars.rows,
        synthetic=bars.synthetic,
        source=MappingProxyType(dict(source)),
        symbols=MappingProxyType(
            {
                symbol: SymbolInfo(symbol, day_to_date(first), day_to_date(last), count)
                for symbol, first, last, count in zip(
                    bars.symbols,
                    bars.days[starts].tolist(),
                    bars.days[ends].tolist(),
                    bars.counts.tolist(),
                    strict=True,
                )
            }
        ),
    )


def day_to_date(day: int) -> date:
    """`day` days after 1970-01-01."""
    return _EPOCH + timedelta(days=day)


def _write_panels(bars: Bars, folder: Path) -> None:
    """Write the panels of one interval into `folder`, on disk when this returns."""
    arranged = arrange(bars)
    for field in FIELDS:
        _save(folder / f"{field}.npy", bars.columns[field][arranged.order])
    _save(folder / DAYS, arranged.days)
    blocks = [{"rows": b.rows, "symbols": b.symbols, "calendars": b.calendars} for b in arranged.blocks]
    _write(folder / INDEX, orjson.dumps({"layout": LAYOUT, "blocks": blocks}))
    _sync_folder(folder)


def _save(path: Path, values: NDArray[np.float64] | NDArray[np.int32]) -> None:
    with path.open("wb") as file:
        np.save(file, values, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, content: bytes) -> None:
    """Replace a file by one atomic rename, durable when this returns."""
    building = path.with_name(f".{path.name}.{os.getpid()}")
    _write(building, content)
    building.replace(path)
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
