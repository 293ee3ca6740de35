"""Synthetic bars: something to try the service on. Nothing here resembles a real company."""

from datetime import date

import numpy as np

from worker.market.bars import Bars, Floats

DEFAULT_SEED = 20_240_101

_TRADING_DAYS = 252
_CHEAPEST = 1.0
"""Prices never fall below this, so that two decimals stay meaningful."""


def trading_days(end: date, years: int) -> np.ndarray[tuple[int], np.dtype[np.datetime64]]:
    """Monday to Friday of the `years` years up to the last business day on or before `end`, datetime64[D]."""
    last = np.busday_offset(np.datetime64(end, "D"), 0, roll="backward")
    end = date.fromisoformat(str(last))
    try:
        first = end.replace(year=end.year - years)
    except ValueError:  # 29 February
        first = end.replace(year=end.year - years, day=28)
    days = np.arange(np.datetime64(first, "D"), last + 1)
    return days[np.is_busday(days)]


def generate(symbols: int, years: int, end: date, seed: int = DEFAULT_SEED) -> Bars:
    """`symbols` random walks over the same calendar; the same arguments give the same bars.

    Closes follow geometric Brownian motion with a common market factor; opens gap a little from the close before,
    highs and lows lie outside both, volume grows with the size of the move. Prices have two decimals.
    """
    rng = np.random.default_rng(seed)
    calendar = trading_days(end, years)
    rows = len(calendar)
    shape = (rows, symbols)

    drift = rng.normal(0.08, 0.06, symbols) / _TRADING_DAYS
    volatility = rng.uniform(0.15, 0.45, symbols) / np.sqrt(_TRADING_DAYS)
    beta = rng.uniform(0.2, 0.8, symbols)
    market = rng.standard_normal((rows, 1))
    shock = beta * market + np.sqrt(1 - beta**2) * rng.standard_normal(shape)
    moves = drift - volatility**2 / 2 + volatility * shock
    start = np.exp(rng.normal(np.log(300.0), 0.9, symbols))
    close = _price(start * np.exp(np.cumsum(moves, axis=0)))

    before = np.vstack([_price(start)[None, :], close[:-1]])
    open_ = _price(before * np.exp(0.3 * volatility * rng.standard_normal(shape)))
    reach = 0.6 * volatility * np.abs(rng.standard_normal((2, *shape)))
    high = _price(np.maximum(open_, close) * np.exp(reach[0]))
    low = _price(np.minimum(open_, close) * np.exp(-reach[1]))

    usual = np.exp(rng.normal(np.log(2e6), 1.0, symbols))
    busy = 1 + 0.8 * np.abs(moves) / volatility
    volume = np.rint(usual * busy * np.exp(0.35 * rng.standard_normal(shape)))

    width = max(3, len(str(symbols)))
    names = tuple(f"SYN{number:0{width}d}" for number in range(1, symbols + 1))
    panels = {"open": open_, "high": high, "low": low, "close": close, "volume": volume}
    return Bars(
        symbols=names,
        counts=np.full(symbols, rows, np.int64),
        days=np.tile(calendar.astype(np.int32), symbols),
        columns={name: np.ascontiguousarray(panel.T).ravel() for name, panel in panels.items()},
        synthetic=True,
    )


def _price(values: Floats) -> Floats:
    return np.maximum(np.round(values, 2), _CHEAPEST)
