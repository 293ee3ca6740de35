"""The one rule for rows without a value among the inputs, for every indicator alike.

- An indicator of a window has a value where its `lookback` + 1 rows are there, all of them.
- A recurrence starts where all its inputs have a value, and ends at the first row that has none.
Nothing is filled. So kernels never meet a NaN.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from worker.kernels.panels import Panel

Compute = Callable[[Sequence[Panel], Sequence[Panel]], None]


def has_gap(panel: Panel) -> bool:
    """Whether there is a NaN; one pass at the speed of memory."""
    return bool(panel.size) and bool(np.isnan(panel.min()))


def compute_around_gaps(
    compute: Compute, inputs: Sequence[Panel], outputs: Sequence[Panel], *, recursive: bool
) -> None:
    """Calls `compute(inputs, outputs)` for the rows between the gaps, column by column where there are any."""
    missing = np.zeros(inputs[0].shape, bool)
    for panel in inputs:
        missing |= np.isnan(panel)
    holed = missing.any(axis=0)
    whole = np.flatnonzero(~holed)
    if len(whole):
        results = [np.empty((len(missing), len(whole))) for _ in outputs]
        compute([np.take(panel, whole, axis=1) for panel in inputs], results)
        for out, result in zip(outputs, results, strict=True):
            out[:, whole] = result
    for column in np.flatnonzero(holed):
        for out in outputs:
            out[:, column] = np.nan
        for rows in _runs(missing[:, column], only_first=recursive):
            results = [np.empty((rows.stop - rows.start, 1)) for _ in outputs]
            compute([panel[rows, column : column + 1].copy() for panel in inputs], results)
            for out, result in zip(outputs, results, strict=True):
                out[rows, column] = result[:, 0]


def _runs(missing: NDArray[np.bool_], *, only_first: bool) -> Iterator[slice]:
    """The runs of rows that are there."""
    edges = np.flatnonzero(np.diff(missing, prepend=True, append=True))
    for start, stop in edges.reshape(-1, 2)[: 1 if only_first else None]:
        yield slice(int(start), int(stop))
