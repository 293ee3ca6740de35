"""How long a recurrence remembers its seed."""

import math

from common.catalogue.spec import Params

_NEGLIGIBLE = 1e-6


def rows_to_forget(alpha: float) -> int:
    """Rows until a seed weighs less than 1e-6 in `y += alpha * (x - y)`."""
    return 0 if alpha >= 1 else math.ceil(math.log(_NEGLIGIBLE) / math.log1p(-alpha))


def ema_memory(period: int, times: int = 1) -> int:
    """Of `times` exponential averages of `period` one after the other."""
    return times * rows_to_forget(2 / (period + 1))


def wilder_memory(period: int, times: int = 1) -> int:
    """Of `times` of Wilder's averages of `period` one after the other."""
    return times * rows_to_forget(1 / period)


def forever(_params: Params) -> None:
    """`memory` of what never forgets: running totals, states that only prices can change."""
