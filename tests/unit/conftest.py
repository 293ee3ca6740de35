"""Fixtures of the unit tests."""

import numpy as np
import pytest

from tests.unit.compute_kit import END
from worker.market.bars import Bars
from worker.market.publish import publish
from worker.market.sample import generate
from worker.market.store import Market


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Market:
    """Six symbols over a year, two of them listed late and one suspended for a while, so there are three blocks."""
    bars = generate(6, 1, END)
    keep = np.ones(bars.rows, bool)
    for symbol, cut in (("SYN002", slice(0, 200)), ("SYN005", slice(0, 200)), ("SYN006", slice(100, 110))):
        start = int(bars.starts[bars.symbols.index(symbol)])
        keep[start + cut.start : start + cut.stop] = False
    codes = np.repeat(np.arange(6), bars.counts)[keep]
    columns = {name: values[keep] for name, values in bars.columns.items()}
    folder = tmp_path_factory.mktemp("market")
    publish(Bars.from_rows(bars.symbols, codes, bars.days[keep], columns), folder, {})
    return Market.open(folder)
