"""Candlestick patterns, equal to TA-Lib's with its default settings, which nothing here ever changes.

Of a few symbols TA-Lib itself is asked; of many, each condition is checked for all symbols at once, which is faster.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import talib

from common.catalogue.candlesticks import SPECS
from common.catalogue.spec import IndicatorSpec, Params
from worker.kernels.candlestick_kernels import confirm, find
from worker.kernels.candlestick_rules import PATTERNS, program
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.talib_columns import by_column

WIDE = 32
"""From how many symbols on it pays to check them at once."""

_CONFIRMED = {"cdlhikkake": 3, "cdlhikkakemod": 3}
"""Patterns a later close confirms, and within how many bars; TA-Lib looks for them so many rows earlier."""


def _kernel(spec: IndicatorSpec) -> Kernel:
    function: Callable[..., Any] = getattr(talib, spec.name.upper())
    parameters = [param.name for param in spec.params]
    rules = program(PATTERNS[spec.name])
    first = spec.lookback({}) - _CONFIRMED.get(spec.name, 0)

    def pattern(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
        out, depths = outputs[0], [float(p[name]) for name in parameters]
        if out.shape[1] < WIDE:
            by_column(function, inputs, out, scratch, *depths)
            return
        opened, high, low, close = inputs
        find(opened, high, low, close, first, depths[0] if depths else 0.0, out, *rules)
        if spec.name in _CONFIRMED:
            confirm(high, low, close, first, out)

    return pattern


KERNELS: Mapping[str, Kernel] = {spec.name: _kernel(spec) for spec in SPECS}
