"""Averages that adapt to the market, filters, and families of averages."""

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from common.catalogue.spec import Params
from worker.kernels import recurrences
from worker.kernels.arithmetic import fused, larger, smaller
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.windows import rolling_mean, rolling_moments, rolling_sum


def vidya(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Exponential average whose weight follows an index; TradingView's by Chande momentum, tulip's by deviations."""
    (x,), (out,) = inputs, outputs
    period, short, long = int(p["period"]), int(p["index_period"]), int(p["long_period"])
    above, below = scratch.panel(), scratch.panel()
    if p["convention"] == "deviation":
        first = long - 2
        rolling_moments(x, short, out, above)
        rolling_moments(x, long, out, below)
        out[first] = x[first]
    else:
        first = max(period, short) - 1
        # The absolute momentum is the net change over the way gone.
        np.subtract(x[1:], x[:-1], out=above[1:])
        np.abs(above[1:], out=above[1:])
        rolling_sum(above[1:], short, below[1:])
        np.subtract(x[short:], x[:-short], out=above[short:])
        np.abs(above[short:], out=above[short:])
        window = slice(first + 1 - period, first + 1)
        rolling_mean(x[window], period, out[window])
    _follow(x, above, below, 2.0 / (period + 1), first, out)


def mcginley(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """McGinley's dynamic, seeded with the first value."""
    _mcginley(inputs[0], 1.0 / (float(p["factor"]) * int(p["period"])), outputs[0])


def jma(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Jurik's average in the form that is known: the factors of `_jma` from the length and the phase."""
    length = int(p["period"]) - 1
    root = math.sqrt(0.5 * length)
    steepness = max(math.log2(root) + 2.0, 0.0)
    power = max(steepness - 2.0, 0.5)
    band = steepness * root / (steepness * root + 1.0)
    slowest = 0.45 * length / (0.45 * length + 2.0)
    lead = 1.5 + float(p["phase"]) / 100.0
    limit = max(steepness ** (1.0 / power), 1.0)
    _jma(inputs[0], power, limit, band, slowest, lead, outputs[0], scratch.panel(), scratch.panel())


def hwma(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Holt and Winters's average of level, trend and acceleration."""
    holt_winters(inputs[0], p, outputs[0])


def holt_winters(x: Panel, p: Params, out: Panel) -> None:
    """Level plus trend plus half the acceleration, from row 0 on."""
    level, trend, acceleration = (float(p[f"{name}_weight"]) for name in ("level", "trend", "acceleration"))
    _holt_winters(x, level, trend, acceleration, out)


def ssf(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Ehlers's super smoother of two or three poles (2004)."""
    angle, poles = math.pi / int(p["period"]), int(p["poles"])
    if poles == 2:  # noqa: PLR2004 - two poles
        angle *= math.sqrt(2.0)
        pull = math.exp(-angle)
        feedback = np.array([2.0 * pull * math.cos(angle), -(pull**2), 0.0])
    else:
        pull = math.exp(-angle)
        twist, square = 2.0 * pull * math.cos(math.sqrt(3.0) * angle), pull**2
        feedback = np.array([twist + square, -(square + twist * square), square**2])
    _filter(inputs[0], feedback, poles, outputs[0])


def rainbow(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Widner's simple averages one of another."""
    step = int(p["period"]) - 1
    for n, (before, after) in enumerate(pairwise([inputs[0], *outputs])):
        rolling_mean(before[n * step :], step + 1, after[n * step :])


def mmar(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Exponential averages of rising length."""
    for n, out in enumerate(outputs):
        recurrences.ema(inputs[0], int(p["period"]) + n * int(p["step"]), out)


def _displaced(x: Panel, p: Params, line: str, out: Panel) -> None:
    """One line of the alligator: Wilder's average of some rows before."""
    shift = int(p[f"{line}_shift"])
    recurrences.wilder(x[: len(x) - shift], int(p[f"{line}_period"]), out[shift:])


def alligator(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Jaw, teeth and lips."""
    for line, out in zip(("jaw", "teeth", "lips"), outputs, strict=True):
        _displaced(inputs[0], p, line, out)


def gator(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Distances of the alligator's lines."""
    (upper, lower), lips = outputs, scratch.panel()
    for line, out in (("jaw", upper), ("teeth", lower), ("lips", lips)):
        _displaced(inputs[0], p, line, out)
    np.subtract(upper, lower, out=upper)
    np.abs(upper, out=upper)
    np.subtract(lower, lips, out=lower)
    np.abs(lower, out=lower)
    np.negative(lower, out=lower)


@njit(cache=True, nogil=True, error_model="numpy")
def _follow(x: Panel, above: Panel, below: Panel, alpha: float, first: int, out: Panel) -> None:
    """From row `first` of `out` on, move by `alpha` times above / below of the distance: not at all where both are 0.

    Never past the value.
    """
    rows, width = x.shape
    state = out[first].copy()
    for t in range(first + 1, rows):
        for j in range(width):
            share = alpha * above[t, j] / below[t, j]
            weight = smaller(share, 1.0) if below[t, j] > 0.0 else 0.0
            state[j] = fused(x[t, j] - state[j], weight, state[j])
            out[t, j] = state[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _mcginley(x: Panel, alpha: float, out: Panel) -> None:
    """Seeded with row 0. An average of zero goes to the value at once: it has no ratio to it."""
    rows, width = x.shape
    state = x[0].copy()
    out[0] = state
    for t in range(1, rows):
        for j in range(width):
            ratio = state[j] / x[t, j]
            square = ratio * ratio
            weight = 1.0 if state[j] == 0.0 else smaller(alpha * square * square, 1.0)
            state[j] = fused(x[t, j] - state[j], weight, state[j])
            out[t, j] = state[j]


_RECENT = 10
_LONG = 66
"""Windows over which Jurik's average takes a mean of the volatility, and a mean of those means."""


@njit(cache=True, nogil=True, error_model="numpy")
def _jma(
    x: Panel,
    power: float,
    limit: float,
    band: float,
    slowest: float,
    lead: float,
    out: Panel,
    volatility: Panel,
    means: Panel,
) -> None:
    """Jurik's average from row 0 on.

    The volatility is the distance from the farther of two bands that prices push apart and that close in by themselves.
    The mean of its means over _LONG rows (fewer at the start) is put together as in `windows.py`: each stretch that is
    complete turns its `means` into the sums from there to its end.
    """
    rows, width = x.shape
    upper, lower, smooth, last = x[0].copy(), x[0].copy(), x[0].copy(), x[0].copy()
    correction, speed, recent, head = np.zeros(width), np.zeros(width), np.zeros(width), np.zeros(width)
    alpha, closing = np.empty(width), np.empty(width)
    of_alpha, of_closing = math.log(slowest), math.log(band)
    out[0] = x[0]
    volatility[0] = 0.0
    means[0] = 0.0
    for t in range(1, rows):
        if t % _LONG == 0:
            for row in range(t - 2, t - _LONG - 1, -1):
                for j in range(width):
                    means[row, j] += means[row + 1, j]
            head[:] = 0.0
        for j in range(width):
            above, below = abs(x[t, j] - upper[j]), abs(x[t, j] - lower[j])
            volatility[t, j] = 0.0 if above == below else larger(above, below)
        recent[:] = 0.0
        for row in range(max(t - _RECENT + 1, 0), t + 1):
            for j in range(width):
                recent[j] += volatility[row, j]
        # The part of the long window before the stretch; none at the end of one, where the window is the stretch.
        before = t - _LONG + 1 if t >= _LONG and t % _LONG != _LONG - 1 else -1
        for j in range(width):
            means[t, j] = recent[j] / _RECENT
            head[j] += means[t, j]
            usual = (head[j] + means[before, j] if before >= 0 else head[j]) / min(t + 1, _LONG)
            relative = volatility[t, j] / usual if usual > 0.0 else 0.0
            alpha[j], closing[j] = slowest, band
            if relative > 1.0:
                strength = math.exp(power * math.log(smaller(relative, limit)))
                alpha[j], closing[j] = math.exp(of_alpha * strength), math.exp(of_closing * math.sqrt(strength))
        for j in range(width):
            above, below = x[t, j] - upper[j], x[t, j] - lower[j]
            upper[j] = x[t, j] - closing[j] * smaller(above, 0.0)
            lower[j] = x[t, j] - closing[j] * larger(below, 0.0)
        for j in range(width):
            smooth[j] = (1.0 - alpha[j]) * x[t, j] + alpha[j] * smooth[j]
            correction[j] = (1.0 - slowest) * (x[t, j] - smooth[j]) + slowest * correction[j]
            distance = smooth[j] + lead * correction[j] - last[j]
            speed[j] = (1.0 - alpha[j]) ** 2 * distance + alpha[j] ** 2 * speed[j]
            last[j] += speed[j]
            out[t, j] = last[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _holt_winters(x: Panel, of_level: float, of_trend: float, of_acceleration: float, out: Panel) -> None:
    """Each value corrects the level foretold, the level the trend, the trend the acceleration; from row 0 on."""
    rows, width = x.shape
    level, trend, acceleration = x[0].copy(), np.zeros(width), np.zeros(width)
    out[0] = x[0]
    for t in range(1, rows):
        for j in range(width):
            now = (1.0 - of_level) * (level[j] + trend[j] + 0.5 * acceleration[j]) + of_level * x[t, j]
            slope = (1.0 - of_trend) * (trend[j] + acceleration[j]) + of_trend * (now - level[j])
            bend = (1.0 - of_acceleration) * acceleration[j] + of_acceleration * (slope - trend[j])
            level[j], trend[j], acceleration[j] = now, slope, bend
            out[t, j] = now + slope + 0.5 * bend


@njit(cache=True, nogil=True, error_model="numpy")
def _filter(x: Panel, feedback: NDArray[np.float64], poles: int, out: Panel) -> None:
    """Value and last three outputs, weighted by `feedback` and what is left to 1; the first `poles` rows are `x`."""
    rows, width = x.shape
    a, b, c = feedback[0], feedback[1], feedback[2]
    gain = 1.0 - a - b - c
    first = min(poles, rows)
    out[:first] = x[:first]
    for t in range(first, rows):
        third = max(t - 3, 0)
        for j in range(width):
            out[t, j] = gain * x[t, j] + a * out[t - 1, j] + b * out[t - 2, j] + c * out[third, j]


KERNELS: Mapping[str, Kernel] = {
    "vidya": vidya,
    "mcginley": mcginley,
    "jma": jma,
    "hwma": hwma,
    "ssf": ssf,
    "rainbow": rainbow,
    "mmar": mmar,
    "alligator": alligator,
    "gator": gator,
}
