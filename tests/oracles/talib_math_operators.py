"""TA-Lib's operators."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from common.catalogue.spec import Params
from tests.oracles.bars import Bars, Series
from tests.oracles.talib_calls import Call

_TWO = ({"source": "close", "source2": "volume"}, {"source": "volume", "source2": "open"})
_PERIODS = tuple({"period": period} for period in (2, 5, 100, 500))
_WINDOW = {"timeperiod": "period"}


@dataclass(frozen=True, slots=True)
class IndexCall(Call):
    """A function that returns rows.

    Of equal values TA-Lib names now the first, now the last, depending on rows before the window; here it is the last.
    """

    def run(self, indicator: str, bars: Bars, params: Params) -> list[Series]:
        x, first = bars[str(params["source"])], int(params["period"]) - 1
        results = Call.run(self, indicator, bars, params)
        for rows in results:
            rows[:first] = 0.0
            for t in range(first, len(rows)):
                row = int(rows[t])
                rows[t] = row + np.flatnonzero(x[row : t + 1] == x[row])[-1]
        return results


CALLS: Mapping[str, Call] = {
    "add": Call("ADD", grid=_TWO),
    "sub": Call("SUB", grid=_TWO),
    "mult": Call("MULT", grid=_TWO),
    "div": Call("DIV", grid=_TWO),
    "cumsum": Call("CUMSUM", grid=({"source": "volume"},)),
    "sum": Call("SUM", _WINDOW, grid=_PERIODS),
    "max": Call("MAX", _WINDOW, grid=_PERIODS),
    "min": Call("MIN", _WINDOW, grid=_PERIODS),
    "minmax": Call("MINMAX", _WINDOW, grid=_PERIODS),
    "maxindex": IndexCall("MAXINDEX", _WINDOW, grid=_PERIODS),
    "minindex": IndexCall("MININDEX", _WINDOW, grid=_PERIODS),
    "minmaxindex": IndexCall("MINMAXINDEX", _WINDOW, grid=_PERIODS),
}
