"""Writes docs/indicators from the catalogue: a page and a picture of each, an index; `--check` says what is stale."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import groupby
from pathlib import Path

os.environ.setdefault("NUMBA_CACHE_DIR", str(Path(sys.prefix) / "numba-cache"))  # before numba is imported

import numpy as np

from common.catalogue import CATALOGUE
from common.catalogue.spec import SOURCES, IndicatorSpec, Param, shown_value
from scripts.picture import Series, draw
from worker import kernels
from worker.market import sample

FOLDER = Path(__file__).parent.parent / "docs" / "indicators"
BARS = 90
_NUMBER = re.compile(r"-?\d+")
_INDEX = """\
# Indicators

{count} indicators. Each page is made from the record that the API itself serves at `GET /v1/indicators/{{name}}`, with
a picture on synthetic data; `python -m scripts.indicator_docs` writes them. How values are seeded, rounded and chained,
what was left out and why stands in [conventions](../conventions.md).
"""


def pages() -> Iterator[tuple[str, str]]:
    """Name and content of each file."""
    bars = _bars()
    yield "README.md", _index()
    for spec in CATALOGUE.values():
        outputs = kernels.run(spec.name, [bars[name][:, None] for name in _inputs(spec)], spec.defaults)
        values = {o.name: panel[-BARS:, 0] for o, panel in zip(spec.outputs, outputs, strict=True)}
        yield f"{spec.name}.md", _page(spec)
        yield f"{spec.name}.svg", draw(spec, {name: series[-BARS:] for name, series in bars.items()}, values)


def _bars() -> Mapping[str, Series]:
    """A symbol of the generated sample, long enough for every default."""
    made = sample.generate(1, 3, date(2025, 9, 30))
    o, h, l, c = (made.columns[name] for name in ("open", "high", "low", "close"))  # noqa: E741 - the field's own terms
    averages = {"hl2": (h + l) / 2, "hlc3": (h + l + c) / 3, "ohlc4": (h + l + c + o) / 4}
    return {**made.columns, **averages, "date": made.days.astype(np.float64)}


def _inputs(spec: IndicatorSpec) -> list[str]:
    return [name if name in SOURCES or name == "date" else str(spec.defaults[name]) for name in spec.inputs]


def _index() -> str:
    lines = [_INDEX.format(count=len(CATALOGUE))]
    for family, specs in groupby(sorted(CATALOGUE.values(), key=lambda s: s.family), key=lambda s: s.family):
        lines += [f"## {family.capitalize()}", "", "| name | title | also known as |", "| --- | --- | --- |"]
        lines += [f"| [{s.name}]({s.name}.md) | {s.title} | {', '.join(s.aliases)} |" for s in specs]
        lines.append("")
    return "\n".join(lines)


def _page(spec: IndicatorSpec) -> str:
    lines = [f"# {spec.title}", "", f"`{spec.name}` · {spec.family} · tier {spec.tier}"]
    if spec.aliases:
        lines[-1] += f" · also known as {', '.join(f'`{alias}`' for alias in spec.aliases)}"
    lines += ["", spec.description, "", f"![{spec.title}]({spec.name}.svg)", ""]
    if spec.params:
        lines += ["| parameter | default | allowed | meaning |", "| --- | --- | --- | --- |"]
        lines += [f"| `{p.name}` | `{shown_value(p.default)}` | {_allowed(p)} | {p.description} |" for p in spec.params]
        lines.append("")
    lines += ["| output | unit | range | meaning |", "| --- | --- | --- | --- |"]
    for o in spec.outputs:
        bounds = f"{'' if o.low is None else f'{o.low:g}'} … {'' if o.high is None else f'{o.high:g}'}"
        reach = bounds if (o.low, o.high) != (None, None) else ""
        gaps = " May have no value in some rows." if o.gaps else ""
        lines.append(f"| `{o.name}` | {o.unit.name} | {reach} | {o.description}{gaps} |")
    lines += [
        "",
        f"Computed on {', '.join(f'`{name}`' for name in spec.inputs)}. {_first_value(spec)}",
        "",
        "```",
        f"GET /v1/indicators/{spec.name}/values?symbol=SYN001{_question(spec)}",
        "```",
        "",
        "References:",
        "",
        *(f"- {reference}" for reference in spec.references),
        "",
    ]
    return "\n".join(lines)


def _first_value(spec: IndicatorSpec) -> str:
    first = f"With the defaults the first value is in row {spec.lookback(spec.defaults) + 1}"
    stable = spec.stable_period(spec.defaults)
    if stable is None:
        return f"{first}; where the history begins always matters."
    if not spec.recursive(spec.defaults):
        return f"{first}; a value depends on the rows of its window alone."
    return f"{first}; after {stable} rows the seed weighs less than a millionth."


def _allowed(param: Param) -> str:
    if param.type == "source":
        return "a series of the bar or another indicator"
    if param.type == "bool":
        return "true, false"
    if param.choices:
        return ", ".join(param.choices) + (" or a date" if param.or_date else "")
    low, high = (shown_value(float(bound or 0)) for bound in (param.min, param.max))
    return f"{low} to {high}" + (f" {param.unit}" if param.unit else "")


def _question(spec: IndicatorSpec) -> str:
    return "".join(f"&{p.name}={shown_value(p.default)}" for p in spec.params if p.is_number)


def _alike(ours: str, theirs: str) -> bool:
    """Equal but for a pixel: processors round sums in their own ways."""
    if _NUMBER.sub("#", ours) != _NUMBER.sub("#", theirs):
        return False
    pairs = zip(_NUMBER.findall(ours), _NUMBER.findall(theirs), strict=True)
    return all(abs(int(a) - int(b)) <= 1 for a, b in pairs)


def main() -> int:
    made = dict(pages())
    there = {file.name: file.read_text() for file in FOLDER.iterdir()} if FOLDER.is_dir() else {}
    stale = [
        name
        for name, text in made.items()
        if not (_alike(text, there.get(name, "")) if name.endswith(".svg") else text == there.get(name))
    ]
    gone = sorted(set(there) - set(made))
    if "--check" in sys.argv[1:]:
        if stale or gone:
            print(f"docs/indicators is stale ({', '.join([*stale, *gone][:5])} …): python -m scripts.indicator_docs")
        return 1 if stale or gone else 0
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in stale:
        (FOLDER / name).write_text(made[name])
    for name in gone:
        (FOLDER / name).unlink()
    print(f"{len(stale)} of {len(made)} files written, {len(gone)} removed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
