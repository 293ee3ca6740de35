"""What kernels work on.

A panel is a C-contiguous float64 array of shape (rows, symbols): time runs down, symbols across. The bars are stored in
blocks of 32 to 128 symbols, so the panels of a computation stay in a processor's own cache and passes over them are
cheap.
"""

import threading
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from common.catalogue.spec import Params

Panel = NDArray[np.float64]
Row = NDArray[np.float64]
"""Of shape (symbols,); or a whole panel as one."""

_SHAPES = 16
"""Shapes a buffer remembers; making a view costs as much as a pass over one symbol."""


_LINE = 64
"""Bytes of a cache line, and of a vector: one that straddles two lines costs two loads."""


def empty_panel(shape: tuple[int, ...]) -> Panel:
    """A panel whose content is arbitrary and whose first cell begins a cache line, which numpy's own do not."""
    cells = shape[0] * shape[1]
    buffer = np.empty(cells + _LINE // 8)
    start = -buffer.__array_interface__["data"][0] % _LINE // 8
    return buffer[start : start + cells].reshape(shape)


class _Buffer:
    """Memory that is looked at in one shape or another."""

    __slots__ = ("_cells", "_views")

    def __init__(self) -> None:
        self._cells = empty_panel((0, 0)).reshape(0)
        self._views: dict[tuple[int, ...], Panel] = {}

    def panel(self, shape: tuple[int, ...]) -> Panel:
        view = self._views.get(shape)
        if view is None:
            cells = shape[0] * shape[1]
            if self._cells.size < cells:
                self._cells = empty_panel((cells, 1)).reshape(cells)
                self._views.clear()
            if len(self._views) == _SHAPES:
                self._views.clear()
            view = self._views[shape] = self._cells[:cells].reshape(shape)
        return view


class Scratch:
    """Panels for what lies between inputs and outputs, of the shape of the inputs.

    Their memory is kept by the thread and used again by the next computation, so a computation allocates nothing.
    """

    __slots__ = ("_shape", "_taken")
    _held = threading.local()

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._shape = shape
        self._taken = 0

    @classmethod
    def release(cls) -> None:
        """Gives back what this thread keeps."""
        cls._held.__dict__.clear()

    def panel(self) -> Panel:
        """A panel of its own for the rest of this computation; its content is arbitrary."""
        held: list[_Buffer] = self._held.__dict__.setdefault("buffers", [])
        if len(held) == self._taken:
            held.append(_Buffer())
        self._taken += 1
        return held[self._taken - 1].panel(self._shape)


Kernel = Callable[[Sequence[Panel], Params, Sequence[Panel], Scratch], None]
"""(panels in the order of `spec.inputs`, complete parameters, panels in the order of `spec.outputs` to fill, scratch).

All panels are of one shape. There are more rows than the lookback, and no NaN among the inputs. A kernel leaves its
inputs alone and writes every row of its outputs from the lookback on; what it leaves in the rows before is overwritten.
It writes NaN where there is no value, and never an infinity. It allocates at most a few rows.
"""
