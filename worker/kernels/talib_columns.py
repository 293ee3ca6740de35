"""TA-Lib's own functions over panels: it wants each symbol's rows side by side, a panel has each row's symbols so."""

from collections.abc import Callable, Sequence
from typing import Any

from numba import njit

from worker.kernels.panels import Panel, Scratch

_STRIP = 8
"""Rows turned at a time: a cache line of them."""


def by_column(
    function: Callable[..., Any], inputs: Sequence[Panel], out: Panel, scratch: Scratch, *parameters: float
) -> None:
    """Each column of `out` becomes `function` of that column of the inputs; whole numbers become float64."""
    rows, width = out.shape
    if width == 1:
        out[:, 0] = function(*[panel.ravel() for panel in inputs], *parameters)
        return
    columns = [scratch.panel().reshape(width, rows) for _ in inputs]
    for panel, turned in zip(inputs, columns, strict=True):
        _turn(panel, turned)
    results = columns[0]
    for j, column in enumerate(zip(*columns, strict=True)):
        results[j] = function(*column, *parameters)
    _turn_back(results, out)


@njit(cache=True, nogil=True, error_model="numpy")
def _turn(panel: Panel, columns: Panel) -> None:
    """`columns` becomes the transpose of `panel`."""
    rows, width = panel.shape
    whole = rows // _STRIP * _STRIP
    for t in range(0, whole, _STRIP):
        for j in range(width):
            for n in range(_STRIP):
                columns[j, t + n] = panel[t + n, j]
    for t in range(whole, rows):
        for j in range(width):
            columns[j, t] = panel[t, j]


@njit(cache=True, nogil=True, error_model="numpy")
def _turn_back(columns: Panel, panel: Panel) -> None:
    """`panel` becomes the transpose of `columns`."""
    rows, width = panel.shape
    whole = rows // _STRIP * _STRIP
    for t in range(0, whole, _STRIP):
        for j in range(width):
            for n in range(_STRIP):
                panel[t + n, j] = columns[j, t + n]
    for t in range(whole, rows):
        for j in range(width):
            panel[t, j] = columns[j, t]
