"""Numbers and words as text, many at once."""

from collections.abc import Iterable, Sequence
from itertools import chain, groupby, repeat
from operator import attrgetter

import numpy as np
import orjson
from numpy.typing import NDArray

Column = NDArray[np.float64] | NDArray[np.int64]

_QUOTED = frozenset('",')


def csv_cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _QUOTED.intersection(text) else text


def csv_line(cells: Sequence[str]) -> bytes:
    return (",".join(map(csv_cell, cells)) + "\n").encode()


def csv_lines(keys: Sequence[str], columns: Sequence[Column]) -> bytes:
    """A line per row: its key, ready to be written, then its number of each column."""
    rows = rows_of(columns, null="")
    return "".join(chain.from_iterable(zip(keys, repeat(","), rows, repeat("\n"), strict=False))).encode()


def rows_of(columns: Sequence[Column], null: str) -> Iterable[str]:
    """The numbers of each row, separated by commas.

    Neighbours of one type are formatted by orjson as one matrix, which is cut apart at its brackets.
    """
    if not len(columns[0]):
        return []
    runs = []
    for _, run in groupby(columns, key=attrgetter("dtype")):
        text = orjson.dumps(np.stack(list(run), axis=1), option=orjson.OPT_SERIALIZE_NUMPY).decode()
        runs.append(text[2:-2].replace("null", null).split("],["))
    return runs[0] if len(runs) == 1 else map(",".join, zip(*runs, strict=True))
