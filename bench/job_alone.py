"""The baseline of `job`: one process that makes the same table with TA-Lib and pyarrow.

`python -m bench.job_alone DATA START END OUT` prints seconds as JSON: imports, read, make (compute and write).
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from itertools import pairwise
from time import perf_counter

_began = perf_counter()

import numpy as np  # noqa: E402 - the imports are timed
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import talib  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from bench.job_series import SERIES  # noqa: E402

_IMPORTS = perf_counter() - _began

Floats = NDArray[np.float64]

_FUNCTIONS: Mapping[str, Callable[..., Sequence[Floats]]] = {
    "sma": lambda x, period: (talib.SMA(x, period),),
    "ema": lambda x, period: (talib.EMA(x, period),),
    "rsi": lambda x, period: (talib.RSI(x, period),),
    "macd": talib.MACD,
    "bbands": lambda x, period, multiplier: talib.BBANDS(x, period, multiplier, multiplier),
}


Bars = tuple[list[str], list[int], pa.Array, Floats]
"""Symbols, the row each begins at (and the end), dates and closes, sorted by symbol and date."""


def read(file: str) -> Bars:
    table = pq.read_table(file, columns=["symbol", "date", "close"])
    table = table.sort_by([("symbol", "ascending"), ("date", "ascending")])
    runs = pc.run_end_encode(table.column("symbol").combine_chunks())
    ends = runs.run_ends.to_pylist()
    dates = table.column("date").combine_chunks().cast(pa.date32())
    return runs.values.to_pylist(), [0, *ends], dates, table.column("close").to_numpy().astype(np.float64)


def make(bars: Bars, window: tuple[str, str], out: str) -> None:
    """Computes every series over each symbol's whole history, cuts the rows to the window, writes the table."""
    symbols, bounds, dates, closes = bars
    columns = {name: np.empty(len(closes)) for one in SERIES for name in one.columns}
    for start, end in pairwise(bounds):
        close = closes[start:end]
        for one in SERIES:
            results = _FUNCTIONS[one.indicator](close, *one.arguments)
            for name, values in zip(one.columns, results, strict=True):
                columns[name][start:end] = values
    codes = np.repeat(np.arange(len(symbols), dtype=np.int32), np.diff(bounds))
    table = pa.table(
        {
            "symbol": pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(symbols)),
            "date": dates,
            **{name: pa.array(values, mask=np.isnan(values)) for name, values in columns.items()},
        }
    )
    first, last = (date.fromisoformat(day) for day in window)
    if pc.min(dates).as_py() < first or pc.max(dates).as_py() > last:
        inside = pc.and_(pc.greater_equal(dates, pa.scalar(first)), pc.less_equal(dates, pa.scalar(last)))
        table = table.filter(inside)
    # As worker.encode writes it.
    pq.write_table(
        table, out, compression="zstd", use_dictionary=["symbol", "date"], use_byte_stream_split=list(columns)
    )


def main() -> None:
    data, start, end, out = sys.argv[1:]
    began = perf_counter()
    bars = read(data)
    have_read = perf_counter()
    make(bars, (start, end), out)
    made = perf_counter()
    print(json.dumps({"imports": _IMPORTS, "read": have_read - began, "make": made - have_read}))


if __name__ == "__main__":
    main()
