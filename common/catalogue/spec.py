"""What an indicator is: one record that validation, documentation, tests and kernel lookup all read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from common.errors import FieldError, InvalidParameters, nearest
from common.tiers import TierName

ParamValue = int | float | str
Params = Mapping[str, ParamValue]

SOURCES = ("open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4")
"""Series of a bar an indicator can be computed on: the columns and three averages of them."""

_MAX_LITERAL = 32
"""Longer spellings of a number are refused unread: no number in the catalogue's bounds needs them."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter: its type, default and bounds (inclusive), or the choices it has."""

    name: str
    type: Literal["int", "float", "choice"]
    default: ParamValue
    description: str
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()

    def read(self, raw: object) -> ParamValue:
        """`raw` (text of a URL or a JSON value) as a value of this parameter.

        Raises ValueError whose message names the value and what would be right.
        """
        if self.type == "choice":
            return self._choice(raw)
        number = self._integer(raw) if self.type == "int" else self._real(raw)
        if (self.min is not None and number < self.min) or (self.max is not None and number > self.max):
            raise ValueError(f"{_shown(raw)} is not between {self.min:g} and {self.max:g}")
        return number

    def _choice(self, raw: object) -> str:
        if isinstance(raw, str) and raw in self.choices:
            return raw
        hint = nearest(raw, self.choices, 1) if isinstance(raw, str) else []
        meant = f"; did you mean {hint[0]!r}?" if hint else ""
        raise ValueError(f"{_shown(raw)} is not one of {', '.join(self.choices)}{meant}")

    def _integer(self, raw: object) -> int:
        if isinstance(raw, int) and not isinstance(raw, bool):
            return raw
        if isinstance(raw, float) and raw.is_integer() and abs(raw) < 2**53:
            return int(raw)
        if isinstance(raw, str) and len(raw) <= _MAX_LITERAL and raw.removeprefix("-").isdecimal() and raw.isascii():
            return int(raw)
        raise ValueError(f"{_shown(raw)} is not a whole number")

    def _real(self, raw: object) -> float:
        problem = ValueError(f"{_shown(raw)} is not a number")
        if isinstance(raw, bool) or not isinstance(raw, int | float | str):
            raise problem
        if isinstance(raw, str) and (len(raw) > _MAX_LITERAL or not raw.isascii() or "_" in raw):
            raise problem
        try:
            number = float(raw)
        except (ValueError, OverflowError):
            raise problem from None
        if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124 - the NaN test
            raise problem
        return number


@dataclass(frozen=True, slots=True)
class Output:
    """A series an indicator returns; `name` is its key in answers and the suffix of its column in tables."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class IndicatorSpec:
    """Everything there is to know about an indicator except how to compute it.

    `lookback(params)` is the number of leading rows without a value.
    `stable_period(params)` is the number of rows after which the seed of a recurrence weighs less than 1e-6.
    `check(params)` returns what is wrong with a combination of valid values, by parameter name.
    """

    name: str
    title: str
    family: str
    tier: TierName
    description: str
    inputs: tuple[str, ...]
    params: tuple[Param, ...]
    outputs: tuple[Output, ...]
    lookback: Callable[[Params], int]
    stable_period: Callable[[Params], int]
    references: tuple[str, ...]
    check: Callable[[Params], dict[str, str]] = lambda _params: {}

    @property
    def defaults(self) -> dict[str, ParamValue]:
        return {p.name: p.default for p in self.params}

    def read_params(self, raw: Mapping[str, object], loc: tuple[str | int, ...] = ()) -> dict[str, ParamValue]:
        """`raw` as a complete set of values in the order of `params`, defaults filled in.

        Raises InvalidParameters with one entry per wrong or unknown name; `loc` prefixes their places.
        """
        known = [p.name for p in self.params]
        errors = [
            FieldError((*loc, name), unknown_name(name, known, f"a parameter of {self.name}"))
            for name in raw
            if name not in known
        ]
        values: dict[str, ParamValue] = {}
        for param in self.params:
            try:
                values[param.name] = param.read(raw[param.name]) if param.name in raw else param.default
            except ValueError as error:
                errors.append(FieldError((*loc, param.name), str(error)))
        if not errors:
            errors = [FieldError((*loc, name), msg) for name, msg in self.check(values).items()]
        if errors:
            raise InvalidParameters(errors)
        return values

    def label(self, params: Params) -> str:
        """Column name of this series in a table: `sma_10`, `bbands_20_2`, `rsi_14_hlc3`.

        Numbers are always part of it, choices where they differ from the default.
        """
        parts = [self.name]
        for param in self.params:
            value = params[param.name]
            if param.type != "choice":
                parts.append(f"{value:g}" if isinstance(value, float) else str(value))
            elif value != param.default:
                parts.append(str(value))
        return "_".join(parts)

    def columns(self, label: str) -> list[str]:
        """Table columns of a series called `label`: itself, or one per output where there are several."""
        if len(self.outputs) == 1:
            return [label]
        return [f"{label}.{output.name}" for output in self.outputs]


def unknown_name(name: str, known: list[str], what: str) -> str:
    """Message for a name that is not `what`, with the nearest known name."""
    hint = nearest(name, known, 1)
    others = f"known: {', '.join(known)}" if known else "there are none"
    meant = f"did you mean {hint[0]!r}?" if hint else others
    return f"{_shown(name)} is not {what}; {meant}"


def _shown(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= _MAX_LITERAL + 8 else f"{text[:_MAX_LITERAL]}…"
