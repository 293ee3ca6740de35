"""Moments, entropy and persistence of windows.

Deviations are taken from a window's own mean, or sums are put together from tails and heads of stretches (see
windows.py) of distances from a value of the window: neither cancels.
"""

import math
from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from numba import njit

from common.catalogue.spec import Params
from worker.kernels.arithmetic import larger, smaller
from worker.kernels.correlation import beta, correl
from worker.kernels.math_transform import drop_infinities
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.ranks import median, percentile, percentrank
from worker.kernels.windows import rolling_mean, rolling_moments, rolling_sum, rolling_variance

_LEAST = float(np.finfo(np.float64).tiny)
"""In place of a deviation of 0, where what is divided by it is 0 too."""

_BLOCK = 512
"""Cells a pass works on at once: so few that they stay in the first cache, so many that loops are worth starting."""


def avgdev(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Mean distance from the mean (TA-Lib AVGDEV)."""
    (x,), (out,), period = inputs, outputs, int(p["period"])
    mean = scratch.panel()
    rolling_mean(x, period, mean)
    _mean_of_deviations(x, mean, period, 1, out)


def stddev(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Standard deviation (TA-Lib STDDEV)."""
    (out,), period = outputs, int(p["period"])
    rolling_moments(inputs[0], period, scratch.panel(), out)
    factor = float(p["multiplier"]) * _correction(p)
    if factor != 1.0:
        out *= factor


def var(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Variance (TA-Lib VAR)."""
    period = int(p["period"])
    weight = 1.0 / (period - 1 if p["convention"] == "sample" else period)
    rolling_variance(inputs[0], period, weight, scratch.panel(), outputs[0])


def stderr(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Standard error of the mean (tulip stderr)."""
    (out,), period = outputs, int(p["period"])
    rolling_moments(inputs[0], period, scratch.panel(), out)
    out *= _correction(p) / math.sqrt(period)


def z_score(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Distance from the mean in standard deviations."""
    (x,), (out,), deviation = inputs, outputs, scratch.panel()
    rolling_moments(x, int(p["period"]), out, deviation)
    np.maximum(deviation, _LEAST, out=deviation)
    np.subtract(x, out, out=out)
    out /= deviation
    out /= _correction(p)


def _correction(p: Params) -> float:
    """What a population's standard deviation is multiplied by."""
    period = int(p["period"])
    return math.sqrt(period / (period - 1)) if p["convention"] == "sample" else 1.0


def skew(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Adjusted Fisher-Pearson skewness (pandas-ta skew)."""
    (x,), (out,), n = inputs, outputs, int(p["period"])
    mean, deviation = scratch.panel(), scratch.panel()
    rolling_moments(x, n, mean, deviation)
    _mean_of_deviations(x, mean, n, 3, out)
    np.maximum(deviation, _LEAST, out=deviation)
    for _ in range(3):
        out /= deviation
    out *= math.sqrt(n * (n - 1)) / (n - 2)


def kurtosis(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Excess kurtosis of a sample (pandas-ta kurtosis)."""
    (x,), (out,), n = inputs, outputs, int(p["period"])
    mean, deviation = scratch.panel(), scratch.panel()
    rolling_moments(x, n, mean, deviation)
    _mean_of_deviations(x, mean, n, 4, out)
    normal = mean
    np.greater(deviation, 0.0, out=normal)  # 0 where nothing moved, so that the result is 0 there
    normal *= 3.0 * (n - 1) ** 2 / ((n - 2) * (n - 3))
    np.maximum(deviation, _LEAST, out=deviation)
    for _ in range(4):
        out /= deviation
    out *= (n + 1) * (n - 1) / ((n - 2) * (n - 3))
    out -= normal


def sma_analysis(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Mean, and mean absolute, squared and relative distance from it (Stock.Indicators)."""
    (x,), (mean, mad, mse, mape), period = inputs, outputs, int(p["period"])
    rolling_moments(x, period, mean, mse)
    np.square(mse, out=mse)
    _mean_of_deviations(x, mean, period, 1, mad)
    _mean_of_deviations(x, mean, period, -1, mape)
    drop_infinities(mape)


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_of_deviations(x: Panel, mean: Panel, period: int, power: int, out: Panel) -> None:
    """Mean over each window of |x - mean|, or (x - mean) ** 3 or ** 4; with a power of -1 of |x - mean| / x.

    Works on blocks of whole rows, with a loop over time around one over the block's cells: one symbol's column is as
    good as a panel.
    """
    rows, width = x.shape
    values, means, results = x.ravel(), mean.ravel(), out.ravel()
    height = max(_BLOCK // width, 1)
    total = np.empty(height * width)
    for first in range(period - 1, rows, height):
        cells = (min(first + height, rows) - first) * width
        here = first * width
        middle = means[here : here + cells]
        total[:] = 0.0
        for back in range(period - 1, -1, -1):
            then = values[here - back * width : here - back * width + cells]
            if power == 1:
                if back % 4 == 3:  # noqa: PLR2004 - four rows at once: adding takes less than loading
                    two = values[here - (back - 1) * width : here - (back - 1) * width + cells]
                    three = values[here - (back - 2) * width : here - (back - 2) * width + cells]
                    four = values[here - (back - 3) * width : here - (back - 3) * width + cells]
                    for i in range(cells):
                        mean = middle[i]
                        pair = abs(then[i] - mean) + abs(two[i] - mean)
                        total[i] += pair + (abs(three[i] - mean) + abs(four[i] - mean))
                elif back >= period - period % 4:
                    for i in range(cells):
                        total[i] += abs(then[i] - middle[i])
            elif power == 3:  # noqa: PLR2004
                for i in range(cells):
                    distance = then[i] - middle[i]
                    total[i] += distance * distance * distance
            elif power == 4:  # noqa: PLR2004
                for i in range(cells):
                    distance = then[i] - middle[i]
                    total[i] += distance * distance * (distance * distance)
            else:
                for i in range(cells):
                    total[i] += abs(then[i] - middle[i]) / then[i]
        for i in range(cells):
            results[here + i] = total[i] / period


def entropy(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Entropy in bits of the values as shares of their sum (pandas-ta entropy).

    Of shares x / sum it is log2(sum) - (sum of x * log2(x)) / sum.
    """
    (x,), (out,), period = inputs, outputs, int(p["period"])
    terms, total = scratch.panel(), scratch.panel()
    np.log2(x, out=out)
    np.maximum(out, -1100.0, out=out)  # a share of 0 adds 0; that of a number below 0 remains NaN
    np.multiply(x, out, out=terms)
    rolling_sum(x, period, total)
    rolling_sum(terms, period, out)
    out /= total
    np.log2(total, out=total)
    np.subtract(total, out, out=out)
    drop_infinities(out)


def hurst(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Hurst's exponent of logarithmic changes by rescaled ranges, and corrected by Anis and Lloyd (Stock.Indicators).

    The window is cut into 1, 2, 4... parts of at least 8 changes. The exponent is the slope of a line through the
    logarithm of the parts' mean rescaled range over that of their length.
    """
    (x,), (out, corrected), period = inputs, outputs, int(p["period"])
    changes, ranges, mean = scratch.panel(), scratch.panel(), scratch.panel()
    np.divide(x[1:], x[:-1], out=changes[1:])
    np.log(changes[1:], out=changes[1:])
    parts = [count for count in (1, 2, 4, 8, 16, 32) if period // count >= _SHORTEST_PART]
    distances = np.log([period // count for count in parts])
    distances -= distances.mean()
    slopes = distances / np.square(distances).sum()
    out[period:] = corrected[period:] = 0.0
    rows = len(x)
    for count, weight in zip(parts, slopes, strict=True):
        length = period // count
        rolling_mean(changes[1:], length, mean[1:])
        _rescaled_ranges(changes[1:], mean[1:], length, ranges[1:])
        average = mean[period:]
        np.copyto(average, ranges[period:])
        for back in range(length, count * length, length):
            average += ranges[period - back : rows - back]
        average /= count
        for exponent, correction in ((out, 0.0), (corrected, _bias(length))):
            logarithm = ranges[period:]
            np.add(average, correction, out=logarithm)
            np.log(logarithm, out=logarithm)
            logarithm *= weight
            exponent[period:] += logarithm
    drop_infinities(out)
    drop_infinities(corrected)


_SHORTEST_PART = 8


@cache
def _bias(length: int) -> float:
    """How far the expected rescaled range of that many independent changes lies below sqrt(pi * length / 2).

    E. H. Hurst's expectation for small samples by A. A. Anis and E. H. Lloyd (1976).
    """
    roots = sum(math.sqrt((length - i) / i) for i in range(1, length))
    expected = math.exp(math.lgamma((length - 1) / 2) - math.lgamma(length / 2)) / math.sqrt(math.pi) * roots
    return math.sqrt(math.pi * length / 2) - expected


@njit(cache=True, nogil=True, error_model="numpy")
def _rescaled_ranges(x: Panel, mean: Panel, period: int, out: Panel) -> None:
    """Range of the sums of deviations from the mean over the standard deviation, of each window.

    Works on blocks as `_mean_of_deviations`.
    """
    rows, width = x.shape
    values, means, results = x.ravel(), mean.ravel(), out.ravel()
    height = max(_BLOCK // width, 1)
    state = np.empty((4, height * width))
    total, least, most, square = state[0], state[1], state[2], state[3]
    for first in range(period - 1, rows, height):
        cells = (min(first + height, rows) - first) * width
        here = first * width
        middle = means[here : here + cells]
        total[:] = 0.0
        square[:] = 0.0
        least[:] = np.inf
        most[:] = -np.inf
        for back in range(period - 1, -1, -1):
            then = values[here - back * width : here - back * width + cells]
            for i in range(cells):
                distance = then[i] - middle[i]
                total[i] += distance
                square[i] += distance * distance
                least[i] = smaller(total[i], least[i])
                most[i] = larger(total[i], most[i])
        for i in range(cells):
            results[here + i] = (most[i] - least[i]) / np.sqrt(square[i] / period)


KERNELS: Mapping[str, Kernel] = {
    "avgdev": avgdev,
    "stddev": stddev,
    "var": var,
    "stderr": stderr,
    "z_score": z_score,
    "skew": skew,
    "kurtosis": kurtosis,
    "sma_analysis": sma_analysis,
    "entropy": entropy,
    "correl": correl,
    "beta": beta,
    "hurst": hurst,
    "percentile": percentile,
    "median": median,
    "percentrank": percentrank,
}
