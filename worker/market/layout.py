"""How bars are cut into blocks, on disk and in memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from worker.market.bars import Bars, Days

_BLOCK_CELLS = 160 * 1024
_NARROWEST, _WIDEST = 32, 128


@dataclass(frozen=True, slots=True)
class Block:
    """Symbols with the same number of rows; `start` is the first cell of the block in each field's cells."""

    number: int
    rows: int
    start: int
    symbols: tuple[str, ...]
    calendars: tuple[int, ...]  # offset into the days, per symbol


@dataclass(frozen=True, slots=True)
class Arrangement:
    """Bars in blocks: cell i of a field is row `order[i]` of the bars; `days` are the distinct calendars."""

    blocks: Sequence[Block]
    order: NDArray[np.int64]
    days: Days


def block_width(rows: int) -> int:
    """Symbols per block at most: so many that a panel stays in a processor's own cache, in whole vectors of 8."""
    return min(max(_BLOCK_CELLS // rows // 8 * 8, _NARROWEST), _WIDEST)


def arrange(bars: Bars) -> Arrangement:
    """The blocks of `bars`, longest histories first."""
    starts = bars.starts
    days, calendars = _calendars(bars)
    blocks: list[Block] = []
    order: list[NDArray[np.int64]] = []
    first = 0
    for rows in sorted(set(bars.counts.tolist()), reverse=True):
        alike = np.flatnonzero(bars.counts == rows)
        width = block_width(rows)
        for members in np.split(alike, range(width, len(alike), width)):
            symbols = tuple(bars.symbols[i] for i in members)
            blocks.append(Block(len(blocks), rows, first, symbols, tuple(calendars[i] for i in members)))
            # Row t of a panel: bar t of every member.
            order.append((np.arange(rows)[:, None] + starts[members][None, :]).ravel())
            first += rows * len(members)
    return Arrangement(blocks, np.concatenate(order), days)


def _calendars(bars: Bars) -> tuple[Days, list[int]]:
    """The distinct calendars end to end, and each symbol's offset among them."""
    offsets: dict[bytes, int] = {}
    distinct: list[Days] = []
    end = 0
    mine = []
    for start, count in zip(bars.starts.tolist(), bars.counts.tolist(), strict=True):
        days = bars.days[start : start + count]
        key = days.tobytes()
        if key not in offsets:
            offsets[key] = end
            distinct.append(days)
            end += count
        mine.append(offsets[key])
    return np.concatenate(distinct), mine
