"""What each candlestick pattern is, in words the machine of candlestick_kernels.py can run.

A number behind a word says how many bars ago. Conditions compare series of bars and averages:

- series: open, high, low, close; top and bottom of the body; body, its size; upper and lower shadow; twice the body;
  middle of the range,
- averages over the bars before: long (ten bodies), short (the same), doji (a tenth of ten ranges), tiny (the same, for
  shadows), slight (half the shadows of ten bars), near, far and equal (0.2, 0.6 and 0.05 of five ranges),
- short for often used ones: white and black, longer (body above long), shorter (below), small (not above short), star
  (not above doji), rises and falls (its body gaps away from the one before).

A Pattern has conditions for all, and rules: further conditions and what the pattern is worth where they hold.
"""

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from worker.kernels.candlestick_kernels import FIXED, SERIES, Program, series_operand

_AVERAGES = {
    "long": ("body", 10, 1.0, 1.0),
    "short": ("body", 10, 1.0, 1.0),
    "doji": ("range", 10, 0.1, 1.0),
    "tiny": ("range", 10, 0.1, 1.0),
    "slight": ("shadows", 10, 1.0, 0.5),
    "near": ("range", 5, 0.2, 1.0),
    "far": ("range", 5, 0.6, 1.0),
    "equal": ("range", 5, 0.05, 1.0),
}
"""Series, bars, and two factors of each: TA-Lib's default candle settings."""


class Pattern(NamedTuple):
    common: str
    rules: Mapping[int, Sequence[str]]


def _one(value: int, common: str) -> Pattern:
    return Pattern(common, {value: [""]})


def _two(common: str, bullish: str, bearish: str) -> Pattern:
    return Pattern(common, {100: [bullish], -100: [bearish]})


PATTERNS: Mapping[str, Pattern] = {
    "cdl2crows": _one(-100, "white2 longer2 black1 rises1 black0 open0<open1 open0>close1 close0>open2 close0<close2"),
    "cdl3blackcrows": _one(
        -100,
        "white3 black2 black1 black0 lower2<tiny2 lower1<tiny1 lower0<tiny0 open1<open2 open1>close2 open0<open1 "
        "open0>close1 high3>close2 close2>close1 close1>close0",
    ),
    "cdl3inside": _two(
        "longer2 small1 top1<top2 bottom1>bottom2", "black2 white0 close0>open2", "white2 black0 close0<open2"
    ),
    "cdl3linestrike": _two(
        "open2>=bottom3-near3 open2<=top3+near3 open1>=bottom2-near2 open1<=top2+near2",
        "white3 white2 white1 black0 close1>close2 close2>close3 open0>close1 close0<open3",
        "black3 black2 black1 white0 close1<close2 close2<close3 open0<close1 close0>open3",
    ),
    "cdl3outside": _two(
        "",
        "white1 black2 close1>open2 open1<close2 close0>close1",
        "black1 white2 open1>close2 close1<open2 close0<close1",
    ),
    "cdl3starsinsouth": _one(
        100,
        "black2 black1 black0 longer2 lower2>body2 body1<body2 open1>close2 open1<=high2 low1<close2 low1>=low2 "
        "lower1>tiny1 shorter0 lower0<tiny0 upper0<tiny0 low0>low1 high0<high1",
    ),
    "cdl3whitesoldiers": _one(
        100,
        "white2 white1 white0 upper2<tiny2 upper1<tiny1 upper0<tiny0 close0>close1 close1>close2 open1>open2 "
        "open1<=close2+near2 open0>open1 open0<=close1+near1 body1>body2-far2 body0>body1-far1 body0>short0",
    ),
    "cdlabandonedbaby": _two(
        "longer2 star1 body0>short0",
        "black2 white0 close0>close2+p*body2 high1<low2 low0>high1",
        "white2 black0 close0<close2-p*body2 low1>high2 high0<low1",
    ),
    "cdladvanceblock": Pattern(
        "white2 white1 white0 close0>close1 close1>close2 open1>open2 open1<=close2+near2 open0>open1 "
        "open0<=close1+near1 longer2 upper2<slight2",
        {
            -100: [
                "body1<body2-far2 body0<body1+near1",
                "body0<body1-far1",
                "body0<body1 body1<body2 upper0>slight0",
                "body0<body1 body1<body2 upper1>slight1",
                "body0<body1 upper0>body0",
            ]
        },
    ),
    "cdlbelthold": _two("longer0", "white0 lower0<tiny0", "black0 upper0<tiny0"),
    "cdlbreakaway": _two(
        "longer4",
        "black4 black3 black1 white0 falls3 high2<high3 low2<low3 high1<high2 low1<low2 close0>open3 close0<close4",
        "white4 white3 white1 black0 rises3 high2>high3 low2>low3 high1>high2 low1>low2 close0<open3 close0>close4",
    ),
    "cdlclosingmarubozu": _two("longer0", "white0 upper0<tiny0", "black0 lower0<tiny0"),
    "cdlconcealbabyswall": _one(
        100,
        "black3 black2 black1 black0 lower3<tiny3 upper3<tiny3 lower2<tiny2 upper2<tiny2 falls1 upper1>tiny1 "
        "high1>close2 high0>high1 low0<low1",
    ),
    "cdlcounterattack": _two(
        "longer1 longer0 close0<=close1+equal1 close0>=close1-equal1", "black1 white0", "white1 black0"
    ),
    "cdldarkcloudcover": _one(-100, "white1 longer1 black0 open0>high1 close0>open1 close0<close1-p*body1"),
    "cdldoji": _one(100, "star0"),
    "cdldojistar": _two("longer1 star0", "black1 falls0", "white1 rises0"),
    "cdldragonflydoji": _one(100, "star0 upper0<tiny0 lower0>tiny0"),
    "cdlengulfing": Pattern(
        "",
        {
            80: ["white0 black1 close0>=open1 open0<close1", "white0 black1 close0>open1 open0<=close1"],
            -80: ["black0 white1 open0>=close1 close0<open1", "black0 white1 open0>close1 close0<=open1"],
            100: ["white0 black1 close0>open1 open0<close1"],
            -100: ["black0 white1 open0>close1 close0<open1"],
        },
    ),
    "cdleveningdojistar": _one(-100, "longer2 white2 star1 rises1 body0>short0 black0 close0<close2-p*body2"),
    "cdleveningstar": _one(-100, "longer2 white2 small1 rises1 body0>short0 black0 close0<close2-p*body2"),
    "cdlgapsidesidewhite": _two(
        "white1 white0 body0>=body1-near1 body0<=body1+near1 open0>=open1-equal1 open0<=open1+equal1",
        "rises1 bottom0>top2",
        "falls1 top0<bottom2",
    ),
    "cdlgravestonedoji": _one(100, "star0 lower0<tiny0 upper0>tiny0"),
    "cdlhammer": _one(100, "shorter0 lower0>body0 upper0<tiny0 bottom0<=low1+near1"),
    "cdlhangingman": _one(-100, "shorter0 lower0>body0 upper0<tiny0 bottom0>=high1-near1"),
    "cdlharami": Pattern(
        "longer1 small0 top0<=top1 bottom0>=bottom1",
        {
            80: ["black1"],
            -80: ["white1"],
            100: ["black1 top0<top1 bottom0>bottom1"],
            -100: ["white1 top0<top1 bottom0>bottom1"],
        },
    ),
    "cdlharamicross": Pattern(
        "longer1 star0 top0<=top1 bottom0>=bottom1",
        {
            80: ["black1"],
            -80: ["white1"],
            100: ["black1 top0<top1 bottom0>bottom1"],
            -100: ["white1 top0<top1 bottom0>bottom1"],
        },
    ),
    "cdlhighwave": _two("shorter0 upper0>twice0 lower0>twice0", "white0", "black0"),
    "cdlhikkake": _two("high1<high2 low1>low2", "high0<high1 low0<low1", "high0>high1 low0>low1"),
    "cdlhikkakemod": _two(
        "high2<high3 low2>low3 high1<high2 low1>low2",
        "high0<high1 low0<low1 close2<=low2+near2",
        "high0>high1 low0>low1 close2>=high2-near2",
    ),
    "cdlhomingpigeon": _one(100, "black1 black0 longer1 small0 open0<open1 close0>close1"),
    "cdlidentical3crows": _one(
        -100,
        "black2 black1 black0 lower2<tiny2 lower1<tiny1 lower0<tiny0 close2>close1 close1>close0 "
        "open1<=close2+equal2 open1>=close2-equal2 open0<=close1+equal1 open0>=close1-equal1",
    ),
    "cdlinneck": _one(-100, "black1 longer1 white0 open0<low1 close0<=close1+equal1 close0>=close1"),
    "cdlinvertedhammer": _one(100, "shorter0 upper0>body0 lower0<tiny0 falls0"),
    "cdlkicking": _two(
        "longer1 upper1<tiny1 lower1<tiny1 longer0 upper0<tiny0 lower0<tiny0",
        "black1 white0 low0>high1",
        "white1 black0 high0<low1",
    ),
    "cdlkickingbylength": Pattern(
        "longer1 upper1<tiny1 lower1<tiny1 longer0 upper0<tiny0 lower0<tiny0",
        {
            100: ["black1 white0 low0>high1 body0>body1", "white1 black0 high0<low1 body0<=body1"],
            -100: ["black1 white0 low0>high1 body0<=body1", "white1 black0 high0<low1 body0>body1"],
        },
    ),
    "cdlladderbottom": _one(
        100,
        "black4 black3 black2 open4>open3 open3>open2 close4>close3 close3>close2 black1 upper1>tiny1 white0 "
        "open0>open1 close0>high1",
    ),
    "cdllongleggeddoji": Pattern("star0", {100: ["lower0>body0", "upper0>body0"]}),
    "cdllongline": _two("longer0 upper0<slight0 lower0<slight0", "white0", "black0"),
    "cdlmarubozu": _two("longer0 upper0<tiny0 lower0<tiny0", "white0", "black0"),
    "cdlmatchinglow": _one(100, "black1 black0 close0<=close1+equal1 close0>=close1-equal1"),
    "cdlmathold": _one(
        100,
        "longer4 shorter3 shorter2 shorter1 white4 black3 white0 rises3 bottom2<close4 bottom1<close4 "
        "bottom2>close4-p*body4 bottom1>close4-p*body4 top2<open3 top1<top2 open0>close1 close0>high3 close0>high2 "
        "close0>high1",
    ),
    "cdlmorningdojistar": _one(100, "longer2 black2 star1 falls1 body0>short0 white0 close0>close2+p*body2"),
    "cdlmorningstar": _one(100, "longer2 black2 small1 falls1 body0>short0 white0 close0>close2+p*body2"),
    "cdlonneck": _one(-100, "black1 longer1 white0 open0<low1 close0<=low1+equal1 close0>=low1-equal1"),
    "cdlpiercing": _one(100, "black1 longer1 white0 longer0 open0<low1 close0<open1 close0>close1+0.5*body1"),
    "cdlrickshawman": _one(100, "star0 lower0>body0 upper0>body0 bottom0<=middle0+near0 top0>=middle0-near0"),
    "cdlrisefall3methods": _two(
        "longer4 shorter3 shorter2 shorter1 longer0 bottom3<high4 top3>low4 bottom2<high4 top2>low4 bottom1<high4 "
        "top1>low4",
        "white4 black3 black2 black1 white0 close2<close3 close1<close2 open0>close1 close0>close4",
        "black4 white3 white2 white1 black0 close2>close3 close1>close2 open0<close1 close0<close4",
    ),
    "cdlseparatinglines": _two(
        "open0<=open1+equal1 open0>=open1-equal1 longer0", "black1 white0 lower0<tiny0", "white1 black0 upper0<tiny0"
    ),
    "cdlshootingstar": _one(-100, "shorter0 upper0>body0 lower0<tiny0 rises0"),
    "cdlshortline": _two("shorter0 upper0<slight0 lower0<slight0", "white0", "black0"),
    "cdlspinningtop": _two("shorter0 upper0>body0 lower0>body0", "white0", "black0"),
    "cdlstalledpattern": _one(
        -100,
        "white2 white1 white0 close0>close1 close1>close2 longer2 longer1 upper1<tiny1 open1>open2 "
        "open1<=close2+near2 shorter0 open0>=close1-body0-near1",
    ),
    "cdlsticksandwich": _one(100, "black2 white1 black0 low1>close2 close0<=close2+equal2 close0>=close2-equal2"),
    "cdltakuri": _one(100, "star0 upper0<tiny0 lower0>twice0"),
    "cdltasukigap": _two(
        "body1-body0<near1 body0-body1<near1",
        "rises1 white1 black0 open0<close1 open0>open1 close0<open1 close0>top2",
        "falls1 black1 white0 open0<open1 open0>close1 close0>open1 close0<bottom2",
    ),
    "cdlthrusting": _one(-100, "black1 longer1 white0 open0<low1 close0>close1+equal1 close0<=close1+0.5*body1"),
    "cdltristar": _two("body2<=doji2 body1<=doji2 body0<=doji2", "falls1 bottom0>bottom1", "rises1 top0<top1"),
    "cdlunique3river": _one(
        100, "longer2 black2 black1 close1>close2 open1<=open2 low1<low2 shorter0 white0 open0>low1"
    ),
    "cdlupsidegap2crows": _one(
        -100, "white2 longer2 black1 small1 rises1 black0 open0>open1 close0<close1 close0>close2"
    ),
    "cdlxsidegap3methods": _two(
        "open0<top1 open0>bottom1 close0<top2 close0>bottom2",
        "white2 white1 black0 rises1",
        "black2 black1 white0 falls1",
    ),
}

_SHORT = {
    "white": "close{0}>=open{0}",
    "black": "close{0}<open{0}",
    "longer": "body{0}>long{0}",
    "shorter": "body{0}<short{0}",
    "small": "body{0}<=short{0}",
    "star": "body{0}<=doji{0}",
    "rises": "bottom{0}>top{1}",
    "falls": "top{0}<bottom{1}",
}


class _Reader:
    """Turns conditions into numbers and keeps what they need."""

    def __init__(self) -> None:
        self.places: dict[str, int] = {}
        self.averages: list[tuple[int, int, int, int]] = []
        self.factors: list[tuple[float, float]] = []
        self.sums: list[tuple[int, int, int]] = []
        self.weights: list[float] = []

    def conditions(self, text: str) -> list[list[int]]:
        """Rows of four of a kind; what is missing in a row repeats its first."""
        found = [self._condition(word) for word in text.split()]
        rows = []
        for kind in (0, 1):
            pairs = [(low, high) for low, high, equal in found if equal == kind]
            for n in range(0, len(pairs), 4):
                four = (pairs[n : n + 4] + pairs[n : n + 1] * 3)[:4]
                rows.append([*(low for low, _ in four), *(high for _, high in four), kind])
        return rows

    def _condition(self, word: str) -> tuple[int, int, int]:
        """(lesser, greater, whether they may be equal)."""
        if short := re.fullmatch(r"([a-z]+)(\d)", word):
            ago = int(short[2])
            word = _SHORT[short[1]].format(ago, ago + 1)
        left, sign, right = re.split(r"([<>]=?)", word)
        operands = self._sum(left), self._sum(right)
        low, high = operands if sign[0] == "<" else operands[::-1]
        return low, high, len(sign) - 1

    def _sum(self, text: str) -> int:
        """Operand of `first`, or of `first + weight * second` and so on."""
        if text in self.places:
            return self.places[text]
        head, sign, weight, last = re.fullmatch(r"(?:(.+)([+-])(?:(p|[\d.]+)\*)?)?([a-z]+\d)", text).groups()  # type: ignore[union-attr]
        if head is None:
            return self._term(last)
        first, second, place = self._sum(head), self._term(last), self._new(text)
        self.sums.append((place, first, second))
        self.weights.append((float("inf") if weight == "p" else float(weight or 1)) * (1 if sign == "+" else -1))
        return place

    def _term(self, text: str) -> int:
        if text in self.places:
            return self.places[text]
        name, ago = text[:-1], int(text[-1])
        if name in SERIES:
            return series_operand(name, ago)
        of, period, factor, divisor = _AVERAGES[name]
        place = self._new(text)
        self.averages.append((SERIES.index(of), ago, period, place))
        self.factors.append((factor, divisor))
        return place

    def _new(self, text: str) -> int:
        return self.places.setdefault(text, FIXED + len(self.places))


def program(pattern: Pattern) -> Program:
    reader = _Reader()
    rows = reader.conditions(pattern.common)
    rules = [(0, len(rows), 0)]
    for value, alternatives in pattern.rules.items():
        for text in alternatives:
            more = reader.conditions(text)
            rules.append((len(rows), len(rows) + len(more), value))
            rows += more
    return Program(
        np.array(reader.averages, np.int64).reshape(-1, 4),
        np.array(reader.factors, np.float64).reshape(-1, 2),
        np.array(reader.sums, np.int64).reshape(-1, 3),
        np.array(reader.weights, np.float64),
        np.array(rows, np.int64).reshape(-1, 9),
        np.array(rules, np.int64),
        FIXED + len(reader.places),
    )
