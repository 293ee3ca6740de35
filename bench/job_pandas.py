"""The other baseline of `job`: one process that makes the same table with pandas, symbol by symbol.

`python -m bench.job_pandas DATA START END OUT` prints seconds as JSON: imports, read, make (compute and write).
"""

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter

_began = perf_counter()

import pandas as pd  # noqa: E402 - the imports are timed
import pyarrow.parquet  # noqa: E402, F401 - pandas loads it when it writes

from bench.job_series import SERIES  # noqa: E402

_IMPORTS = perf_counter() - _began


def _rsi(x: pd.Series, period: int) -> Sequence[pd.Series]:
    change = x.diff()
    gain = change.clip(lower=0).ewm(alpha=1 / period, adjust=False, min_periods=period).mean()
    loss = (-change.clip(upper=0)).ewm(alpha=1 / period, adjust=False, min_periods=period).mean()
    return (100 * gain / (gain + loss),)


def _macd(x: pd.Series, fast: int, slow: int, signal: int) -> Sequence[pd.Series]:
    macd = _ema(x, fast)[0] - _ema(x, slow)[0]
    line = _ema(macd, signal)[0]
    return macd, line, macd - line


def _ema(x: pd.Series, period: int) -> Sequence[pd.Series]:
    return (x.ewm(span=period, adjust=False, min_periods=period).mean(),)


def _bbands(x: pd.Series, period: int, multiplier: float) -> Sequence[pd.Series]:
    window = x.rolling(int(period))
    middle, width = window.mean(), multiplier * window.std(ddof=0)
    return middle + width, middle, middle - width


_FUNCTIONS: Mapping[str, Callable[..., Sequence[pd.Series]]] = {
    "sma": lambda x, period: (x.rolling(period).mean(),),
    "ema": _ema,
    "rsi": _rsi,
    "macd": _macd,
    "bbands": _bbands,
}


def make(bars: pd.DataFrame, window: tuple[str, str], out: str) -> None:
    tables = []
    for symbol, rows in bars.groupby("symbol", sort=True, observed=True):
        columns = {"symbol": symbol, "date": rows["date"]}
        for one in SERIES:
            results = _FUNCTIONS[one.indicator](rows["close"], *one.arguments)
            columns |= dict(zip(one.columns, results, strict=True))
        tables.append(pd.DataFrame(columns))
    table = pd.concat(tables, ignore_index=True)
    table = table[table["date"].between(*map(pd.Timestamp, window))]
    table["symbol"] = table["symbol"].astype("category")
    table.to_parquet(out, compression="zstd", index=False)


def main() -> None:
    data, start, end, out = sys.argv[1:]
    began = perf_counter()
    bars = pd.read_parquet(data, columns=["symbol", "date", "close"]).sort_values(["symbol", "date"])
    bars["date"] = pd.to_datetime(bars["date"])
    have_read = perf_counter()
    make(bars, (start, end), out)
    made = perf_counter()
    print(json.dumps({"imports": _IMPORTS, "read": have_read - began, "make": made - have_read}))


if __name__ == "__main__":
    main()
