"""Candlestick patterns: all of TA-Lib's, with its default settings for what counts as long, short, near and equal.

A body is long or short against the mean of the ten before it; near, far and equal are shares of the mean range of five
bars; a doji's body and a shadow that is almost none are at most a tenth of the mean range of ten. A pattern stands at
its last bar.
"""

import re
from collections.abc import Iterator

from common.catalogue.spec import IndicatorSpec, Output, Param
from common.catalogue.units import PATTERN

_TABLE = """
cdl2crows | Two Crows | 12 | bearish
    A long white candle, a black one that gaps above it, and a black one that opens in the second's body and closes
    in the first's.
cdl3blackcrows | Three Black Crows | 13 | bearish
    After a white candle, three black ones almost without lower shadow, each opening in the body before it and
    closing lower.
cdl3inside | Three Inside Up/Down | 12 | either
    A long candle, a short one within its body, and a third of the other colour that closes beyond the first's open.
cdl3linestrike | Three-Line Strike | 8 | either
    Three candles of one colour that close further each time, and one of the other colour that takes all of it back.
cdl3outside | Three Outside Up/Down | 3 | either
    A candle, one of the other colour whose body engulfs it, and a third that closes further the same way.
cdl3starsinsouth | Three Stars in the South | 12 | bullish
    A long black candle with a long lower shadow, a smaller black one with a higher low, and a short black one
    almost without shadows within the second's range.
cdl3whitesoldiers | Three Advancing White Soldiers | 12 | bullish
    Three white candles almost without upper shadow, each opening in or near the body before it and closing higher,
    none far shorter than the one before.
cdlabandonedbaby | Abandoned Baby | 12 | either | 0.3
    A long candle, a doji whose whole range gaps away, and one of the other colour that gaps back and closes deep in
    the first's body.
cdladvanceblock | Advance Block | 12 | bearish
    Three white candles that close ever higher but grow weaker: smaller bodies or long upper shadows.
cdlbelthold | Belt-hold | 10 | either
    A long candle that opens at its extreme: a white one almost without lower shadow, a black one almost without
    upper shadow.
cdlbreakaway | Breakaway | 14 | either
    A long candle, a gap the same way, two more steps that way, and a candle of the other colour that closes in the
    gap.
cdlclosingmarubozu | Closing Marubozu | 10 | either
    A long candle that closes at its extreme: almost no shadow on the side of its close.
cdlconcealbabyswall | Concealing Baby Swallow | 13 | bullish
    Two black candles almost without shadows, a black one that gaps down with an upper shadow into the second's
    body, and a black one that engulfs its whole range.
cdlcounterattack | Counterattack | 11 | either
    Two long candles of opposite colours with about the same close.
cdldarkcloudcover | Dark Cloud Cover | 11 | bearish | 0.5
    A long white candle, and a black one that opens above its high and closes deep in its body.
cdldoji | Doji | 10 | neutral
    Open and close are about equal.
cdldojistar | Doji Star | 11 | either
    A long candle, and a doji whose body gaps on the same way: bullish after a black one.
cdldragonflydoji | Dragonfly Doji | 10 | neutral
    A doji at the top of its range: almost no upper shadow, and a lower one.
cdlengulfing | Engulfing Pattern | 2 | graded
    A candle whose body engulfs that of the one before, which has the other colour.
cdleveningdojistar | Evening Doji Star | 12 | bearish | 0.3
    A long white candle, a doji whose body gaps above it, and a black candle that closes deep in the first's body.
cdleveningstar | Evening Star | 12 | bearish | 0.3
    A long white candle, a short one whose body gaps above it, and a black candle that closes deep in the first's
    body.
cdlgapsidesidewhite | Up/Down-gap Side-by-side White Lines | 7 | either
    Two white candles of about the same open and size that both gap away from the candle before them; bullish
    upwards.
cdlgravestonedoji | Gravestone Doji | 10 | neutral
    A doji at the bottom of its range: almost no lower shadow, and an upper one.
cdlhammer | Hammer | 11 | bullish
    A short body with a long lower and almost no upper shadow, at or below the low before it.
cdlhangingman | Hanging Man | 11 | bearish
    A short body with a long lower and almost no upper shadow, at or above the high before it.
cdlharami | Harami Pattern | 11 | graded
    A long candle, and a short body within its body; bullish after a black one.
cdlharamicross | Harami Cross Pattern | 11 | graded
    A long candle, and a doji within its body; bullish after a black one.
cdlhighwave | High-Wave Candle | 10 | coloured
    A short body between two very long shadows.
cdlhikkake | Hikkake Pattern | 5 | confirmed
    An inside bar, and a bar that breaks out of it with both high and low, bullish downwards; confirmed if within
    three bars a close comes out at the other side.
cdlhikkakemod | Modified Hikkake Pattern | 10 | confirmed
    Two inside bars in a row, the first closing near its low (bullish) or high, and a bar that breaks out that way;
    confirmed if within three bars a close comes out at the other side.
cdlhomingpigeon | Homing Pigeon | 11 | bullish
    A long black candle, and a short black one within its body.
cdlidentical3crows | Identical Three Crows | 12 | bearish
    Three black candles almost without lower shadow, each opening at about the close before it and closing lower.
cdlinneck | In-Neck Pattern | 11 | bearish
    A long black candle, and a white one that opens below its low and closes at its close or slightly above.
cdlinvertedhammer | Inverted Hammer | 11 | bullish
    A short body with a long upper and almost no lower shadow that gaps below the body before it.
cdlkicking | Kicking | 11 | either
    Two long candles almost without shadows and of opposite colours, with a gap between them; the second gives the
    direction.
cdlkickingbylength | Kicking by Length | 11 | either
    Two long candles almost without shadows and of opposite colours, with a gap between them; the longer gives the
    direction.
cdlladderbottom | Ladder Bottom | 14 | bullish
    Three black candles with ever lower opens and closes, a black one with an upper shadow, and a white one that
    opens above its open and closes above its high.
cdllongleggeddoji | Long Legged Doji | 10 | neutral
    A doji with a long shadow on one side or both.
cdllongline | Long Line Candle | 10 | coloured
    A long body between short shadows.
cdlmarubozu | Marubozu | 10 | coloured
    A long body almost without shadows.
cdlmatchinglow | Matching Low | 6 | bullish
    Two black candles with about the same close.
cdlmathold | Mat Hold | 14 | bullish | 0.5
    A long white candle, three short ones that start with a gap up and fall back but not deep into its body, and a
    white one that closes above all of their highs.
cdlmorningdojistar | Morning Doji Star | 12 | bullish | 0.3
    A long black candle, a doji whose body gaps below it, and a white candle that closes deep in the first's body.
cdlmorningstar | Morning Star | 12 | bullish | 0.3
    A long black candle, a short one whose body gaps below it, and a white candle that closes deep in the first's
    body.
cdlonneck | On-Neck Pattern | 11 | bearish
    A long black candle, and a white one that opens below its low and closes at about that low.
cdlpiercing | Piercing Pattern | 11 | bullish
    A long black candle, and a long white one that opens below its low and closes above the middle of its body.
cdlrickshawman | Rickshaw Man | 10 | neutral
    A doji near the middle of its range, between two long shadows.
cdlrisefall3methods | Rising/Falling Three Methods | 14 | either
    A long candle, three short ones of the other colour that drift back within its range, and a long one of the
    first's colour that closes beyond it.
cdlseparatinglines | Separating Lines | 11 | either
    Two candles of opposite colours with about the same open, the second long and opening at its extreme.
cdlshootingstar | Shooting Star | 11 | bearish
    A short body with a long upper and almost no lower shadow that gaps above the body before it.
cdlshortline | Short Line Candle | 10 | coloured
    A short body between short shadows.
cdlspinningtop | Spinning Top | 10 | coloured
    A short body between two shadows longer than itself.
cdlstalledpattern | Stalled Pattern | 12 | bearish
    Two long white candles and a short white one that rides on the second's shoulder, each closing higher.
cdlsticksandwich | Stick Sandwich | 7 | bullish
    A black candle, a white one that trades above its close, and a black one that closes where the first did.
cdltakuri | Takuri | 10 | neutral
    A doji at the top of its range: almost no upper shadow, and a very long lower one.
cdltasukigap | Tasuki Gap | 7 | either
    A body that gaps away from the one before, and one of the other colour and about its size that opens in it and
    closes in the gap; bullish upwards.
cdlthrusting | Thrusting Pattern | 11 | bearish
    A long black candle, and a white one that opens below its low and closes in its body, at most at the middle.
cdltristar | Tristar Pattern | 12 | either
    Three dojis, the second of which gaps away from the first and the third comes back; bullish downwards.
cdlunique3river | Unique 3 River | 12 | bullish
    A long black candle, a black one within its body with a lower low, and a short white one that opens above that
    low.
cdlupsidegap2crows | Upside Gap Two Crows | 12 | bearish
    A long white candle, a short black one that gaps above it, and a black one that engulfs the second and still
    closes above the first.
cdlxsidegap3methods | Upside/Downside Gap Three Methods | 2 | either
    Two candles of one colour with a gap between their bodies, and one of the other colour that opens in the second
    and closes in the first; bullish upwards.
"""
"""Name, title, rows before the first value, direction, and the default of `penetration` where there is one."""

_OUTPUTS = {
    "bullish": Output("pattern", "100 where the pattern is complete, else 0.", PATTERN, low=0, high=100, shift=0),
    "bearish": Output("pattern", "-100 where the pattern is complete, else 0.", PATTERN, low=-100, high=0, shift=0),
    "neutral": Output(
        "pattern", "100 where there is one, whatever its direction, else 0.", PATTERN, low=0, high=100, shift=0
    ),
    "coloured": Output(
        "pattern", "100 of a white candle, -100 of a black one, else 0.", PATTERN, low=-100, high=100, shift=0
    ),
    "either": Output(
        "pattern", "100 where it is bullish, -100 where bearish, else 0.", PATTERN, low=-100, high=100, shift=0
    ),
    "graded": Output(
        "pattern",
        "100 where it is bullish, -100 where bearish, 80 and -80 where two ends of the bodies are level, else 0.",
        PATTERN,
        low=-100,
        high=100,
        shift=0,
    ),
    "confirmed": Output(
        "pattern",
        "100 where it is bullish, -100 where bearish, 200 and -200 where a later close confirms it, else 0.",
        PATTERN,
        low=-200,
        high=200,
        shift=0,
    ),
}

_ALIASES = {"cdldoji": ("doji",), "cdlmarubozu": ("marubozu",)}


def _specs() -> Iterator[IndicatorSpec]:
    for block in re.split(r"\n(?=\S)", _TABLE.strip()):
        head, *lines = block.split("\n")
        name, title, lookback, direction, *penetration = head.split(" | ")
        yield _spec(name, title, int(lookback), direction, " ".join(map(str.strip, lines)), penetration)


def _spec(  # noqa: PLR0917 - a block of the table
    name: str, title: str, lookback: int, direction: str, description: str, penetration: list[str]
) -> IndicatorSpec:
    what = "How far the last close reaches into the first body, as a share of it."
    return IndicatorSpec(
        name=name,
        title=title,
        family="candlestick patterns",
        description=description,
        inputs=("open", "high", "low", "close"),
        params=tuple(Param("penetration", "float", float(share), what, min=0.0, max=10.0) for share in penetration),
        outputs=(_OUTPUTS[direction],),
        lookback=lambda _params: lookback,
        references=(
            "Steve Nison, Japanese Candlestick Charting Techniques (1991)",
            "Gregory L. Morris, Candlestick Charting Explained (1992)",
            f"https://ta-lib.org/functions/{name}/",
        ),
        aliases=_ALIASES.get(name, ()),
    )


SPECS = tuple(_specs())
