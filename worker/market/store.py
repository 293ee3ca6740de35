"""The published panels, opened for reading.

    MARKET_DIR/manifest.json             the current version (common.dataset)
    MARKET_DIR/<data_version>/
        manifest.json                    the manifest as it was when this version was published
        index.json                       {"layout", "blocks": [{"rows", "symbols", "calendars"}]}
        open.npy high.npy … volume.npy   float64 (cells,): the blocks one after the other
        days.npy                         int32 (days,): the distinct calendars one after the other
        1w/ 1mo/                         index.json and panels of the weekly and monthly bars; versions that were
                                         published before there were such have none, and a process makes its own

A block holds symbols that have the same number of rows (at most `block_width(rows)` of them), as a C-contiguous
`(rows, symbols)` panel per field. Each symbol of a block has its calendar: the `rows` entries of `days` from its
offset in `calendars` on.
All files are memory-mapped read-only, so the processes of a machine share one copy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import cast

import numpy as np
import orjson
from numpy.typing import NDArray

from common.dataset import MANIFEST, Manifest, ManifestFile
from common.errors import DataError
from common.query import Interval
from worker.market.bars import FIELDS, Bars, Days, Floats
from worker.market.layout import Block, arrange
from worker.market.resample import resample

LAYOUT = 1
"""Version of the files above; panels of another layout are published anew."""
INDEX = "index.json"
DAYS = "days.npy"
RESAMPLED = (Interval.WEEK, Interval.MONTH)
"""Intervals that are made of the daily bars and lie in folders of their names."""

_KEPT_OPEN = 4


@dataclass(frozen=True, slots=True)
class Place:
    """Where a symbol lies."""

    block: Block
    column: int


class Market:
    """One version of the market data in bars of one interval, immutable. Arrays it gives out are read-only."""

    def __init__(
        self,
        manifest: Manifest,
        blocks: Sequence[Block],
        cells: Mapping[str, Floats],
        days: Days,
        others: Mapping[Interval, "Market"] = MappingProxyType({}),
    ) -> None:
        self.manifest = manifest
        self._others = dict(others)
        self.blocks = tuple(blocks)
        self._cells = cells
        self._days = days
        self._places = {symbol: Place(block, column) for block in blocks for column, symbol in enumerate(block.symbols)}

    @classmethod
    def open(cls, market_dir: Path) -> "Market":
        """The current version. Raises DataError when there is none or it cannot be read."""
        return MarketFile(market_dir).current_market()

    @property
    def data_version(self) -> str:
        return self.manifest.data_version

    def at(self, interval: Interval) -> "Market":
        """The same market in daily, weekly or monthly bars. Only of a market of daily ones."""
        if interval is Interval.DAY:
            return self
        if interval not in self._others:
            self._others[interval] = self._resampled(interval)
        return self._others[interval]

    def _resampled(self, interval: Interval) -> "Market":
        """Made in memory, of a version that was published without."""
        bars = resample(self._bars(), interval)
        arranged = arrange(bars)
        cells = {field: bars.columns[field][arranged.order] for field in FIELDS}
        return Market(self.manifest, arranged.blocks, cells, arranged.days)

    def _bars(self) -> Bars:
        places = [self.place(symbol) for symbol in self.manifest.symbols]
        return Bars(
            symbols=tuple(self.manifest.symbols),
            counts=np.array([place.block.rows for place in places], np.int64),
            days=np.concatenate([self.days(place) for place in places]),
            columns={
                field: np.concatenate([self.panel(place.block, field)[:, place.column] for place in places])
                for field in FIELDS
            },
            synthetic=self.manifest.synthetic,
        )

    def place(self, symbol: str) -> Place:
        """Raises NotFound with the nearest symbols."""
        place = self._places.get(symbol)
        return place if place is not None else self._places[self.manifest.find(symbol).symbol]

    def days(self, place: Place) -> Days:
        """Calendar of a symbol, int32 days since 1970-01-01, shape (rows,)."""
        start = place.block.calendars[place.column]
        return self._days[start : start + place.block.rows]

    def panel(self, block: Block, field: str) -> Floats:
        """A column of the bars for all symbols of a block, shape (rows, symbols), C-contiguous."""
        width = len(block.symbols)
        return self._cells[field][block.start : block.start + block.rows * width].reshape(block.rows, width)

    def source_panel(
        self, block: Block, source: str, columns: NDArray[np.intp] | Sequence[int] | None = None
    ) -> Floats:
        """Any of `common.catalogue.spec.SOURCES`, shape (rows, symbols) or (rows, len(columns)), C-contiguous.

        "date" is the days since 1970-01-01. The averages are those of TA-Lib (MEDPRICE, TYPPRICE, AVGPRICE), terms
        added in its order.
        """

        def field(name: str) -> Floats:
            panel = self.panel(block, name)
            return panel if columns is None else np.take(panel, columns, axis=1)

        if source in FIELDS:
            return field(source)
        if source == "date":
            chosen = range(len(block.symbols)) if columns is None else columns
            return np.stack([self.days(Place(block, int(j))) for j in chosen], axis=1).astype(np.float64, order="C")
        total = field("high") + field("low")
        if source == "hl2":
            total /= 2.0
        elif source == "hlc3":
            total += field("close")
            total /= 3.0
        elif source == "ohlc4":
            total += field("close")
            total += field("open")
            total /= 4.0
        else:
            raise ValueError(f"{source!r} is not a source")
        return total


class MarketFile:
    """The current market of a folder, opened again when another version was published; older ones by name."""

    def __init__(self, market_dir: Path) -> None:
        self._dir = market_dir
        self._manifest = ManifestFile(market_dir)
        self._open: dict[str, Market] = {}

    def current_market(self) -> Market:
        """Raises DataError when nothing has been published or it cannot be read."""
        return self.market_for(self._manifest.current().data_version)

    def market_for(self, data_version: str) -> Market:
        """The market of that version. Raises DataError when its panels are no longer there."""
        market = self._open.get(data_version)
        return market if market is not None else self._keep(open_version(self._dir, data_version))

    def _keep(self, market: Market) -> Market:
        self._open[market.data_version] = market
        while len(self._open) > _KEPT_OPEN:
            del self._open[next(iter(self._open))]
        return market


def open_version(market_dir: Path, data_version: str) -> Market:
    """Map the panels of one version. Raises DataError when they are missing or of another layout."""
    folder = market_dir / data_version
    try:
        manifest = Manifest.from_json((folder / MANIFEST).read_bytes())
        there = [interval for interval in RESAMPLED if (folder / interval).is_dir()]
        others = {interval: _open_panels(folder / interval, manifest) for interval in there}
        return _open_panels(folder, manifest, others)
    except FileNotFoundError as error:
        raise DataError(f"market data of version {data_version} is not in {market_dir}: no {error.filename}") from None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise DataError(f"panels in {folder} cannot be read: {error}") from error


def _open_panels(folder: Path, manifest: Manifest, others: Mapping[Interval, Market] = MappingProxyType({})) -> Market:
    """Map the panels of one interval."""
    index = orjson.loads((folder / INDEX).read_bytes())
    if index["layout"] != LAYOUT:
        raise DataError(f"panels in {folder} have layout {index['layout']}, not {LAYOUT}; publish the data again")
    cells = {field: cast("Floats", _mapped(folder / f"{field}.npy")) for field in FIELDS}
    days = cast("Days", _mapped(folder / DAYS))
    blocks = []
    start = 0
    for number, raw in enumerate(index["blocks"]):
        blocks.append(Block(number, raw["rows"], start, tuple(raw["symbols"]), tuple(raw["calendars"])))
        start += raw["rows"] * len(raw["symbols"])
    if any(len(values) != start for values in cells.values()):
        raise DataError(f"panels in {folder} do not fit their index; publish the data again")
    return Market(manifest, blocks, cells, days, others)


def _mapped(path: Path) -> NDArray[np.float64] | NDArray[np.int32]:
    """A plain read-only array over the mapped file.

    Mapped as private and writable, so that kernels may view it as the one type they are compiled for; as nobody writes,
    all processes share the pages.
    """
    mapped = np.asarray(np.load(path, mmap_mode="c", allow_pickle=False)).view(np.ndarray)
    mapped.flags.writeable = False
    return mapped
