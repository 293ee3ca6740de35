"""Bars of many symbols in the layouts that ours and TA-Lib like best: blocks as they are stored, contiguous columns."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from time import perf_counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from common.catalogue import CATALOGUE
from tests.oracles.bars import inputs_of, walk
from tests.oracles.talib_calls import CALLS
from worker import kernels
from worker.kernels.panels import empty_panel
from worker.market.layout import block_width

Floats = NDArray[np.float64]
Bars = Mapping[str, Floats]
Times = Mapping[str, float]
"""Milliseconds by indicator."""


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

    def ours_again(self, name: str, times: int) -> float:
        """Milliseconds of one indicator over all blocks, as the mean of `times` in a row."""
        bodies = [self._computation(block, name) for block in self.blocks]
        return _milliseconds(lambda: [body() for _ in range(times) for body in bodies]) / times

    def talib_again(self, name: str, times: int) -> float:
        """The same by a loop of TA-Lib calls."""
        bodies = [CALLS[name].bind(name, column, CATALOGUE[name].defaults) for column in self.columns]
        return _milliseconds(lambda: [body() for _ in range(times) for body in bodies]) / times

    def ours(self, names: Sequence[str]) -> Times:
        """Indicators with default parameters, in the order of a job: all of them for one block, then for the next.

        Output panels are used again, as in a job.
        """
        return self._in_turn(self._computations(block, names) for block in self.blocks)

    def talib(self, names: Sequence[str]) -> Times:
        """The same by TA-Lib calls: all of them for one symbol, then for the next."""
        parameters = {name: CATALOGUE[name].defaults for name in names}
        return self._in_turn(
            {name: CALLS[name].bind(name, column, parameters[name]) for name in names} for column in self.columns
        )

    def copies(self, names: Sequence[str]) -> Times:
        """Reads the inputs and writes the outputs of indicators, as fast as memory goes, and computes nothing."""
        return self._in_turn({name: self._copy(block, name) for name in names} for block in self.blocks)

    def pandas(self, of_pandas: Callable[[pd.DataFrame], object]) -> float:
        """Milliseconds of a formulation over all symbols at once."""
        frame = pd.DataFrame(np.concatenate([block["close"] for block in self.blocks], axis=1))
        return _milliseconds(lambda: of_pandas(frame))

    @staticmethod
    def _in_turn(work: Iterable[Mapping[str, Callable[[], object]]]) -> Times:
        """Milliseconds of each, in all."""
        times: dict[str, float] = {}
        for bodies in work:
            for name, body in bodies.items():
                times[name] = times.get(name, 0.0) + _milliseconds(body)
        return times

    def _computations(self, block: Bars, names: Sequence[str]) -> Mapping[str, Callable[[], object]]:
        return {name: self._computation(block, name) for name in names}

    def _computation(self, block: Bars, name: str) -> Callable[[], object]:
        spec = CATALOGUE[name]
        computation = kernels.Computation(name, spec.defaults)
        inputs, outputs = inputs_of(spec, spec.defaults, block), self._panels(block, len(spec.outputs))
        return lambda: computation(inputs, outputs, complete=True)

    def _copy(self, block: Bars, name: str) -> Callable[[], object]:
        spec = CATALOGUE[name]
        inputs, outputs = inputs_of(spec, spec.defaults, block), self._panels(block, len(spec.outputs))
        pairs = [(inputs[i % len(inputs)], outputs[i % len(outputs)]) for i in range(max(len(inputs), len(outputs)))]

        def run() -> None:
            for panel, out in pairs:
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


def _milliseconds(body: Callable[[], object]) -> float:
    began = perf_counter()
    body()
    return 1000 * (perf_counter() - began)
