"""Sine waves of a cycle: of a phase that is known, or of the cycle of a given length that fits a window best."""

import math

import numpy as np
from numba import njit

from worker.kernels.arithmetic import fused, smaller
from worker.kernels.panels import Panel

_RADIANS = math.pi / 180.0
_HALF_ROOT = math.sqrt(0.5)
"""Sine and cosine of an eighth of a turn."""
_W = tuple(1.0 / math.factorial(n) for n in range(17))
"""Weights of Taylor's series."""


@njit(cache=True, nogil=True, error_model="numpy")
def sine_waves(phase: Panel, first: int, sine: Panel, lead: Panel) -> None:
    """Sine of the phase, and of the phase an eighth of a turn ahead, from row `first` on.

    Taylor's series around the nearest quarter of a turn.
    """
    rows, width = phase.shape
    for t in range(first, rows):
        angles, sines, leads = phase[t], sine[t], lead[t]
        for j in range(width):
            quarter = smaller(np.floor(angles[j] * (1.0 / 90.0) + 0.5), 3.0)
            z = (angles[j] - 90.0 * quarter) * _RADIANS
            square = z * z
            fourth = square * square
            eighth = fourth * fourth
            sine_0 = fused(fourth, fused(square, -_W[7], _W[5]), fused(square, -_W[3], 1.0))
            sine_8 = fused(fourth, fused(square, -_W[15], _W[13]), fused(square, -_W[11], _W[9]))
            cosine_0 = fused(fourth, fused(square, -_W[6], _W[4]), fused(square, -_W[2], 1.0))
            cosine_8 = fused(fourth, fused(square, -_W[14], _W[12]), fused(square, -_W[10], _W[8]))
            s = z * fused(eighth, sine_8, sine_0)
            c = fused(eighth, fused(eighth, _W[16], cosine_8), cosine_0)
            odd = (quarter == 1.0) | (quarter == 3.0)  # noqa: PLR2004
            turned = quarter > 1.0
            sin, cos = (c, -s) if odd else (s, c)
            sin, cos = (-sin, -cos) if turned else (sin, cos)
            sines[j] = sin
            leads[j] = (sin + cos) * _HALF_ROOT


@njit(cache=True, nogil=True, error_model="numpy")
def fixed_waves(x: Panel, wave_cosine: Panel, wave_sine: Panel, sine: Panel, lead: Panel) -> None:
    """Sine of the phase of a cycle of a given length, and of an eighth of a turn ahead; 0 where there is no cycle.

    `wave_cosine` and `wave_sine` are the waves to compare the window with, latest first. No angle is taken: the sums
    are the sides of a triangle, and their shares in its long side are what is wanted.
    """
    rows, width = x.shape
    period = len(wave_cosine)
    real, imag = np.empty(width), np.empty(width)
    for t in range(period - 1, rows):
        base, sines, leads = x[t], sine[t], lead[t]
        real[:] = 0.0
        imag[:] = 0.0
        for n in range(1, period):
            row, c, s = x[t - n], wave_cosine[n], wave_sine[n]
            for j in range(width):
                distance = row[j] - base[j]
                real[j] += c * distance
                imag[j] += s * distance
        for j in range(width):
            size = np.sqrt(real[j] * real[j] + imag[j] * imag[j])
            sines[j] = real[j] / size if size > 0.0 else 0.0
            leads[j] = (real[j] - imag[j]) * _HALF_ROOT / size if size > 0.0 else 0.0
