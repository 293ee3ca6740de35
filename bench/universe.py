"""Bars of many symbols in the layouts that ours and TA-Lib like best: blocks as they are stored, contiguous columns."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from common.catalogue import CATALOGUE
from tests.oracles.bars import inputs_of, walk
from tests.oracles.talib_calls import CALLS
from worker import kernels
from worker.kernels.panels import empty_panel
from worker.market.layout import block_width

Floats = NDArray[np.float64]
Bars = Mapping[str, Floats]


class Universe:
    """`symbols` random walks of `rows` bars."""

    def __init__(self, symbols: int, rows: int) -> None:
        self.symbols, self.rows = symbols, rows
        width = block_width(rows)
        made = (walk(rows, min(width, symbols - first), first) for first in range(0, symbols, width))
        self.blocks = [{name: _as_stored(panel) for name, panel in block.items()} for block in made]
        self._columns: list[Bars] | None = None
        self._outputs: dict[int, list[Floats]] = {}

    @property
    def columns(self) -> Sequence[Bars]:
        """One symbol each, contiguous."""
        if self._columns is None:
            self._columns = [
                {name: np.ascontiguousarray(panel[:, j]) for name, panel in block.items()}
                for block in self.blocks
                for j in range(block["close"].shape[1])
            ]
        return self._columns

    def ours(self, name: str) -> Callable[[], None]:
        """An indicator with default parameters over all blocks; its outputs are used again, as in a job."""
        spec = CATALOGUE[name]
        computation = kernels.Computation(name, spec.defaults)
        work = [
            (inputs_of(spec, spec.defaults, block), self._panels(block, len(spec.outputs))) for block in self.blocks
        ]

        def run() -> None:
            for inputs, outputs in work:
                computation(inputs, outputs, complete=True)

        return run

    def talib(self, name: str) -> Callable[[], None]:
        """The same by a loop of TA-Lib calls."""
        calls = [CALLS[name].bind(name, column, CATALOGUE[name].defaults) for column in self.columns]

        def run() -> None:
            for call in calls:
                call()

        return run

    def copy(self, name: str) -> Callable[[], None]:
        """Reads the inputs and writes the outputs of an indicator, as fast as memory goes, and computes nothing."""
        spec = CATALOGUE[name]
        work = []
        for block in self.blocks:
            inputs = inputs_of(spec, spec.defaults, block)
            outputs = self._panels(block, len(spec.outputs))
            most = max(len(inputs), len(outputs))
            work += [(inputs[i % len(inputs)], outputs[i % len(outputs)]) for i in range(most)]

        def run() -> None:
            for panel, out in work:
                np.copyto(out, panel)

        return run

    def _panels(self, block: Bars, count: int) -> list[Floats]:
        width = block["close"].shape[1]
        held = self._outputs.setdefault(width, [])
        while len(held) < count:
            held.append(empty_panel((self.rows, width)))
        return held[:count]


def _as_stored(panel: Floats) -> Floats:
    """Panels of a market file begin cache lines."""
    stored = empty_panel(panel.shape)
    stored[...] = panel
    return stored


def milliseconds(body: Callable[[], object], times: int) -> float:
    """Of one run, as the mean of `times` in a row."""
    began = perf_counter()
    for _ in range(times):
        body()
    return 1000 * (perf_counter() - began) / times
