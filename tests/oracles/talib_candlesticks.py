"""TA-Lib's candlestick patterns."""

from collections.abc import Mapping

from common.catalogue.candlesticks import SPECS
from tests.oracles.talib_calls import Call

_PENETRATIONS = ({"penetration": 0.0}, {"penetration": 0.1}, {"penetration": 0.9})

CALLS: Mapping[str, Call] = {
    spec.name: Call(
        spec.name.upper(),
        {param.name: param.name for param in spec.params},
        grid=_PENETRATIONS if spec.params else (),
    )
    for spec in SPECS
}
