"""The manifest: which market data is served, as every process sees it.

`MARKET_DIR/manifest.json` names the current version; its panels lie in `MARKET_DIR/<data_version>/`.
Replacing that one file is the whole of an import, so a reader sees the old data or the new, never a mixture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson

from common.errors import DataError, NotFound

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class SymbolInfo:
    symbol: str
    first_date: date
    last_date: date
    rows: int

    def rows_between(self, start: date, end: date) -> int:
        """About how many trading days lie between two dates: all of them, or their share of the days."""
        return _rows_between(self.rows, self.first_date, self.last_date, start, end)


@lru_cache(maxsize=1024)  # most symbols have the same days, and jobs the same windows
def _rows_between(rows: int, first_date: date, last_date: date, start: date, end: date) -> int:
    first, last = max(start, first_date), min(end, last_date)
    if first > last:
        return 0
    span = (last_date - first_date).days + 1
    return round(rows * ((last - first).days + 1) / span)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of the market data.

    `data_version` is a hash of the content: equal data has equal versions, whatever file it came from.
    `source` says which file it was made from (path, size in bytes, mtime in ns), so a changed file is noticed.
    """

    data_version: str
    as_of: date
    rows: int
    synthetic: bool
    source: Mapping[str, Any]
    symbols: Mapping[str, SymbolInfo]  # in order of symbol

    def find(self, symbol: str) -> SymbolInfo:
        """Raises NotFound with the nearest symbols."""
        info = self.symbols.get(symbol)
        if info is None:
            raise NotFound("symbol", symbol, tuple(self.symbols))
        return info

    def to_json(self) -> bytes:
        return orjson.dumps(
            {
                "data_version": self.data_version,
                "as_of": self.as_of,
                "rows": self.rows,
                "synthetic": self.synthetic,
                "source": dict(self.source),
                "symbols": {
                    s.symbol: {"first_date": s.first_date, "last_date": s.last_date, "rows": s.rows}
                    for s in self.symbols.values()
                },
            }
        )

    @classmethod
    def from_json(cls, text: bytes) -> "Manifest":
        raw = orjson.loads(text)
        return cls(
            data_version=raw["data_version"],
            as_of=date.fromisoformat(raw["as_of"]),
            rows=raw["rows"],
            synthetic=raw["synthetic"],
            source=MappingProxyType(raw["source"]),
            symbols=MappingProxyType(
                {
                    name: SymbolInfo(
                        name,
                        date.fromisoformat(s["first_date"]),
                        date.fromisoformat(s["last_date"]),
                        s["rows"],
                    )
                    for name, s in raw["symbols"].items()
                }
            ),
        )


class ManifestFile:
    """The current manifest, read again only when its file was replaced."""

    def __init__(self, market_dir: Path) -> None:
        self._path = market_dir / MANIFEST
        self._stamp: tuple[int, int] | None = None
        self._current: Manifest | None = None

    def current(self) -> Manifest:
        """Raises DataError when no data has been published."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            raise DataError(f"no market data has been published in {self._path.parent}") from None
        stamp = (stat.st_mtime_ns, stat.st_ino)
        if self._current is None or stamp != self._stamp:
            self._current = Manifest.from_json(self._path.read_bytes())
            self._stamp = stamp
        return self._current
