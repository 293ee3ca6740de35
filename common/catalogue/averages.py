"""The kinds of moving average that `ma_type` offers: how many rows each needs and remembers."""

from collections.abc import Callable, Mapping

from common.catalogue.stability import ema_memory, rows_to_forget, wilder_memory

MA_TYPES = ("sma", "ema", "wma", "dema", "tema", "trima", "kama", "mama", "t3", "hma", "rma", "zlema")
"""mama has no length of its own: it adapts with limits 0.5 and 0.05."""

HILBERT_MEMORY = 300
"""Of the transform that tells mama its cycle; measured, for the transform is tuned by its own result: started later, it
came within 1e-6 in fewer rows."""


def mama_memory(slow_limit: float = 0.05) -> int:
    """Of mama and of fama, which follows it at half its weight."""
    return HILBERT_MEMORY + rows_to_forget(slow_limit / 2)


_LOOKBACKS: Mapping[str, Callable[[int], int]] = {
    "dema": lambda period: 2 * (period - 1),
    "tema": lambda period: 3 * (period - 1),
    "kama": lambda period: period,
    "mama": lambda _period: 32,
    "t3": lambda period: 6 * (period - 1),
    "hma": lambda period: period - 1 + int(period**0.5) - 1,
    "zlema": lambda period: period - 1 + (period - 1) // 2,
}
"""Of those that need other than the rows of one window."""

_MEMORIES: Mapping[str, Callable[[int], int]] = {
    "ema": ema_memory,
    "dema": lambda period: ema_memory(period, 2),
    "tema": lambda period: ema_memory(period, 3),
    "kama": lambda _period: rows_to_forget((2 / 31) ** 2),  # at its slowest
    "mama": lambda _period: mama_memory(),
    "t3": lambda period: ema_memory(period, 6),
    "rma": wilder_memory,
    "zlema": ema_memory,
}
"""Of those that remember."""


def ma_lookback(kind: str, period: int) -> int:
    """Leading rows without a value. A period of 1 is the series itself."""
    if period <= 1:
        return 0
    return _LOOKBACKS[kind](period) if kind in _LOOKBACKS else period - 1


def ma_memory(kind: str, period: int) -> int:
    """Further rows until the seed weighs less than 1e-6; 0 of an average over a window."""
    return _MEMORIES[kind](period) if kind in _MEMORIES and period > 1 else 0
