"""The picture of docs/scaling.md: speed-up by workers, as SVG written by hand; equal numbers give equal bytes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BELOW = 720, 360, 44, 150, 16, 40
_FONT = 'font-family="sans-serif" font-size="11"'
_COLOURS = ("#1f6feb", "#1a7f37", "#d1242f", "#9a6700")
_STEP = 50


@dataclass(frozen=True, slots=True)
class Line:
    label: str
    points: Sequence[tuple[float, float]]  # workers, how many times one worker


def draw(lines: Sequence[Line], most: int) -> str:
    """Both axes go to `most`."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        *_grid(most),
        _path("#afb8c1", [(0.0, 0.0), (float(most), float(most))], most, ' stroke-dasharray="4"'),
    ]
    for line, colour in zip(lines, _COLOURS, strict=False):
        parts.append(_path(colour, line.points, most))
    for y, line, colour in _labels(lines, most):
        parts.append(f'<text x="{_WIDTH - _RIGHT + 6}" y="{y}" fill="{colour}">{escape(line.label)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _grid(most: int) -> Iterator[str]:
    for value in range(0, most + 1, _STEP):
        x, y = _place(value, value, most)
        yield f'<path stroke="#d0d7de" d="M{_LEFT} {y}H{_WIDTH - _RIGHT}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{value}×</text>'
        yield f'<text x="{x}" y="{_HEIGHT - _BELOW + 16}" text-anchor="middle">{value}</text>'
    yield f'<text x="{(_LEFT + _WIDTH - _RIGHT) // 2}" y="{_HEIGHT - 6}" text-anchor="middle">workers</text>'


def _labels(lines: Sequence[Line], most: int) -> Iterator[tuple[int, Line, str]]:
    """At the ends of the lines, a row of text apart at least."""
    below = _TOP - 14
    ends = [
        (_place(*line.points[-1], most)[1] + 4, line, colour) for line, colour in zip(lines, _COLOURS, strict=False)
    ]
    for y, line, colour in sorted(ends, key=lambda end: end[0]):
        below = max(y, below + 14)
        yield below, line, colour


def _path(colour: str, points: Sequence[tuple[float, float]], most: int, style: str = "") -> str:
    places = [_place(x, y, most) for x, y in points]
    shape = "L".join(f"{x} {y}" for x, y in places)
    return f'<path fill="none" stroke="{colour}" stroke-width="1.5"{style} d="M{shape}"/>'


def _place(workers: float, times: float, most: int) -> tuple[int, int]:
    """In pixels from the left and from above."""
    x = _LEFT + (_WIDTH - _LEFT - _RIGHT) * workers / most
    y = _HEIGHT - _BELOW - (_HEIGHT - _TOP - _BELOW) * times / most
    return round(x), round(y)
