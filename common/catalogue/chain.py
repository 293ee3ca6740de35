"""Sources: a series of the bar, or the output of another indicator.

    source     = series | indicator
    indicator  = name [ "(" argument { "," argument } ")" ] [ "." output ]
    argument   = number            the next of the indicator's own numbers, in their order
               | name "=" value    any parameter by its name; `source` may be a chain again

`rsi(14)`, `macd(12,26,9).histogram`, `obv`, `ema(10,source=rsi(14))`. In the canonical form all numbers are written
out, everything else where it differs from its default, and an output where there are several, so that equal sources
are equal texts.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from common.catalogue.registry import find
from common.catalogue.spec import SOURCES, IndicatorSpec, Params, ParamValue, shown_value
from common.errors import InvalidParameters, NotFound, nearest

MAX_DEPTH = 4
"""Indicators inside one another in one source."""
_MAX_TEXT = 400
_NAME = "[a-z][a-z0-9_]*"
_SHAPE = re.compile(rf"(?P<name>{_NAME})\s*(?:\((?P<arguments>.*)\))?\s*(?:\.\s*(?P<output>{_NAME}))?", re.ASCII)
_NAMED = re.compile(rf"({_NAME})\s*=\s*(.*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Link:
    """One indicator of a chain, and which of its outputs is the source."""

    spec: IndicatorSpec
    params: tuple[tuple[str, ParamValue], ...]  # complete, in the spec's order
    output: int

    @property
    def lookback(self) -> int:
        """Leading rows without a value, those of its own sources included."""
        return lookback(self.spec, dict(self.params))

    def __str__(self) -> str:
        arguments = []
        for param, (name, value) in zip(self.spec.params, self.params, strict=True):
            if param.is_number:
                arguments.append(shown_value(value))
            elif value != param.default:
                arguments.append(f"{name}={shown_value(value)}")
        text = f"{self.spec.name}({','.join(arguments)})" if arguments else self.spec.name
        return text if len(self.spec.outputs) == 1 else f"{text}.{self.spec.outputs[self.output].name}"


def canonical(text: str) -> str:
    """`text` in its canonical form. Raises ValueError that says what is wrong with it."""
    text = text.strip()
    if text in SOURCES:
        return text
    full = str(link(text))
    if len(full) > _MAX_TEXT:
        raise ValueError(f"{_shown(text)} is too long: {len(full)} letters written out; at most {_MAX_TEXT} are read")
    return full


@lru_cache(4096)
def link(text: str) -> Link:
    """The outermost indicator of a chain. Raises ValueError as `canonical`."""
    return _read(text, MAX_DEPTH)


def required(spec: IndicatorSpec, params: Params) -> Iterator[IndicatorSpec]:
    """The indicator and all that its sources are made of."""
    yield spec
    for inner in _sources(spec, params):
        yield from required(inner.spec, dict(inner.params))


def lookback(spec: IndicatorSpec, params: Params) -> int:
    """Leading rows without a value, those of the sources included."""
    return spec.lookback(params) + max((inner.lookback for inner in _sources(spec, params)), default=0)


def _sources(spec: IndicatorSpec, params: Params) -> Iterator[Link]:
    for param in spec.params:
        if param.type == "source" and params[param.name] not in SOURCES:
            yield link(str(params[param.name]))


def _read(text: str, depth: int) -> Link:
    if len(text) > _MAX_TEXT:
        raise ValueError(f"{_shown(text)} is too long; at most {_MAX_TEXT} letters are read")
    shape = _SHAPE.fullmatch(text.strip())
    if shape is None:
        raise ValueError(
            f"{_shown(text)} is neither one of {', '.join(SOURCES)} nor an indicator such as rsi(14) "
            "or macd(12,26,9).histogram"
        )
    if depth == 0:
        raise ValueError(f"{_shown(text)} is one indicator too deep; a source may be {MAX_DEPTH} deep")
    if shape["name"] in SOURCES:
        raise ValueError(f"{_shown(text)}: {shape['name']} is a series of the bar, without parameters or outputs")
    try:
        spec = find(shape["name"])
    except NotFound as error:
        hint = nearest(shape["name"], SOURCES, 1) or error.did_you_mean
        meant = f"; did you mean {hint[0]!r}?" if hint else ""
        raise ValueError(f"{_shown(shape['name'])} is neither an indicator nor a series of the bar{meant}") from None
    output = _output(spec, shape["output"])
    arguments: dict[str, str] = {}
    for name, value in _arguments(spec, shape["arguments"] or ""):
        if name in arguments:
            raise ValueError(f"{_shown(text)} gives {name} more than once")
        param = next((p for p in spec.params if p.name == name), None)
        nested = param is not None and param.type == "source" and value not in SOURCES
        arguments[name] = str(_read(value, depth - 1)) if nested else value
    try:
        return Link(spec, tuple(spec.read_params(arguments).items()), output)
    except InvalidParameters as error:
        raise ValueError(f"{_shown(text)}: {error}") from None


def _output(spec: IndicatorSpec, name: str | None) -> int:
    if name is None:
        return 0
    names = [output.name for output in spec.outputs]
    if name not in names:
        raise ValueError(f"{spec.name} has no output {name!r}; it has {', '.join(names)}")
    return names.index(name)


def _arguments(spec: IndicatorSpec, text: str) -> Iterator[tuple[str, str]]:
    """Name and value of each argument."""
    numbers = [param.name for param in spec.params if param.is_number]
    for place, argument in enumerate(_split(text)):
        named = _NAMED.fullmatch(argument)
        if named:
            yield named[1], named[2]
        elif place < len(numbers):
            yield numbers[place], argument
        else:
            takes = f"{', '.join(numbers)} by place" if numbers else "nothing by place"
            raise ValueError(f"{_shown(argument)} is too much; {spec.name} takes {takes}, all else as name=value")


def _split(text: str) -> Iterator[str]:
    """At the commas that stand in no brackets."""
    start = depth = 0
    for i, letter in enumerate(text):
        depth += (letter == "(") - (letter == ")")
        if depth < 0:
            raise ValueError(f"{_shown(text)} has a bracket too many")
        if letter == "," and depth == 0:
            yield text[start:i].strip()
            start = i + 1
    if depth:
        raise ValueError(f"{_shown(text)} has a bracket too few")
    if text.strip():
        yield text[start:].strip()


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")  # noqa: PLR2004 - enough to recognise it
