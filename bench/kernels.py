"""Panel kernels against a loop of TA-Lib calls and against pandas, over the same bars."""

from collections.abc import Callable, Mapping, Sequence
from math import exp, log

import pandas as pd

from bench.context import Bench
from bench.report import Figure, Pair, Section, speed_up
from bench.universe import Universe
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
    universe = Universe(SYMBOLS, ROWS)
    size = f"{SYMBOLS} × {ROWS}"
    bench.say(f"kernels: {len(names)} over {size}, each again and again")
    panel = _again(universe, names, len(bench.rounds(5, 2)), times=10, calls=2)
    bench.say(f"kernels: {len(names)} over {size}, in the order of a job")
    in_job = _in_job(universe, names, len(bench.rounds(7, 3)))
    bench.say(f"kernels: {len(names)} over 1 × {ROWS}")
    single = _again(Universe(1, ROWS), names, len(bench.rounds(7, 3)), times=300, calls=300)
    figures = [
        _mean(f"{len(names)} kernels, {size}, each again and again", panel),
        *_worst(size, panel),
        _mean(f"{len(names)} kernels, {size}, in the order of a job", in_job),
        _mean(f"{len(names)} kernels, 1 × {ROWS}", single),
        *_worst(f"1 × {ROWS}", single),
    ]
    patterns = sorted(set(CALLS) - set(COMPILED))
    bench.say(f"kernels: {len(patterns)} candlestick patterns over {size}")
    of_patterns = _again(universe, patterns, len(bench.rounds(3, 1)), times=5, calls=2)
    figures.append(_mean(f"{len(patterns)} candlestick patterns, {size}, each again and again", of_patterns))
    if not bench.quick:
        bench.say(f"kernels: {len(names)} over {MANY:,} × {LONG:,}")
        large = _in_job(Universe(MANY, LONG), names, 2)
        figures.append(_mean(f"{len(names)} kernels, {MANY:,} × {LONG:,}, in the order of a job", large))
    for name, of_pandas in _PANDAS.items():
        bench.say(f"kernels: {name} against pandas")
        pairs = [(universe.ours_again(name, 10), universe.pandas(of_pandas)) for _ in bench.rounds(7, 3)]
        figures.append(speed_up(f"{name}, {size}, against pandas", "ms", pairs))
    against = (
        "panel kernels with default parameters, one thread, over blocks of symbols as they are stored, output panels"
        " used again; ratio: how many times faster, of several kernels their geometric mean. TA-Lib: a loop of calls"
        " over contiguous columns. In the order of a job: all functions for one block or symbol, then for the next."
        " Among them are all indicators that have a compiled kernel here and a function there; tests hold them equal"
        " within 1e-9. Its calls cost about a microsecond each, whatever their length, so the ratio falls with the"
        " rows. pandas: rolling and ewm over a DataFrame."
    )
    return Section("kernels", against, figures)


def _again(universe: Universe, names: Sequence[str], rounds: int, *, times: int, calls: int) -> Mapping[str, Figure]:
    """Each by itself, ours `times` in a row, then TA-Lib's loop `calls` in a row."""
    figures = {}
    for name in names:
        universe.ours_again(name, 2)
        pairs = [(universe.ours_again(name, times), universe.talib_again(name, calls)) for _ in range(rounds)]
        figures[name] = speed_up(name, "ms", pairs)
    return figures


def _in_job(universe: Universe, names: Sequence[str], rounds: int) -> Mapping[str, Figure]:
    """All of them for one block or symbol, then for the next."""
    pairs: dict[str, list[Pair]] = {name: [] for name in names}
    for number in range(rounds + 1):
        ours, theirs = universe.ours(names), universe.talib(names)
        if number:  # the first one warms up
            for name in names:
                pairs[name].append((ours[name], theirs[name]))
    return {name: speed_up(name, "ms", pairs[name]) for name in names}


def _mean(what: str, figures: Mapping[str, Figure]) -> Figure:
    """Geometric mean of the ratios; times are sums."""
    found = figures.values()
    ratio = exp(sum(log(figure.ratio) for figure in found) / len(figures))
    return Figure(what, "ms", sum(f.ours for f in found), sum(f.baseline for f in found), ratio, "higher")


def _worst(what: str, figures: Mapping[str, Figure]) -> list[Figure]:
    slowest = sorted(figures.values(), key=lambda figure: figure.ratio)[:_WORST]
    return [Figure(f"… {f.what}, {what}", f.unit, f.ours, f.baseline, f.ratio, f.better) for f in slowest]
