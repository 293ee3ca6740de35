"""Volume flow."""

from collections.abc import Mapping, Sequence

import numpy as np
from numba import njit

from common.catalogue.spec import Params
from common.catalogue.volume_flow import VFI_DEVIATION_PERIOD, vfi_first
from worker.kernels import recurrences
from worker.kernels.arithmetic import fused, smaller
from worker.kernels.moving_averages import average
from worker.kernels.panels import Kernel, Panel, Scratch
from worker.kernels.volume_averages import quotient
from worker.kernels.volume_totals import (
    accumulation,
    money_flow_place,
    on_balance,
    oscillate,
    price_volume_trend,
    volume_index,
    williams_accumulation,
)
from worker.kernels.weighted_windows import weighted_mean
from worker.kernels.windows import rolling_max, rolling_mean, rolling_min, rolling_moments


def ad(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Chaikin's accumulation/distribution line (TA-Lib AD)."""
    high, low, close, volume = inputs
    accumulation(high, low, close, volume, outputs[0])


def adosc(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Chaikin's oscillator (TA-Lib ADOSC)."""
    high, low, close, volume = inputs
    accumulation(high, low, close, volume, outputs[0])
    oscillate(outputs[0], int(p["fast_period"]), int(p["slow_period"]))


def obv(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """On-balance volume (TA-Lib OBV)."""
    on_balance(inputs[0], inputs[1], outputs[0])


def aobv(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """On-balance volume, its range, averages and their runs (pandas-ta aobv)."""
    line, least, greatest, fast, slow, rising, falling = outputs
    window, run, kind = int(p["range_period"]), int(p["run_period"]), str(p["ma_type"])
    on_balance(inputs[0], inputs[1], line)
    rolling_min(line, window, least)
    rolling_max(line, window, greatest)
    average(kind, line, int(p["fast_period"]), fast, scratch)
    average(kind, line, int(p["slow_period"]), slow, scratch)
    moved = scratch.panel()[run:]
    np.not_equal(slow[run:], slow[:-run], out=moved)
    for out, compare in ((rising, np.greater), (falling, np.less)):
        compare(fast[run:], fast[:-run], out=out[run:])
        out[run:] *= moved


def nvi(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Negative volume index (TA-Lib NVI)."""
    volume_index(inputs[0], inputs[1], -1.0, outputs[0])


def pvi(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Positive volume index (TA-Lib PVI)."""
    volume_index(inputs[0], inputs[1], 1.0, outputs[0])


def pvt(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Price volume trend (TA-Lib PVT)."""
    price_volume_trend(inputs[0], inputs[1], outputs[0])


def wad(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Williams' accumulation/distribution as Achelis gives it (TA-Lib WAD)."""
    high, low, close = inputs
    williams_accumulation(high, low, close, outputs[0])


def cmf(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Chaikin's money flow (TA-Lib CMF): the place of the close, weighted by volume."""
    high, low, close, volume = inputs
    place = scratch.panel()
    money_flow_place(high, low, close, place)
    weighted_mean(place, volume, int(p["period"]), 1.0, 0.0, scratch.panel(), outputs[0])


def efi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Elder's force index (TA-Lib EFI)."""
    (close, volume), (out,), length = inputs, outputs, int(p["period"])
    if length > 1:
        _efi(close, volume, length, out)
        return
    np.subtract(close[1:], close[:-1], out=out[1:])
    np.multiply(out[1:], volume[1:], out=out[1:])


def marketfi(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Range per share (TA-Lib MARKETFI)."""
    high, low, volume = inputs
    _range_per_share(high, low, volume, outputs[0])


def mfi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Money flow index (TA-Lib MFI): the share of rising bars, weighted by money flow."""
    rises, flow = scratch.panel()[1:], scratch.panel()[1:]
    _money_flow(inputs[0], inputs[1], rises, flow)
    weighted_mean(rises, flow, int(p["period"]), 100.0, 0.0, scratch.panel()[1:], outputs[0][1:])


def kvo(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Klinger's volume oscillator and its signal."""
    high, low, price, volume = inputs
    line, signal = (out[1:] for out in outputs)
    force = scratch.panel()[1:]
    if p["convention"] == "signed_volume":
        np.subtract(price[1:], price[:-1], out=force)
        np.sign(force, out=force)
        np.multiply(force, volume[1:], out=force)
    else:
        _volume_force(high, low, price, volume, 1.0 if p["convention"] == "klinger" else 2.0, force)
    first = int(p["slow_period"]) - 1
    slow = signal
    recurrences.ema(force, int(p["fast_period"]), line)
    recurrences.ema(force, first + 1, slow)
    np.subtract(line[first:], slow[first:], out=line[first:])
    recurrences.ema(line[first:], int(p["signal_period"]), signal[first:])


def emv(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Arms' ease of movement."""
    high, low, volume = inputs
    _ease_of_movement(high, low, volume, float(p["divisor"]), outputs[0][1:])


def eom(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Mean of Arms' ease of movement."""
    high, low, volume = inputs
    ease = scratch.panel()[1:]
    _ease_of_movement(high, low, volume, float(p["divisor"]), ease)
    rolling_mean(ease, int(p["period"]), outputs[0][1:])


def pvol(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], _scratch: Scratch) -> None:
    """Price times volume, signed by the change where that is asked for."""
    (close, volume), (out,) = inputs, outputs
    if not p["signed"]:
        np.multiply(close, volume, out=out)
        return
    out = out[1:]
    np.subtract(close[1:], close[:-1], out=out)
    np.sign(out, out=out)
    np.multiply(out, close[1:], out=out)
    np.multiply(out, volume[1:], out=out)


def pvr(inputs: Sequence[Panel], _p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Macek's rank: 1, one more where volume fell, two more where the close did."""
    (close, volume), out, fell = inputs, outputs[0][1:], scratch.panel()[1:]
    np.less(close[1:], close[:-1], out=out)
    np.less(volume[1:], volume[:-1], out=fell)
    out *= 2.0
    out += fell
    out += 1.0


def vfi(inputs: Sequence[Panel], p: Params, outputs: Sequence[Panel], scratch: Scratch) -> None:
    """Katsanos' volume flow indicator."""
    (price, close, volume), (out,) = inputs, outputs
    length, smooth = int(p["period"]), int(p["smooth_period"])
    first = vfi_first(length)
    changes, deviation, mean = scratch.panel(), scratch.panel(), scratch.panel()
    np.log(price, out=mean)
    np.subtract(mean[1:], mean[:-1], out=changes[1:])
    rolling_moments(changes[1:], VFI_DEVIATION_PERIOD, mean[1:], deviation[1:])
    np.multiply(deviation, close, out=deviation)
    rolling_mean(volume, length, mean)
    flow = changes[first:]
    limit, threshold = float(p["volume_limit"]), float(p["threshold"])
    _limited_flow(price[first - 1 :], volume[first:], mean[first - 1 : -1], deviation[first:], limit, threshold, flow)
    rolling_mean(flow, length, deviation[first:])
    start = first + length - 1
    quotient(deviation[start:], mean[start - 1 : -1], float(length), 0.0, flow[length - 1 :])
    recurrences.ema(flow[length - 1 :], smooth, out[start:])


@njit(cache=True, nogil=True, error_model="numpy")
def _efi(close: Panel, volume: Panel, period: int, out: Panel) -> None:
    """Exponential average of the forces; row `period` is the mean of the first `period` of them."""
    rows, width = close.shape
    alpha = 2.0 / (period + 1)
    out[period] = 0.0
    for t in range(1, period + 1):
        for j in range(width):
            out[period, j] += (close[t, j] - close[t - 1, j]) * volume[t, j]
    for j in range(width):
        out[period, j] /= period
    if width == 1:
        value = out[period, 0]
        for t in range(period + 1, rows):
            value = fused((close[t, 0] - close[t - 1, 0]) * volume[t, 0] - value, alpha, value)
            out[t, 0] = value
        return
    for t in range(period + 1, rows):
        for j in range(width):
            value = out[t - 1, j]
            out[t, j] = fused((close[t, j] - close[t - 1, j]) * volume[t, j] - value, alpha, value)


_NOTHING = 1e-14
"""TA-Lib's zero (TA_EPSILON): a change below this part of the prices counts as none."""


# Passes that look at each value for itself, or at one and the row before, walk the panels as one line.


@njit(cache=True, nogil=True, error_model="numpy")
def _range_per_share(high: Panel, low: Panel, volume: Panel, out: Panel) -> None:
    """0 where nothing was traded."""
    h, l, v, result = high.ravel(), low.ravel(), volume.ravel(), out.ravel()  # noqa: E741 - the field's own term
    for i in range(len(v)):
        share = (h[i] - l[i]) / v[i]
        result[i] = share if v[i] != 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _money_flow(price: Panel, volume: Panel, rises: Panel, flow: Panel) -> None:
    """From row 1 of the inputs on: whether the price rose, and price times volume (0 where the price did not move)."""
    before, now, v = price.ravel(), price[1:].ravel(), volume[1:].ravel()
    rise, moves = rises.ravel(), flow.ravel()
    for i in range(len(now)):
        change = now[i] - before[i]
        money = now[i] * v[i]
        rise[i] = 1.0 if change > 0.0 else 0.0
        moves[i] = money if abs(change) > _NOTHING * (abs(now[i]) + abs(before[i])) else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _volume_force(high: Panel, low: Panel, price: Panel, volume: Panel, shift: float, out: Panel) -> None:
    """Klinger's force from row 1 of the inputs on; none before the first trend, nor where there is no range."""
    rows, width = price.shape
    trend, reach = np.zeros(width), np.zeros(width)
    for t in range(1, rows):
        for j in range(width):
            change = np.sign(price[t, j] - price[t - 1, j])
            turned = change != 0.0 and change != trend[j]
            trend[j] = change if turned else trend[j]
            span = high[t, j] - low[t, j]
            reach[j] = (high[t - 1, j] - low[t - 1, j] if turned else reach[j]) + span
            share = abs(2.0 * span / reach[j] - shift) if reach[j] > 0.0 else 0.0
            out[t - 1, j] = 100.0 * volume[t, j] * share * trend[j]


@njit(cache=True, nogil=True, error_model="numpy")
def _ease_of_movement(high: Panel, low: Panel, volume: Panel, divisor: float, out: Panel) -> None:
    """From row 1 of the inputs on."""
    h, l, v, result = high[1:].ravel(), low[1:].ravel(), volume[1:].ravel(), out.ravel()  # noqa: E741 - as above
    high_before, low_before = high.ravel(), low.ravel()
    for i in range(len(v)):
        moved = 0.5 * (h[i] + l[i] - (high_before[i] + low_before[i]))
        eased = moved * (h[i] - l[i]) / (v[i] / divisor)
        result[i] = eased if v[i] > 0.0 else 0.0


@njit(cache=True, nogil=True, error_model="numpy")
def _limited_flow(
    price: Panel, volume: Panel, usual: Panel, deviation: Panel, limit: float, threshold: float, out: Panel
) -> None:
    """Volume up to `limit` times the usual one, signed by changes of `price` beyond `threshold` deviations.

    `price` has one row more before.
    """
    before, now, v, u = price.ravel(), price[1:].ravel(), volume.ravel(), usual.ravel()
    least, flow = deviation.ravel(), out.ravel()
    for i in range(len(v)):
        change = now[i] - before[i]
        counted = smaller(v[i], limit * u[i])
        inflow = counted if change > threshold * least[i] else 0.0
        outflow = counted if -change > threshold * least[i] else 0.0
        flow[i] = inflow - outflow


KERNELS: Mapping[str, Kernel] = {
    "ad": ad,
    "adosc": adosc,
    "obv": obv,
    "aobv": aobv,
    "cmf": cmf,
    "efi": efi,
    "marketfi": marketfi,
    "nvi": nvi,
    "pvi": pvi,
    "pvt": pvt,
    "wad": wad,
    "mfi": mfi,
    "kvo": kvo,
    "emv": emv,
    "eom": eom,
    "pvol": pvol,
    "pvr": pvr,
    "vfi": vfi,
}
