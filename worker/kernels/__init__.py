"""How each indicator of the catalogue is computed: one kernel per spec. A family is a file, and a name in FAMILIES."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from common.catalogue import CATALOGUE
from common.catalogue.spec import Params
from worker.kernels import (
    averages_adaptive,
    averages_weighted,
    bands,
    candlesticks,
    channels,
    crossings,
    cycles,
    directional,
    math_operators,
    math_transform,
    momentum,
    moving_averages,
    oscillators,
    oscillators_bounded,
    oscillators_filtered,
    pivots,
    price_transform,
    rates,
    regression,
    statistics,
    stops,
    trends,
    volatility,
    volume_averages,
    volume_flow,
)
from worker.kernels.gaps import compute_around_gaps, has_gap
from worker.kernels.panels import Kernel, Panel, Scratch, empty_panel

FAMILIES = (
    moving_averages,
    averages_weighted,
    averages_adaptive,
    bands,
    channels,
    volatility,
    stops,
    momentum,
    rates,
    oscillators,
    oscillators_bounded,
    oscillators_filtered,
    directional,
    trends,
    volume_flow,
    volume_averages,
    statistics,
    regression,
    price_transform,
    math_transform,
    math_operators,
    crossings,
    cycles,
    pivots,
    candlesticks,
)

KERNELS: Mapping[str, Kernel] = MappingProxyType(
    {name: kernel for family in FAMILIES for name, kernel in family.KERNELS.items()}
)

COMPILED = tuple(name for name in KERNELS if name not in candlesticks.KERNELS)
"""Indicators with a kernel of their own at any width; candlestick patterns have one for many symbols alone."""

# Kernels work on whole panels, rows included that have no value yet; what numpy would say of those means nothing.
np.seterr(all="ignore")

_NAN = float("nan")


class Computation:
    """An indicator with its parameters, ready to be computed over any number of panels."""

    __slots__ = ("_kernel", "_lookback", "_outputs", "_params", "_recursive")

    def __init__(self, indicator: str, params: Params) -> None:
        spec = CATALOGUE[indicator]
        self._kernel = KERNELS[indicator]
        self._params = params
        self._lookback = spec.lookback(params)
        self._recursive = spec.recursive(params)
        self._outputs = len(spec.outputs)

    def __call__(
        self, inputs: Sequence[Panel], outputs: Sequence[Panel] | None = None, *, complete: bool = False
    ) -> Sequence[Panel]:
        """The outputs, made when not given. `inputs` are in the order of the spec's, all of one shape (rows, symbols).

        `complete` says that no input has a NaN, so that nobody has to look. Raises whatever the kernel raises.
        """
        if outputs is None:
            outputs = [empty_panel(inputs[0].shape) for _ in range(self._outputs)]
        if complete or not any(map(has_gap, inputs)):
            self._compute(inputs, outputs)
        else:
            compute_around_gaps(self._compute, inputs, outputs, recursive=self._recursive)
        return outputs

    def _compute(self, inputs: Sequence[Panel], outputs: Sequence[Panel]) -> None:
        shape, lookback = inputs[0].shape, self._lookback
        if shape[0] > lookback and shape[1]:
            typed = [panel if panel.flags.writeable else _typed(panel) for panel in inputs]
            self._kernel(typed, self._params, outputs, Scratch(shape))
        if lookback:
            for out in outputs:
                out[:lookback] = _NAN


def run(
    indicator: str,
    inputs: Sequence[Panel],
    params: Params,
    outputs: Sequence[Panel] | None = None,
    *,
    complete: bool = False,
) -> Sequence[Panel]:
    """Compute one indicator once; see `Computation`."""
    return Computation(indicator, params)(inputs, outputs, complete=complete)


def _typed(panel: Panel) -> Panel:
    """A read-only panel as the one type compiled code is made for: a read-only array is a type of its own."""
    base = panel.base
    if isinstance(base, np.ndarray) and base.flags.writeable:
        view = panel.view()
        view.flags.writeable = True
        return view
    return panel.copy()
