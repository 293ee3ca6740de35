"""Which TA-Lib call is the oracle of which indicator; those of a family stand in `talib_<family>.py` beside this."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import talib

from common.catalogue import CATALOGUE
from common.catalogue.averages import MA_TYPES
from common.catalogue.spec import Params
from tests.oracles.bars import Bars, Series, inputs_of

_MA_NUMBERS = {"sma": 0, "ema": 1, "wma": 2, "dema": 3, "tema": 4, "trima": 5, "kama": 6, "mama": 7, "t3": 8, "hma": 9}
MA_NUMBER = {**_MA_NUMBERS, "zlema": 12, "rma": 13}
"""TA-Lib's numbers for the kinds of moving average."""
assert set(MA_NUMBER) == set(MA_TYPES)


@dataclass(frozen=True, slots=True)
class Call:
    """A TA-Lib function that computes an indicator.

    `params` gives for each of the function's own parameters the name of ours, or a constant that is no text.
    `inputs` are the arrays it takes where they are not those of the spec in its order: names of series or of our
    parameters that name one. `order` says at which place TA-Lib returns each of our outputs. `grid` are parameters to
    compare at, besides the defaults. `adapt` brings what TA-Lib returns into our convention where that differs.

    `measure` names what differences are measured against where TA-Lib itself loses digits: a series of the bar (an
    output in units of the price that comes close to zero), or a number. `None`: against the value itself.
    """

    function: str
    params: Mapping[str, str | float] = field(default_factory=dict)
    inputs: Sequence[str] | None = None
    order: Sequence[int] | None = None
    grid: Sequence[Mapping[str, Any]] = ()
    measure: str | float | None = None
    adapt: Callable[[Sequence[Series], Params], Sequence[Series]] = lambda values, _params: values

    def bind(self, indicator: str, bars: Bars, params: Params) -> Callable[[], Any]:
        """The bare call over bars of shape (rows,), for a benchmark to repeat."""
        spec = CATALOGUE[indicator]
        arrays = (
            inputs_of(spec, params, bars)
            if self.inputs is None
            else [bars[str(params.get(name, name))] for name in self.inputs]
        )
        words = {theirs: self._value(ours, params) for theirs, ours in self.params.items()}
        function = getattr(talib, self.function)
        return lambda: function(*arrays, **words)

    def run(self, indicator: str, bars: Bars, params: Params) -> list[Series]:
        """One array of shape (rows,) per output, in the order of the spec."""
        found = self.bind(indicator, bars, params)()
        values = [np.asarray(v, np.float64) for v in (found if isinstance(found, list | tuple) else [found])]
        return list(self.adapt([values[i] for i in self.order] if self.order is not None else values, params))

    @staticmethod
    def _value(ours: str | float, params: Params) -> Any:  # noqa: ANN401 - whatever TA-Lib takes
        value = params[ours] if isinstance(ours, str) else ours
        return MA_NUMBER[value] if isinstance(value, str) else value


def _calls() -> Mapping[str, Call]:
    found: dict[str, Call] = {}
    for file in sorted(Path(__file__).parent.glob("talib_*.py")):
        if file.stem != Path(__file__).stem:
            found |= importlib.import_module(f"tests.oracles.{file.stem}").CALLS
    return found


CALLS: Mapping[str, Call]


def __getattr__(name: str) -> Mapping[str, Call]:
    """`CALLS` is put together when it is first asked for: the families' files import this one."""
    if name != "CALLS":
        raise AttributeError(name)
    globals()["CALLS"] = _calls()
    return globals()["CALLS"]
