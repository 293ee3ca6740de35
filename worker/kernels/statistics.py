"""Moments, entropy and persistence of windows, and how two series move together.

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
from worker.kernels.math_transform import drop_infinities
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.ranks import median, percentile, percentrank
from worker.kernels.windows import rolling_mean, rolling_moments, rolling_sum

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
    (out,), period = outputs, int(p["period"])
    rolling_moments(inputs[0], period, scratch.panel(), out)
    np.square(out, out=out)
    if p["convention"] == "sample":
        out *= period / (period - 1)


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


def correl(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Pearson's correlation coefficient (TA-Lib CORREL)."""
    x, y = inputs
    _moving_together(x, y, int(p["period"]), 0.0, True, outputs[0], scratch.panel())


def beta(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Slope of the second series' relative changes over the first one's (TA-Lib BETA)."""
    (x, y), (out,) = inputs, outputs
    _beta(x, y, int(p["period"]), out[1:], scratch.panel()[1:], scratch.panel()[1:], scratch.panel())


_NOTHING = 1e-14
"""TA-Lib's zero (TA_EPSILON), of prices and of the squared changes of a window."""


@njit(cache=True, nogil=True, error_model="numpy")
def _beta(x: Panel, y: Panel, period: int, out: Panel, changes_x: Panel, changes_y: Panel, work: Panel) -> None:
    _relative_changes(x, changes_x)
    _relative_changes(y, changes_y)
    _moving_together(changes_x, changes_y, period, _NOTHING, False, out, work)


@njit(cache=True, nogil=True, error_model="numpy")
def _relative_changes(x: Panel, out: Panel) -> None:
    """(x - before) / before of the rows that have one before; 0 where that is 0."""
    values, change = x.ravel(), out.ravel()
    before, now = values[: change.size], values[x.shape[1] :]
    for i in range(change.size):
        divisor = before[i]
        quotient = (now[i] - divisor) / divisor
        change[i] = 0.0 if abs(divisor) < _NOTHING else quotient


@njit(cache=True, nogil=True, error_model="numpy")
def _moving_together(
    x: Panel, y: Panel, period: int, nothing: float, correlation: bool, out: Panel, work: Panel
) -> None:
    """Correlation of x and y in each window, or the slope of y over x; 0 where there is nothing to divide by.

    For one stretch after the other, `work` takes the five sums of the windows that end there, of distances from its
    first values.
    """
    rows, width = x.shape
    most = 1.0 if correlation else np.inf
    size = period * width
    sums = work.ravel()[: 5 * size] if 5 * size <= work.size else np.empty(5 * size)
    sum_x, sum_y, sum_xx = sums[:size], sums[size : 2 * size], sums[2 * size : 3 * size]
    sum_xy, sum_yy = sums[3 * size : 4 * size], sums[4 * size :]
    state = np.zeros((5, width))
    of_x, of_y, of_xx, of_xy, of_yy = state[0], state[1], state[2], state[3], state[4]
    results = out.ravel()
    for start in range(0, rows, period):
        end = min(start + period, rows)
        if start == 0:
            sums[:] = 0.0
        if width == 1:
            base, level = x[start, 0], y[start, 0]
            a = b = aa = ab = bb = 0.0
            for t in range(start - 1, max(start - period, -1), -1):
                far, high = x[t, 0] - base, y[t, 0] - level
                a += far
                b += high
                aa += far * far
                ab += far * high
                bb += high * high
                i = t + period - 1 - start
                sum_x[i], sum_y[i], sum_xx[i], sum_xy[i], sum_yy[i] = a, b, aa, ab, bb
            a = b = aa = ab = bb = 0.0
            i = period - 1
            sum_x[i] = sum_y[i] = sum_xx[i] = sum_xy[i] = sum_yy[i] = 0.0
            for t in range(start, end):
                far, high = x[t, 0] - base, y[t, 0] - level
                a += far
                b += high
                aa += far * far
                ab += far * high
                bb += high * high
                i = t - start
                sum_x[i] += a
                sum_y[i] += b
                sum_xx[i] += aa
                sum_xy[i] += ab
                sum_yy[i] += bb
        else:
            state[:] = 0.0
            for t in range(start - 1, max(start - period, -1), -1):
                row = (t + period - 1 - start) * width
                for j in range(width):
                    far = x[t, j] - x[start, j]
                    of_x[j] += far
                    of_xx[j] += far * far
                for j in range(width):
                    high = y[t, j] - y[start, j]
                    of_y[j] += high
                    of_yy[j] += high * high
                for j in range(width):
                    of_xy[j] += (x[t, j] - x[start, j]) * (y[t, j] - y[start, j])
                for kind in range(5):
                    kept, of = sums[kind * size + row :], state[kind]
                    for j in range(width):
                        kept[j] = of[j]
            state[:] = 0.0
            for kept in (sum_x, sum_y, sum_xx, sum_xy, sum_yy):
                kept[size - width :] = 0.0
            for t in range(start, end):
                row = (t - start) * width
                for j in range(width):
                    far = x[t, j] - x[start, j]
                    of_x[j] += far
                    of_xx[j] += far * far
                for j in range(width):
                    high = y[t, j] - y[start, j]
                    of_y[j] += high
                    of_yy[j] += high * high
                for j in range(width):
                    of_xy[j] += (x[t, j] - x[start, j]) * (y[t, j] - y[start, j])
                for kind in range(5):
                    kept, of = sums[kind * size + row :], state[kind]
                    for j in range(width):
                        kept[j] += of[j]
        found = results[start * width : end * width]
        for i in range(found.size):
            a, b = sum_x[i], sum_y[i]
            alone = period * sum_xx[i] - a * a
            other = period * sum_yy[i] - b * b
            divisor = np.sqrt(larger(alone, 0.0) * larger(other, 0.0)) if correlation else alone
            quotient = larger(smaller((period * sum_xy[i] - a * b) / divisor, most), -most)
            found[i] = quotient if divisor > nothing else 0.0


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
