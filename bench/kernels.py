"""Panel kernels against a loop of TA-Lib calls and against pandas, over the same bars."""

from collections.abc import Callable, Mapping, Sequence
from math import exp, log

import numpy as np
import pandas as pd

from bench.context import Bench
from bench.report import Figure, Section, speed_up
from bench.universe import Universe, milliseconds
from common.catalogue import CATALOGUE
from tests.oracles.talib_calls import CALLS
from worker import compiling
from worker.kernels import COMPILED

SYMBOLS, ROWS = 500, 756
MANY, LONG = 5_000, 2_520
_WORST = 5

Frames = Sequence[pd.DataFrame]


def _rsi(frame: pd.DataFrame) -> Frames:
    change = frame.diff()
    gain = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False, min_periods=14).mean()
    loss = (-change).clip(lower=0).ewm(alpha=1 / 14, adjust=False, min_periods=14).mean()
    return (100 * gain / (gain + loss),)


def _macd(frame: pd.DataFrame) -> Frames:
    line = frame.ewm(span=12, adjust=False).mean() - frame.ewm(span=26, adjust=False).mean()
    signal = line.ewm(span=9, adjust=False).mean()
    return line, signal, line - signal


def _bbands(frame: pd.DataFrame) -> Frames:
    window = frame.rolling(20)
    middle, width = window.mean(), 2 * window.std(ddof=0)
    return middle + width, middle, middle - width


# As they are commonly written; the seeds of the recurrences differ from TA-Lib's.
_PANDAS: Mapping[str, Callable[[pd.DataFrame], Frames]] = {
    "sma": lambda frame: (frame.rolling(20).mean(),),
    "ema": lambda frame: (frame.ewm(span=20, adjust=False).mean(),),
    "rsi": _rsi,
    "macd": _macd,
    "bbands": _bbands,
}


def run(bench: Bench) -> Section:
    bench.say("kernels: compiling or loading them")
    for _ in compiling.load_all():
        pass
    names = sorted(set(CALLS) & set(COMPILED))
    universe, one = Universe(SYMBOLS, ROWS), Universe(1, ROWS)
    bench.say(f"kernels: {len(names)} over {SYMBOLS} × {ROWS}")
    panel = _against_talib(universe, names, len(bench.rounds(5, 2)), 2)
    bench.say(f"kernels: {len(names)} over 1 × {ROWS}")
    single = _against_talib(one, names, len(bench.rounds(7, 3)), 100)
    figures = [
        _mean(f"{len(names)} kernels, {SYMBOLS} × {ROWS}, geometric mean", panel),
        *_worst(f"{SYMBOLS} × {ROWS}", panel),
        _mean(f"{len(names)} kernels, 1 × {ROWS}, geometric mean", single),
        *_worst(f"1 × {ROWS}", single),
    ]
    if not bench.quick:
        bench.say(f"kernels: {len(names)} over {MANY} × {LONG}")
        large = _against_talib(Universe(MANY, LONG), names, 2, 1)
        figures += [_mean(f"{len(names)} kernels, {MANY:,} × {LONG:,}, geometric mean", large)]
    frame = pd.DataFrame(np.concatenate([block["close"] for block in universe.blocks], axis=1))
    for name, of_pandas in _PANDAS.items():
        bench.say(f"kernels: {name} against pandas")
        ours = universe.ours(name)
        pairs = [
            (milliseconds(ours, 10), milliseconds(lambda of=of_pandas: of(frame), 1))  # type: ignore[misc]
            for _ in bench.rounds(5, 2)
        ]
        figures.append(speed_up(f"{name}, {SYMBOLS} × {ROWS}, against pandas", "ms", pairs))
    against = (
        "panel kernels with default parameters, one thread, over blocks as they are stored, outputs used again as in a"
        " job; ratio: how many times faster. TA-Lib: a loop of calls over contiguous columns. Among them are all"
        " indicators that have a compiled kernel here and a function there; tests hold them equal within 1e-9. pandas:"
        " rolling and ewm over a DataFrame."
    )
    return Section("kernels", against, figures)


def _against_talib(universe: Universe, names: Sequence[str], rounds: int, times: int) -> Mapping[str, Figure]:
    figures = {}
    for name in names:
        ours, theirs = universe.ours(name), universe.talib(name)
        ours()
        theirs()
        pairs = [(milliseconds(ours, times), milliseconds(theirs, times)) for _ in range(rounds)]
        figures[name] = speed_up(CATALOGUE[name].name, "ms", pairs)
    return figures


def _mean(what: str, figures: Mapping[str, Figure]) -> Figure:
    """Geometric mean of the ratios; times are sums."""
    found = figures.values()
    ratio = exp(sum(log(figure.ratio) for figure in found) / len(figures))
    return Figure(what, "ms", sum(f.ours for f in found), sum(f.baseline for f in found), ratio, "higher")


def _worst(what: str, figures: Mapping[str, Figure]) -> list[Figure]:
    slowest = sorted(figures.values(), key=lambda figure: figure.ratio)[:_WORST]
    return [Figure(f"… {f.what}, {what}", f.unit, f.ours, f.baseline, f.ratio, f.better) for f in slowest]
