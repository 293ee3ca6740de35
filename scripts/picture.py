"""A small picture of an indicator: candles, the outputs that live among the prices, and panes for the others.

Written by hand as SVG: a few hundred of them are made in seconds, and equal numbers give equal bytes.
"""

from collections.abc import Iterator, Mapping, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from common.catalogue.spec import IndicatorSpec, Output
from common.catalogue.units import FLAG, PATTERN, PRICE

Series = NDArray[np.float64]

_WIDTH, _TALL, _LOW, _GAP, _MARGIN, _TOP = 720, 200, 90, 14, 8, 26
_FONT = 'font-family="sans-serif" font-size="11"'
_COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df", "#bf3989", "#0a7ea4", "#57606a", "#bc4c00")


def draw(spec: IndicatorSpec, bars: Mapping[str, Series], values: Mapping[str, Series]) -> str:
    """`bars` and `values` are arrays of shape (rows,), the last rows of some history."""
    shown = [output for output in spec.outputs if np.isfinite(values[output.name]).any()]
    above = [output for output in shown if _is_price(output, bars, values[output.name])]
    below = [output for output in shown if output not in above]
    panes = [[o for o in below if o.unit is unit] for unit in dict.fromkeys(o.unit for o in below)]
    colour = {output.name: _COLOURS[i % len(_COLOURS)] for i, output in enumerate(shown)}
    height = _TOP + _TALL + len(panes) * (_GAP + _LOW) + _MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        *_prices(bars, [(values[o.name], colour[o.name]) for o in above]),
    ]
    for i, pane in enumerate(panes):
        parts += _pane([(o, values[o.name], colour[o.name]) for o in pane], _TOP + _TALL + _GAP + i * (_GAP + _LOW))
    names = "".join(f'<tspan dx="{_GAP}" fill="{colour[o.name]}">{escape(o.name)}</tspan>' for o in shown)
    parts.append(f'<text x="0" y="16">{names}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _is_price(output: Output, bars: Mapping[str, Series], series: Series) -> bool:
    """Whether it can be drawn among the prices without flattening them."""
    known = series[np.isfinite(series)]
    low, high = bars["low"].min(), bars["high"].max()
    room = high - low
    return output.unit is PRICE and known.min() > low - room and known.max() < high + room


def _prices(bars: Mapping[str, Series], lines: Sequence[tuple[Series, str]]) -> Iterator[str]:
    known = [bars["low"], bars["high"], *(series[np.isfinite(series)] for series, _ in lines)]
    low, high = min(k.min() for k in known), max(k.max() for k in known)
    y = {name: _scaled(bars[name], low, high, _TOP, _TALL) for name in ("open", "high", "low", "close")}
    x = _places(len(bars["close"]))
    half = max(1, int((_WIDTH - 2 * _MARGIN) / len(x) / 3))
    yield _path("#afb8c1", "".join(f"M{a} {b}V{c}" for a, b, c in zip(x, y["high"], y["low"], strict=True)))
    for colour, rising in (("#6fbf8b", True), ("#e08b8f", False)):
        bodies = [
            f"M{a - half} {min(o, c)}h{2 * half}v{max(abs(c - o), 1)}h{-2 * half}z"
            for a, o, c in zip(x, y["open"], y["close"], strict=True)
            if (c <= o) == rising
        ]
        yield f'<path fill="{colour}" d="{"".join(bodies)}"/>'
    for series, colour in lines:
        yield _path(colour, _line(x, _scaled(series, low, high, _TOP, _TALL)), 1.5)


def _pane(lines: Sequence[tuple[Output, Series, str]], top: int) -> Iterator[str]:
    yield f'<path stroke="#d0d7de" d="M{_MARGIN} {top - _GAP // 2}H{_WIDTH - _MARGIN}"/>'
    known = np.concatenate([series[np.isfinite(series)] for _, series, _ in lines])
    low, high = float(known.min()), float(known.max())
    if any(o.unit in {FLAG, PATTERN} or o.name == "histogram" for o, _, _ in lines) or low < 0 < high:
        low, high = min(low, 0.0), max(high, 0.0)
        zero = _scaled(np.zeros(1), low, high, top, _LOW)[0]
        yield f'<path stroke="#d0d7de" stroke-dasharray="3" d="M{_MARGIN} {zero}H{_WIDTH - _MARGIN}"/>'
    for output, series, colour in lines:
        x, y = _places(len(series)), _scaled(series, low, high, top, _LOW)
        if output.unit in {FLAG, PATTERN} or output.name == "histogram":
            zero = _scaled(np.zeros(1), low, high, top, _LOW)[0]
            raised = [f"M{a} {zero}V{b}" for a, b in zip(x, y, strict=True) if b not in (None, zero)]
            yield _path(colour, "".join(raised), 3)
        else:
            yield _path(colour, _line(x, y), 1.5)


def _places(count: int) -> list[int]:
    return [round(_MARGIN + (i + 0.5) * (_WIDTH - 2 * _MARGIN) / count) for i in range(count)]


def _scaled(series: Series, low: float, high: float, top: int, height: int) -> list[int | None]:
    """In pixels from above, None where there is no value."""
    span = high - low or 1.0
    return [round(top + height * (1 - (v - low) / span)) if np.isfinite(v) else None for v in series.tolist()]


def _line(x: Sequence[int], y: Sequence[int | None]) -> str:
    """Lifted where there is no value; a value alone is a dot."""
    text, drawn = "", False
    for i, (a, b) in enumerate(zip(x, y, strict=True)):
        if b is None:
            drawn = False
            continue
        text += f"{'L' if drawn else 'M'}{a} {b}"
        if not drawn and (i + 1 == len(y) or y[i + 1] is None):
            text += "h2"
        drawn = True
    return text


def _path(colour: str, shape: str, width: float = 1) -> str:
    return f'<path fill="none" stroke="{colour}" stroke-width="{width:g}" d="{shape}"/>'
