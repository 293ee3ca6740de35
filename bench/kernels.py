"""Panel kernels against a loop of TA-Lib calls and against pandas, over the same arrays."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

import numpy as np
import pandas as pd
import talib
from numpy.typing import NDArray

from bench.context import Bench
from bench.report import Figure, Section, speed_up
from common.catalogue import find
from worker import kernels

SYMBOLS, ROWS = 500, 756

Floats = NDArray[np.float64]
Outputs = Sequence[Floats]

_TALIB: Mapping[str, Callable[[Floats], Outputs]] = {
    "sma": lambda x: (talib.SMA(x, 20),),
    "ema": lambda x: (talib.EMA(x, 20),),
    "rsi": lambda x: (talib.RSI(x, 14),),
    "macd": lambda x: talib.MACD(x, 12, 26, 9),
    "bbands": lambda x: talib.BBANDS(x, 20, 2.0, 2.0),
}


def _rsi(frame: pd.DataFrame) -> Sequence[pd.DataFrame]:
    change = frame.diff()
    gain = change.clip(lower=0).ewm(alpha=1 / 14, adjust=False, min_periods=14).mean()
    loss = (-change).clip(lower=0).ewm(alpha=1 / 14, adjust=False, min_periods=14).mean()
    return (100 * gain / (gain + loss),)


def _macd(frame: pd.DataFrame) -> Sequence[pd.DataFrame]:
    line = frame.ewm(span=12, adjust=False).mean() - frame.ewm(span=26, adjust=False).mean()
    signal = line.ewm(span=9, adjust=False).mean()
    return line, signal, line - signal


def _bbands(frame: pd.DataFrame) -> Sequence[pd.DataFrame]:
    window = frame.rolling(20)
    middle, width = window.mean(), 2 * window.std(ddof=0)
    return middle + width, middle, middle - width


# As they are commonly written; the seeds of the recurrences differ from TA-Lib's.
_PANDAS: Mapping[str, Callable[[pd.DataFrame], Sequence[pd.DataFrame]]] = {
    "sma": lambda frame: (frame.rolling(20).mean(),),
    "ema": lambda frame: (frame.ewm(span=20, adjust=False).mean(),),
    "rsi": _rsi,
    "macd": _macd,
    "bbands": _bbands,
}


def run(bench: Bench) -> Section:
    columns = _walks()  # (symbols, rows): each symbol's history is contiguous, as TA-Lib likes it best
    panel = np.ascontiguousarray(columns.T)
    frame = pd.DataFrame(panel)
    kernels.warm_up()
    figures: list[Figure] = []
    for name, of_talib in _TALIB.items():
        bench.say(f"kernels: {name}")
        params = find(name).defaults
        outputs = [np.empty_like(panel) for _ in find(name).outputs]

        def ours(name: str = name, panel: Floats = panel, outputs: Outputs = outputs) -> None:
            kernels.run(name, [panel], find(name).defaults, outputs)

        def loop(of_talib: Callable[[Floats], Outputs] = of_talib) -> list[Outputs]:
            return [of_talib(column) for column in columns]

        ours()
        _assert_equal(name, outputs, loop())
        rounds = bench.rounds(9, 3)
        against_talib = [(_milliseconds(ours, 10), _milliseconds(loop, 1)) for _ in rounds]
        against_pandas = [
            (_milliseconds(ours, 10), _milliseconds(lambda name=name: _PANDAS[name](frame), 1))  # type: ignore[misc]
            for _ in bench.rounds(5, 2)
        ]
        alone = np.ascontiguousarray(panel[:, :1])
        alone_out = [np.empty_like(alone) for _ in outputs]

        def ours_alone(
            name: str = name, alone: Floats = alone, params: object = params, out: Outputs = alone_out
        ) -> None:
            kernels.run(name, [alone], params, out)  # type: ignore[arg-type]

        single = [
            (_milliseconds(ours_alone, 300), _milliseconds(lambda of=of_talib: of(columns[0]), 300))  # type: ignore[misc]
            for _ in rounds
        ]
        figures += [
            speed_up(f"{name}, {SYMBOLS} × {ROWS}, against TA-Lib", "ms", against_talib),
            speed_up(f"{name}, {SYMBOLS} × {ROWS}, against pandas", "ms", against_pandas),
            speed_up(f"{name}, 1 × {ROWS}, against TA-Lib", "ms", single),
        ]
    against = (
        "one panel kernel, default parameters, one thread, output panels used again as in a job; ratio: how many times"
        " faster. TA-Lib: a loop of calls over contiguous columns. pandas: rolling and ewm over a DataFrame. Equal to"
        " TA-Lib within 1e-9, checked."
    )
    return Section("kernels", against, figures)


def _walks() -> Floats:
    """Prices of shape (symbols, rows)."""
    moves = np.random.default_rng(7).normal(0.0003, 0.015, (SYMBOLS, ROWS))
    return 300 * np.exp(np.cumsum(moves, axis=1))


def _assert_equal(name: str, outputs: Outputs, expected: Sequence[Outputs]) -> None:
    for place, panel in enumerate(outputs):
        reference = np.array([of_symbol[place] for of_symbol in expected]).T
        np.testing.assert_allclose(panel, reference, rtol=1e-9, atol=1e-9, equal_nan=True, err_msg=name)


def _milliseconds(body: Callable[[], object], times: int) -> float:
    """Of one run, as the mean of `times` in a row."""
    began = perf_counter()
    for _ in range(times):
        body()
    return 1000 * (perf_counter() - began) / times
