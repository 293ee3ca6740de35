"""What an output is measured in, and how it moves when prices or volumes are quoted in another unit."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unit:
    """Prices times k multiply an output by k ** `price`, volumes times k by k ** `volume`; None: no such law."""

    name: str
    price: int | None
    volume: int | None


PRICE = Unit("price", 1, 0)
"""Of the source: an average of volumes is in shares."""
PRICE_SQUARED = Unit("price²", 2, 0)
PERCENT = Unit("%", 0, 0)
RATIO = Unit("ratio", 0, 0)
POINTS = Unit("points", 0, 0)
"""Of an oscillator with a scale of its own, such as 0 to 100."""
DEGREES = Unit("degrees", 0, 0)
"""Of the phase of a cycle."""
ANGLE = Unit("degrees", None, None)
"""Of a line over prices: how steep it is depends on what they are quoted in."""
BARS = Unit("bars", 0, 0)
FLAG = Unit("flag", 0, 0)
"""0 for no, 1 for yes; with a direction 1 up and -1 down."""
PATTERN = Unit("pattern", 0, 0)
"""100 bullish, -100 bearish, 0 none; some patterns know 80 where two ends are level, or 200 when confirmed."""
VOLUME = Unit("shares", 0, 1)
PRICE_VOLUME = Unit("price × shares", 1, 1)
PRICE_SQUARED_PER_VOLUME = Unit("price² / shares", 2, -1)
PRICE_PER_VOLUME = Unit("price / shares", 1, -1)
OTHER = Unit("", None, None)
"""No law: a function such as a logarithm, or a number that depends on a parameter in units of its own."""
