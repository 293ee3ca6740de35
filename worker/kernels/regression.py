"""Straight lines through windows by least squares."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.spec import Params
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.windows import rolling_moments


def linearreg(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """The line at the last row of the window (TA-Lib LINEARREG)."""
    period = int(p["period"])
    _line(inputs[0], period, 1.0, (period - 1) / 2.0, outputs[0])


def linearreg_intercept(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """The line at the first row of the window (TA-Lib LINEARREG_INTERCEPT)."""
    period = int(p["period"])
    _line(inputs[0], period, 1.0, (1 - period) / 2.0, outputs[0])


def tsf(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """The line one row after the window (TA-Lib TSF)."""
    period = int(p["period"])
    _line(inputs[0], period, 1.0, (period + 1) / 2.0, outputs[0])


def linearreg_slope(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Rise of the line per row (TA-Lib LINEARREG_SLOPE)."""
    _line(inputs[0], int(p["period"]), 0.0, 1.0, outputs[0])


def linearreg_angle(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Angle of the line in degrees (TA-Lib LINEARREG_ANGLE)."""
    (out,) = outputs
    _line(inputs[0], int(p["period"]), 0.0, 1.0, out)
    np.arctan(out, out=out)
    out *= 180.0 / np.pi


def slope(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Change per row over `period` rows (pandas-ta slope)."""
    (x,), period = inputs, int(p["period"])
    known = outputs[0][period:]
    np.subtract(x[period:], x[:-period], out=known)
    known /= period


def r_squared(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Share of the variance that the line explains; 0 where the window has none.

    The slope in units of the deviation is the correlation of values and rows, over the deviation of the rows.
    """
    (x,), (out,), period = inputs, outputs, int(p["period"])
    deviation = scratch.panel()
    rolling_moments(x, period, out, deviation)
    np.maximum(deviation, np.finfo(np.float64).tiny, out=deviation)  # the slope is 0 where this is 0
    _line(x, period, 0.0, float(np.sqrt((period * period - 1) / 12.0)), out)
    out /= deviation
    np.square(out, out=out)
    np.minimum(out, 1.0, out=out)


@njit(cache=True, nogil=True, error_model="numpy")
def _line(x: Panel, period: int, level: float, offset: float, out: Panel) -> None:
    """`level` times the mean of each window plus `offset` times the slope of its line; `level` is 0 or 1.

    The line is mean + slope * (row - middle), and both are sums of values with weights: of 1 / period for the mean,
    of (row - middle) / sum of squares for the slope. So is their combination, and it is put together from the tail of
    one stretch of `period` rows and the head of the next (see windows.py), of distances from the later one's first
    value. Rows are counted from there; a value at row r weighs near + steep * r, where only `near` depends on the
    window.
    """
    rows, width = x.shape
    steep = offset * 12.0 / (float(period) * (float(period) * period - 1.0))
    total, moment = np.zeros(width), np.zeros(width)
    for start in range(0, rows, period):
        end = min(start + period, rows)
        if width == 1:
            base, one, two = x[start, 0], 0.0, 0.0
            for t in range(start - 1, max(start - period, -1), -1):
                distance = x[t, 0] - base
                one += distance
                two += (t - start) * distance
                if t + period - 1 < end:
                    near = level / period - steep * (t - start + 0.5 * (period - 1))
                    out[t + period - 1, 0] = near * one + steep * two
            if end == start + period:
                out[end - 1, 0] = 0.0
            one = two = 0.0
            for t in range(start, end):
                distance = x[t, 0] - base
                one += distance
                two += (t - start) * distance
                near = level / period - steep * (t - start - 0.5 * (period - 1))
                out[t, 0] = out[t, 0] + (near * one + steep * two) + level * base
            continue
        total[:] = 0.0
        moment[:] = 0.0
        if start:
            for t in range(start - 1, end - period, -1):
                row = float(t - start)
                for j in range(width):
                    distance = x[t, j] - x[start, j]
                    total[j] += distance
                    moment[j] += row * distance
            latest, earliest = min(start - 1, end - period), start - period + 1
            for t in range(latest, earliest, -2):  # two rows at once: entering a loop costs as much as a part of it
                row = float(t - start)
                near = level / period - steep * (t - start + 0.5 * (period - 1))
                next_near = level / period - steep * (t - 1 - start + 0.5 * (period - 1))
                for j in range(width):
                    one, two = x[t, j] - x[start, j], x[t - 1, j] - x[start, j]
                    first, turn = total[j] + one, moment[j] + row * one
                    second, next_turn = first + two, turn + (row - 1.0) * two
                    out[t + period - 1, j] = near * first + steep * turn
                    out[t + period - 2, j] = next_near * second + steep * next_turn
                    total[j] = second
                    moment[j] = next_turn
            if (latest - earliest) % 2 == 0:
                row = float(earliest - start)
                near = level / period - steep * (earliest - start + 0.5 * (period - 1))
                for j in range(width):
                    distance = x[earliest, j] - x[start, j]
                    one, turn = total[j] + distance, moment[j] + row * distance
                    out[earliest + period - 1, j] = near * one + steep * turn
        if end == start + period:
            out[end - 1] = 0.0
        total[:] = 0.0
        moment[:] = 0.0
        for t in range(start, end - 1, 2):
            row = float(t - start)
            near = level / period - steep * (t - start - 0.5 * (period - 1))
            next_near = level / period - steep * (t + 1 - start - 0.5 * (period - 1))
            for j in range(width):
                base = x[start, j]
                one, two = x[t, j] - base, x[t + 1, j] - base
                first, turn = total[j] + one, moment[j] + row * one
                second, next_turn = first + two, turn + (row + 1.0) * two
                out[t, j] = out[t, j] + (near * first + steep * turn) + level * base
                out[t + 1, j] = out[t + 1, j] + (next_near * second + steep * next_turn) + level * base
                total[j] = second
                moment[j] = next_turn
        if (end - start) % 2:
            row = float(end - 1 - start)
            near = level / period - steep * (end - 1 - start - 0.5 * (period - 1))
            for j in range(width):
                distance = x[end - 1, j] - x[start, j]
                one, turn = total[j] + distance, moment[j] + row * distance
                out[end - 1, j] = out[end - 1, j] + (near * one + steep * turn) + level * x[start, j]


KERNELS: Mapping[str, Kernel] = {
    "linearreg": linearreg,
    "linearreg_intercept": linearreg_intercept,
    "tsf": tsf,
    "linearreg_slope": linearreg_slope,
    "linearreg_angle": linearreg_angle,
    "slope": slope,
    "r_squared": r_squared,
}
