"""Daily bars in memory, in their one canonical order."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PRICES = ("open", "high", "low", "close")
FIELDS = (*PRICES, "volume")

Days = NDArray[np.int32]
"""Days since 1970-01-01."""
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars sorted by symbol (code points), then date.

    `symbols` are sorted and distinct, `counts` (len(symbols),) says how many rows each has, at least one;
    `days` (rows,) and every field of `columns` (rows,) are C-contiguous. Prices are finite and positive.
    """

    symbols: tuple[str, ...]
    counts: NDArray[np.int64]
    days: Days
    columns: Mapping[str, Floats]
    synthetic: bool = False

    @classmethod
    def from_rows(
        cls,
        symbols: Sequence[str],
        codes: NDArray[np.int64],
        days: Days,
        columns: Mapping[str, Floats],
        *,
        synthetic: bool = False,
    ) -> "Bars":
        """From rows in any order: row i is of `symbols[codes[i]]`, where `symbols` are distinct."""
        by_name = sorted(range(len(symbols)), key=symbols.__getitem__)
        rank = np.empty(len(symbols), np.int64)
        rank[by_name] = np.arange(len(symbols))
        ranks = rank[codes]
        counts = np.bincount(ranks, minlength=len(symbols))
        order = np.lexsort((days, ranks))
        # Adding 0.0 turns -0.0 into 0.0: equal content must have equal bytes.
        return cls(
            symbols=tuple(symbols[i] for i in by_name if counts[rank[i]]),
            counts=counts[counts > 0],
            days=np.ascontiguousarray(days[order], np.int32),
            columns={name: columns[name].astype(np.float64, copy=False)[order] + 0.0 for name in FIELDS},
            synthetic=synthetic,
        )

    @property
    def rows(self) -> int:
        return len(self.days)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Row at which each symbol begins."""
        return np.cumsum(self.counts) - self.counts

    def version(self) -> str:
        """Hash of the content: equal bars have equal versions, whatever file or row order they came from."""
        digest = hashlib.blake2b(b"kalpi bars 1\n", digest_size=8)
        digest.update("\0".join(self.symbols).encode())
        digest.update(self.counts.astype("<i8").data)
        digest.update(self.days.astype("<i4").data)
        for name in FIELDS:
            digest.update(self.columns[name].astype("<f8", copy=False).data)
        return digest.hexdigest()
