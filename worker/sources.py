"""What indicators are computed on: series of the bar, and outputs of other indicators."""

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from common.catalogue.chain import Link, link
from common.catalogue.spec import SOURCES, IndicatorSpec, Params
from worker import kernels
from worker.kernels.panels import Panel, empty_panel
from worker.market.layout import Block
from worker.market.store import Market

_KEPT = 8
"""Inner indicators of chains whose outputs are kept for the next that is made of them."""

_Outputs = Sequence[Panel]


class Sources:
    """Some symbols of a block, some of its rows. Each series is gathered once.

    `columns` are those of the symbols, None for all of the block.
    """

    def __init__(self, market: Market, block: Block, columns: Sequence[int] | None, rows: slice) -> None:
        self._market = market
        self._block = block
        self._columns = columns
        self._rows = rows
        self._series: dict[str, Panel] = {}
        self._inner: OrderedDict[tuple[object, ...], _Outputs] = OrderedDict()

    def run(self, spec: IndicatorSpec, params: Params, outputs: _Outputs | None = None) -> _Outputs:
        """The outputs of an indicator, shape (rows, symbols) each, in `outputs` when given."""
        sources = [str(params.get(name, name)) for name in spec.inputs]
        inputs = [self._input(source) for source in sources]
        first = max(lookback for _, lookback in inputs)
        panels = [panel[first:] for panel, _ in inputs]
        if outputs is None:
            outputs = [empty_panel(inputs[0][0].shape) for _ in spec.outputs]
        complete = all(map(_is_of_bars, sources))
        kernels.run(spec.name, panels, params, [out[first:] for out in outputs], complete=complete)
        for out in outputs:
            out[:first] = np.nan
        return outputs

    def _input(self, source: str) -> tuple[Panel, int]:
        """One input, and how many leading rows of it have no value."""
        if _is_of_bars(source):
            return self._of_bars(source), 0
        inner = link(source)
        return self._of_link(inner), inner.lookback

    def _of_bars(self, name: str) -> Panel:
        if name not in self._series:
            self._series[name] = self._market.source_panel(self._block, name, self._columns)[self._rows]
        return self._series[name]

    def _of_link(self, inner: Link) -> Panel:
        key = (inner.spec.name, inner.params)
        if key not in self._inner:
            self._inner[key] = self.run(inner.spec, dict(inner.params))
            if len(self._inner) > _KEPT:
                self._inner.popitem(last=False)
        return self._inner[key][inner.output]


def _is_of_bars(source: str) -> bool:
    """Whether it has a value in each row, as bars do; an indicator may have none here and there."""
    return source in SOURCES or source == "date"
