"""Measures what each indicator costs and writes `common/catalogue/costs.py`, by which jobs are cut into parts.

The figures are of the machine it runs on; what matters is how they compare. It takes some ten seconds.
"""

import os
import sys
from pathlib import Path

os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(sys.prefix) / "numba-cache"))  # before numba is imported

from bench.universe import Universe
from common.catalogue import CATALOGUE
from worker import compiling

FILE = Path(__file__).parent.parent / "common" / "catalogue" / "costs.py"
SYMBOLS, ROWS, ROUNDS = 250, 756, 5

_HEAD = '''\
"""What an indicator costs: nanoseconds per row and symbol, as `python -m scripts.kernel_costs` has measured them.

{count} indicators with default parameters, {symbols} symbols x {rows} rows on one core, the best of {rounds} rounds.
"""

from collections.abc import Mapping
from types import MappingProxyType

NANOSECONDS: Mapping[str, float] = MappingProxyType(
    {{
'''


def main() -> None:
    for _ in compiling.load_all():
        pass
    names = list(CATALOGUE)
    universe = Universe(SYMBOLS, ROWS)
    universe.ours(names)
    rounds = [universe.ours(names) for _ in range(ROUNDS)]
    cells = SYMBOLS * ROWS
    best = {name: min(times[name] for times in rounds) * 1e6 / cells for name in names}
    head = _HEAD.format(count=len(names), symbols=SYMBOLS, rows=ROWS, rounds=ROUNDS)
    lines = [f'        "{name}": {float(f"{cost:.2g}")},\n' for name, cost in sorted(best.items())]
    FILE.write_text(head + "".join(lines) + "    }\n)\n")
    print(f"{FILE.name}: {len(names)} indicators, {sum(best.values()) / len(best):.1f} ns on average")


if __name__ == "__main__":
    main()
