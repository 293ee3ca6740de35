"""How long a recurrence remembers its seed."""

import math

_NEGLIGIBLE = 1e-6


def rows_to_forget(alpha: float) -> int:
    """Rows until a seed weighs less than 1e-6 in `y += alpha * (x - y)`."""
    return 0 if alpha >= 1 else math.ceil(math.log(_NEGLIGIBLE) / math.log1p(-alpha))
