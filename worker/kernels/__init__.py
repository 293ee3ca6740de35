"""How each indicator of the catalogue is computed: one kernel per spec. A new one is a function and a line here."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from common.catalogue import CATALOGUE
from common.catalogue.spec import Params
from worker.kernels import bands, momentum, moving_averages
from worker.kernels.primitives import Panel

Kernel = Callable[[Sequence[Panel], Params, Sequence[Panel]], None]
"""(panels in the order of `spec.inputs`, complete parameters, panels in the order of `spec.outputs` to fill).

All panels are C-contiguous and of one shape (rows, symbols). A kernel leaves its inputs alone, writes every cell of
its outputs (NaN where there is no value), and allocates at most a few rows.
"""

KERNELS: Mapping[str, Kernel] = MappingProxyType(
    {
        "sma": moving_averages.sma,
        "ema": moving_averages.ema,
        "rsi": momentum.rsi,
        "macd": momentum.macd,
        "bbands": bands.bbands,
    }
)


def run(
    indicator: str, inputs: Sequence[Panel], params: Params, outputs: Sequence[Panel] | None = None
) -> Sequence[Panel]:
    """Compute one indicator; the results lie in `outputs`, which are made when not given.

    Raises whatever the kernel raises.
    """
    if outputs is None:
        outputs = [np.empty(inputs[0].shape) for _ in CATALOGUE[indicator].outputs]
    # Compiled code is made per type, and a read-only array is a type of its own: everything is passed as one.
    KERNELS[indicator]([_read_only(panel) for panel in inputs], params, outputs)
    return outputs


def warm_up() -> None:
    """Compile every kernel, or load it from numba's cache. Called before a fork, so that children need not."""
    for name, spec in CATALOGUE.items():
        run(name, [np.ones((4, 2)) for _ in spec.inputs], spec.defaults)


def _read_only(panel: Panel) -> Panel:
    view = panel.view()
    view.flags.writeable = False
    return view
