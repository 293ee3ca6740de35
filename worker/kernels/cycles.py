"""Ehlers' dominant cycle by the Hilbert transform, and what is measured in it. Equal to TA-Lib within rounding.

`_advance` is one row of the transform for a chunk of at most LANES symbols. What it remembers stands in flat arrays, a
stretch of LANES numbers per variable: at constant distances LLVM sees that its long loop over symbols is safe as vector
code. Angles are a short series and sums over a cycle a recurrence for the same reason: a call of the C library or a
look into a table is no vector.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.spec import Params
from worker.kernels.arithmetic import fused, larger, smaller
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.recurrences import ema
from worker.kernels.waves import fixed_waves, sine_waves

LANES = 64

# The transform looks at every other row, so even and odd rows have a bank of histories each: prices, detrender and
# quadratures of two, four, six ... rows ago (in the bank of the row before: of one, three, five ...).
_P2, _P4, _P6, _D2, _D4, _D6, _D8, _D10, _Q2, _Q4, _Q6, _BANK = range(0, 12 * LANES, LANES)
# What is no history.
_INPHASE, _QUADRATURE, _I2, _QQ2, _RE, _IM, _PERIOD, _SMOOTHED, _STATE = range(0, 9 * LANES, LANES)

_LAST = 315.0
"""Phases run from here less a turn to here, in degrees."""
_TURN = 2.0 * math.pi
_DEGREES = 180.0 / math.pi
_EIGHTH = math.pi / 8.0
_TAN_1 = math.tan(math.pi / 16.0)
_TAN_2 = math.tan(math.pi / 8.0)
_TAN_3 = math.tan(3.0 * math.pi / 16.0)

_SHORT_START = 12
"""First row of the transform in TA-Lib's functions with a lookback of 32; what lies before counts as zero."""
_LONG_START = 37
"""Of those with a lookback of 63."""

_STEPS = _TURN / np.maximum(np.arange(51), 1)
_SINE, _COSINE = np.sin(_STEPS), np.cos(_STEPS)
"""Of one step of a cycle of so many rows."""


@njit(cache=True, nogil=True, error_model="numpy")
def _arctan(y: float, x: float) -> float:
    """The arc tangent of y / x, 0 where x is 0: Taylor's series around the nearest of 0, 1/16 and 1/8 of a turn."""
    a, b = abs(y), abs(x)
    short, long = smaller(a, b), larger(a, b)
    nearest = 0.0 if short <= _TAN_1 * long else (1.0 if short <= _TAN_3 * long else 2.0)
    tangent = 0.0 if short <= _TAN_1 * long else (_TAN_2 if short <= _TAN_3 * long else 1.0)
    z = (short - tangent * long) / (long + tangent * short)
    square = z * z
    fourth = square * square
    eighth = fourth * fourth
    terms_0 = fused(fourth, fused(square, 1.0 / 9.0, -1.0 / 7.0), fused(square, 1.0 / 5.0, -1.0 / 3.0))
    terms_4 = fused(fourth, fused(square, 1.0 / 17.0, -1.0 / 15.0), fused(square, 1.0 / 13.0, -1.0 / 11.0))
    terms_8 = fused(fourth, -1.0 / 23.0, fused(square, 1.0 / 21.0, -1.0 / 19.0))
    series = fused(eighth, fused(eighth, terms_8, terms_4), terms_0)
    angle = nearest * _EIGHTH + fused(z * square, series, z)
    angle = 0.5 * math.pi - angle if a > b else angle
    angle = angle if (y < 0.0) == (x < 0.0) else -angle
    return 0.0 if x == 0.0 else angle


@njit(cache=True, nogil=True, error_model="numpy")
def _advance(x: Panel, t: int, start: int, lanes: int, bank: Panel, other: Panel, s: Panel) -> None:
    """Row `t` of the Hilbert transform of `lanes` symbols from `start` on.

    The price, averaged over four rows, goes through the transform (the detrender) and again (the quadrature); the
    detrender of three rows ago is in phase with it. Both once more, and the angle from row to row gives the period.
    The transform is tuned to the period of the row before.
    """
    stop = start + lanes
    x0, x1, x2, x3 = x[t, start:stop], x[t - 1, start:stop], x[t - 2, start:stop], x[t - 3, start:stop]
    for j in range(lanes):
        gain = 0.075 * s[_PERIOD + j] + 0.54
        price = (4.0 * x0[j] + 3.0 * x1[j] + 2.0 * x2[j] + x3[j]) * 0.1
        p2, p4, d2, d4, d6, d8 = (
            bank[_P2 + j],
            bank[_P4 + j],
            bank[_D2 + j],
            bank[_D4 + j],
            bank[_D6 + j],
            bank[_D8 + j],
        )
        d3, d5, d7, d9 = other[_D4 + j], other[_D6 + j], other[_D8 + j], other[_D10 + j]
        q2, q4, old_i, old_q = bank[_Q2 + j], bank[_Q4 + j], s[_I2 + j], s[_QQ2 + j]
        detrended = (0.0962 * (price - bank[_P6 + j]) + 0.5769 * (p2 - p4)) * gain
        quadrature = (0.0962 * (detrended - d6) + 0.5769 * (d2 - d4)) * gain
        ahead_i = (0.0962 * (d3 - d9) + 0.5769 * (d5 - d7)) * gain
        ahead_q = (0.0962 * (quadrature - bank[_Q6 + j]) + 0.5769 * (q2 - q4)) * gain
        new_i = 0.2 * (d3 - ahead_q) + 0.8 * old_i
        new_q = 0.2 * (quadrature + ahead_i) + 0.8 * old_q
        bank[_P2 + j], bank[_P4 + j], bank[_P6 + j] = price, p2, p4
        bank[_D2 + j], bank[_D4 + j], bank[_D6 + j], bank[_D8 + j], bank[_D10 + j] = detrended, d2, d4, d6, d8
        bank[_Q2 + j], bank[_Q4 + j], bank[_Q6 + j] = quadrature, q2, q4
        s[_INPHASE + j], s[_QUADRATURE + j], s[_I2 + j], s[_QQ2 + j] = d3, quadrature, new_i, new_q
        s[_RE + j] = 0.2 * (new_i * old_i + new_q * old_q) + 0.8 * s[_RE + j]
        s[_IM + j] = 0.2 * (new_i * old_q - new_q * old_i) + 0.8 * s[_IM + j]
    for j in range(lanes):
        old = s[_PERIOD + j]
        angle = _arctan(s[_IM + j], s[_RE + j])
        period = old if angle == 0.0 else _TURN / angle
        period = larger(smaller(period, 1.5 * old), 0.67 * old)
        period = 0.2 * smaller(larger(period, 6.0), 50.0) + 0.8 * old
        s[_PERIOD + j] = period
        s[_SMOOTHED + j] = 0.33 * period + 0.67 * s[_SMOOTHED + j]


@njit(cache=True, nogil=True, error_model="numpy")
def mama_lines(x: Panel, fast_limit: float, slow_limit: float, mama_out: Panel, fama_out: Panel) -> None:
    """MAMA and FAMA from row 32 on (TA-Lib MAMA): an average that follows faster the slower the phase turns.

    Both start at zero in row 12, as TA-Lib's do. `x` may be neither of the outputs.
    """
    rows, width = x.shape
    for start in range(0, width, LANES):
        lanes = min(LANES, width - start)
        bank, other, s = np.zeros(_BANK), np.zeros(_BANK), np.zeros(_STATE)
        phase, mama, fama = np.zeros(lanes), np.zeros(lanes), np.zeros(lanes)
        for t in range(_SHORT_START, rows):
            _advance(x, t, start, lanes, bank, other, s)
            bank, other = other, bank
            row = x[t, start : start + lanes]
            for j in range(lanes):
                now = _arctan(s[_QUADRATURE + j], s[_INPHASE + j])
                turned = larger((phase[j] - now) * _DEGREES, 1.0)
                phase[j] = now
                alpha = larger(fast_limit / turned, slow_limit)
                alpha = alpha if turned > 1.0 else fast_limit
                mama[j] = alpha * row[j] + (1.0 - alpha) * mama[j]
                fama[j] = 0.5 * alpha * mama[j] + (1.0 - 0.5 * alpha) * fama[j]
            mama_out[t, start : start + lanes] = mama
            fama_out[t, start : start + lanes] = fama


@njit(cache=True, nogil=True, error_model="numpy")
def _phasors(x: Panel, inphase: Panel, quadrature: Panel) -> None:
    """The two components of the cycle (TA-Lib HT_PHASOR)."""
    rows, width = x.shape
    for start in range(0, width, LANES):
        lanes = min(LANES, width - start)
        bank, other, s = np.zeros(_BANK), np.zeros(_BANK), np.zeros(_STATE)
        for t in range(_SHORT_START, rows):
            _advance(x, t, start, lanes, bank, other, s)
            bank, other = other, bank
            inphase[t, start : start + lanes] = s[_INPHASE : _INPHASE + lanes]
            quadrature[t, start : start + lanes] = s[_QUADRATURE : _QUADRATURE + lanes]


@njit(cache=True, nogil=True, error_model="numpy")
def _periods(x: Panel, first: int, out: Panel) -> None:
    """The smoothed period of the dominant cycle; the transform starts in row `first`."""
    rows, width = x.shape
    for start in range(0, width, LANES):
        lanes = min(LANES, width - start)
        bank, other, s = np.zeros(_BANK), np.zeros(_BANK), np.zeros(_STATE)
        for t in range(first, rows):
            _advance(x, t, start, lanes, bank, other, s)
            bank, other = other, bank
            out[t, start : start + lanes] = s[_SMOOTHED : _SMOOTHED + lanes]


@njit(cache=True, nogil=True, error_model="numpy")
def _smooth(x: Panel, out: Panel) -> None:
    """The average of four rows that the transform sees: zero until it starts."""
    rows, width = x.shape
    out[:_LONG_START] = 0.0
    for t in range(_LONG_START, rows):
        row, x0, x1, x2, x3 = out[t], x[t], x[t - 1], x[t - 2], x[t - 3]
        for j in range(width):
            row[j] = (4.0 * x0[j] + 3.0 * x1[j] + 2.0 * x2[j] + x3[j]) * 0.1


@njit(cache=True, nogil=True, error_model="numpy")
def _phases(price: Panel, period: Panel, out: Panel) -> None:
    """Phase in degrees of the smoothed price, correlated with a sine and a cosine of the dominant cycle.

    The sums are over distances from the latest price, for a whole cycle of either wave sums to zero: equal prices have
    no phase of their own and turn on from the one before. They are Clenshaw's, of step 0 last; four steps at a time.
    """
    rows, width = price.shape
    length, cosine, sine = np.empty(width), np.empty(width), np.empty(width)
    near, far = np.empty(width), np.empty(width)
    out[_LONG_START + 1] = 0.0
    for t in range(_LONG_START + 2, rows):
        base, periods, now, before = price[t], period[t], out[t], out[t - 1]
        longest = 0
        for j in range(width):
            whole = int(periods[j] + 0.5)
            longest = max(longest, whole)
            length[j], cosine[j], sine[j] = whole, _COSINE[whole], _SINE[whole]
        near[:] = 0.0
        far[:] = 0.0
        for n in range((longest - 1) // 4 * 4, -1, -4):
            x0, x1, x2, x3 = price[t - n], price[max(t - n - 1, 0)], price[max(t - n - 2, 0)], price[max(t - n - 3, 0)]
            for j in range(width):
                turn = 2.0 * cosine[j]
                b3 = fused(turn, near[j], x3[j] - base[j] if n + 3 < length[j] else 0.0) - far[j]
                b2 = fused(turn, b3, x2[j] - base[j] if n + 2 < length[j] else 0.0) - near[j]
                b1 = fused(turn, b2, x1[j] - base[j] if n + 1 < length[j] else 0.0) - b3
                near[j] = fused(turn, b1, x0[j] - base[j] if n < length[j] else 0.0) - b2
                far[j] = b1
        for j in range(width):
            real, imag = sine[j] * far[j], near[j] - cosine[j] * far[j]
            quarter = 90.0 if real > 0.0 else (-90.0 if real < 0.0 else 0.0)
            angle = before[j] + quarter if imag == 0.0 else _arctan(real, imag) * _DEGREES
            angle += 90.0 + 360.0 / periods[j]
            angle = angle + 180.0 if imag < 0.0 else angle
            now[j] = angle - 360.0 if angle > _LAST else angle


@njit(cache=True, nogil=True, error_model="numpy")
def _trendlines(x: Panel, period: Panel, out: Panel) -> None:
    """The mean of one cycle's values, smoothed over four rows. `out` may be `period`."""
    rows, width = x.shape
    if width == 1:
        a1 = a2 = a3 = 0.0
        for t in range(_LONG_START, rows):
            whole, first, sum_ = int(period[t, 0] + 0.5), x[t, 0], 0.0
            for n in range(0, whole - 3, 4):
                sum_ += (x[t - n, 0] - first + (x[t - n - 1, 0] - first)) + (
                    x[t - n - 2, 0] - first + (x[t - n - 3, 0] - first)
                )
            n = whole // 4 * 4
            e0 = x[t - n, 0] - first if n < whole else 0.0
            e1 = x[max(t - n - 1, 0), 0] - first if n + 1 < whole else 0.0
            e2 = x[max(t - n - 2, 0), 0] - first if n + 2 < whole else 0.0
            sum_ += (e0 + e1) + e2
            a0 = first + sum_ / whole if whole > 0 else 0.0
            out[t, 0] = (4.0 * a0 + 3.0 * a1 + 2.0 * a2 + a3) * 0.1
            a1, a2, a3 = a0, a1, a2
        return
    length, total, means = np.empty(width), np.empty(width), np.zeros((4, width))
    for t in range(_LONG_START, rows):
        base, mean, m1, m2, m3 = x[t], means[t % 4], means[(t + 3) % 4], means[(t + 2) % 4], means[(t + 1) % 4]
        longest = 0
        for j in range(width):
            whole = int(period[t, j] + 0.5)
            longest = max(longest, whole)
            length[j] = whole
        total[:] = 0.0
        for n in range(0, longest, 4):
            x0, x1, x2, x3 = x[t - n], x[max(t - n - 1, 0)], x[max(t - n - 2, 0)], x[max(t - n - 3, 0)]
            for j in range(width):
                d0 = x0[j] - base[j] if n < length[j] else 0.0
                d1 = x1[j] - base[j] if n + 1 < length[j] else 0.0
                d2 = x2[j] - base[j] if n + 2 < length[j] else 0.0
                d3 = x3[j] - base[j] if n + 3 < length[j] else 0.0
                total[j] += (d0 + d1) + (d2 + d3)
        for j in range(width):
            mean[j] = base[j] + total[j] / length[j] if length[j] > 0.0 else 0.0
        row = out[t]
        for j in range(width):
            row[j] = (4.0 * mean[j] + 3.0 * m1[j] + 2.0 * m2[j] + m3[j]) * 0.1


@njit(cache=True, nogil=True, error_model="numpy")
def _modes(price: Panel, period: Panel, phase: Panel, out: Panel) -> None:
    """1 in a trend, 0 in a cycle; `out` has the trendline before. `price` is used up.

    A cycle needs half its period since the last crossing of sine and lead sine, or a phase that turns at its pace;
    and the price within 1.5 % of the trendline. Sine is above lead sine between 67.5 and 247.5 degrees.
    """
    rows, width = price.shape
    days = np.zeros(width)
    for t in range(_LONG_START + 2, rows):
        now, before, periods, far, row = phase[t], phase[t - 1], period[t], price[t], out[t]
        for j in range(width):
            side = np.sign((now[j] - 67.5) * (247.5 - now[j]))
            side_before = np.sign((before[j] - 67.5) * (247.5 - before[j]))
            days[j] = 1.0 if (side != 0.0) & (side * side_before <= 0.0) else days[j] + 1.0
        for j in range(width):
            far[j] = 1.0 if (abs(far[j] - row[j]) >= 0.015 * abs(row[j])) & (row[j] != 0.0) else 0.0
        for j in range(width):
            pace, turned = 360.0 / periods[j], now[j] - before[j]
            fresh = (days[j] == 1.0) | (days[j] < 0.5 * periods[j])
            cycle = fresh | ((turned > 0.67 * pace) & (turned < 1.5 * pace))
            row[j] = far[j] if cycle else 1.0


def ht_dcperiod(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Period of the dominant cycle (TA-Lib HT_DCPERIOD)."""
    _periods(inputs[0], _SHORT_START, outputs[0])


def ht_dcphase(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Phase of the dominant cycle (TA-Lib HT_DCPHASE)."""
    _dominant_phases(inputs[0], scratch.panel(), scratch.panel(), outputs[0])


def ht_phasor(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """In-phase and quadrature component (TA-Lib HT_PHASOR)."""
    _phasors(inputs[0], *outputs)


def ht_sine(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Sine and lead sine of the phase (TA-Lib HT_SINE)."""
    (sine, lead), phase = outputs, scratch.panel()
    _dominant_phases(inputs[0], sine, lead, phase)
    sine_waves(phase, _LONG_START + 2, sine, lead)


def ht_trendline(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Instantaneous trendline (TA-Lib HT_TRENDLINE)."""
    (x,), (out,) = inputs, outputs
    _periods(x, _LONG_START, out)
    _trendlines(x, out, out)


def ht_trendmode(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Trend or cycle (TA-Lib HT_TRENDMODE)."""
    (x,), (out,) = inputs, outputs
    price, period, phase = scratch.panel(), scratch.panel(), scratch.panel()
    _dominant_phases(x, price, period, phase)
    _trendlines(x, period, out)
    _modes(price, period, phase, out)


def mama(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """MAMA and FAMA (TA-Lib MAMA)."""
    mama_lines(inputs[0], float(p["fast_limit"]), float(p["slow_limit"]), *outputs)


def msw(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """MESA sine wave of a given period (tulip msw)."""
    period = int(p["period"])
    angles = np.arange(period) * (_TURN / period)
    fixed_waves(inputs[0], np.cos(angles), np.sin(angles), *outputs)


def dsp(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Distance from the exponential average."""
    (x,), (out,), period = inputs, outputs, int(p["period"])
    ema(x, period, out)
    np.subtract(x[period - 1 :], out[period - 1 :], out=out[period - 1 :])


def _dominant_phases(x: Panel, price: Panel, period: Panel, phase: Panel) -> None:
    _smooth(x, price)
    _periods(x, _LONG_START, period)
    _phases(price, period, phase)


KERNELS: Mapping[str, Kernel] = {
    "ht_dcperiod": ht_dcperiod,
    "ht_dcphase": ht_dcphase,
    "ht_phasor": ht_phasor,
    "ht_sine": ht_sine,
    "ht_trendline": ht_trendline,
    "ht_trendmode": ht_trendmode,
    "mama": mama,
    "msw": msw,
    "dsp": dsp,
}
