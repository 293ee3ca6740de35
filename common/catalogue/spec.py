"""What an indicator is: one record that validation, documentation, tests and kernel lookup all read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from common.catalogue.units import Unit
from common.errors import FieldError, InvalidParameters, nearest
from common.tiers import TierName

ParamValue = int | float | str | bool
Params = Mapping[str, ParamValue]

SOURCES = ("open", "high", "low", "close", "volume", "hl2", "hlc3", "ohlc4")
"""Series of a bar an indicator can be computed on: the columns and three averages of them."""

_MAX_LITERAL = 32
"""Longer spellings of a number are refused unread: no number in the catalogue's bounds needs them."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter: its type, default and bounds (inclusive), or the choices it has.

    A choice may also be a date where `or_date` says so. A source is one of SOURCES or another indicator's output;
    `read_source` brings it into its one canonical form.
    """

    name: str
    type: Literal["int", "float", "bool", "choice", "source"]
    default: ParamValue
    description: str
    min: float | None = None
    max: float | None = None
    choices: tuple[str, ...] = ()
    unit: str = ""
    or_date: bool = False
    read_source: Callable[[str], str] | None = None

    @property
    def is_number(self) -> bool:
        return self.type in {"int", "float"}

    def read(self, raw: object) -> ParamValue:
        """`raw` (text of a URL or a JSON value) as a value of this parameter.

        Raises ValueError whose message names the value and what would be right.
        """
        match self.type:
            case "choice":
                return self._choice(raw)
            case "source":
                return self._source(raw)
            case "bool":
                return self._bool(raw)
        number = self._integer(raw) if self.type == "int" else self._real(raw)
        if (self.min is not None and number < self.min) or (self.max is not None and number > self.max):
            raise ValueError(f"{_shown(raw)} is not between {self.min:g} and {self.max:g}")
        return number

    def _choice(self, raw: object) -> str:
        if isinstance(raw, str) and raw in self.choices:
            return raw
        if self.or_date and isinstance(raw, str) and _is_date(raw):
            return raw
        hint = nearest(raw, self.choices, 1) if isinstance(raw, str) else []
        meant = f"; did you mean {hint[0]!r}?" if hint else ""
        dates = " or a date YYYY-MM-DD" if self.or_date else ""
        raise ValueError(f"{_shown(raw)} is not one of {', '.join(self.choices)}{dates}{meant}")

    def _source(self, raw: object) -> str:
        if isinstance(raw, str) and raw in self.choices:
            return raw
        if isinstance(raw, str) and self.read_source is not None:
            return self.read_source(raw)
        raise ValueError(f"{_shown(raw)} is not one of {', '.join(self.choices)}")

    def _bool(self, raw: object) -> bool:
        if isinstance(raw, bool):
            return raw
        if isinstance(raw, str) and raw in {"true", "false"}:
            return raw == "true"
        raise ValueError(f"{_shown(raw)} is not true or false")

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
    """A series an indicator returns; `name` is its key in answers and the suffix of its column in tables.

    `low` and `high` are bounds it never leaves, None where there are none. `shift` says what happens when the same
    amount is added to every price: 1, it is added to the output; 0, nothing; None, no such law. `gaps`: there may be
    rows without a value after the lookback, such as the long stop while the trend is short.
    """

    name: str
    description: str
    unit: Unit
    low: float | None = None
    high: float | None = None
    shift: int | None = None
    gaps: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IndicatorSpec:
    """Everything there is to know about an indicator except how to compute it.

    `inputs` are "source" and "source2" (series chosen by those parameters), columns of the bar (SOURCES), or "date"
    (days since 1970-01-01 as float64).
    `lookback(params)` is the exact number of leading rows without a value, the same for all outputs.
    `memory(params)` gives the further rows until the seed of a recurrence weighs less than 1e-6: 0 where a value
    depends on its own row and the `lookback` rows before it alone, None when the seed always matters (a running total).
    `lookahead(params)` is true where a value may change when later bars become known.
    `check(params)` returns what is wrong with a combination of valid values, by parameter name.
    `aliases` are other names of the same thing; each may be used to ask for it.
    """

    name: str
    title: str
    family: str
    tier: TierName = TierName.PREMIUM
    description: str
    inputs: tuple[str, ...]
    params: tuple[Param, ...] = ()
    outputs: tuple[Output, ...]
    lookback: Callable[[Params], int] = lambda _params: 0
    memory: Callable[[Params], int | None] | None = None
    references: tuple[str, ...]
    lookahead: Callable[[Params], bool] = lambda _params: False
    check: Callable[[Params], dict[str, str]] = lambda _params: {}
    aliases: tuple[str, ...] = ()

    @property
    def defaults(self) -> dict[str, ParamValue]:
        return {p.name: p.default for p in self.params}

    def complete(self, params: Params) -> tuple[tuple[str, ParamValue], ...]:
        """Valid `params` of today or of before the indicator had all it has now, in the order of `self.params`."""
        return tuple((p.name, params.get(p.name, p.default)) for p in self.params)

    def recursive(self, params: Params) -> bool:
        """Whether a value depends on all rows before it, and not on the `lookback` rows before it alone."""
        return self.memory is not None and self.memory(params) != 0

    def stable_period(self, params: Params) -> int | None:
        """Rows after which the seed of a recurrence weighs less than 1e-6; None when it always matters."""
        if self.memory is None:
            return self.lookback(params)
        rows = self.memory(params)
        return None if rows is None else self.lookback(params) + rows

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
            if param.is_number:
                parts.append(shown_value(value))
            elif value != param.default:
                parts.append(param.name if value is True else str(value))
        return "_".join(parts)

    def columns(self, label: str) -> list[str]:
        """Table columns of a series called `label`: itself, or one per output where there are several."""
        if len(self.outputs) == 1:
            return [label]
        return [f"{label}.{output.name}" for output in self.outputs]


def shown_value(value: ParamValue) -> str:
    """As text that reads back equal: `2`, `2.5`, `true`, `close`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        short = f"{value + 0.0:g}"  # -0.0 is 0
        return short if float(short) == value and "e" not in short else repr(value + 0.0).removesuffix(".0")
    return str(value)


def unknown_name(name: str, known: list[str], what: str) -> str:
    """Message for a name that is not `what`, with the nearest known name."""
    hint = nearest(name, known, 1)
    others = f"known: {', '.join(known)}" if known else "there are none"
    meant = f"did you mean {hint[0]!r}?" if hint else others
    return f"{_shown(name)} is not {what}; {meant}"


def _is_date(raw: str) -> bool:
    try:
        return date.fromisoformat(raw).isoformat() == raw
    except ValueError:
        return False


def _shown(raw: object) -> str:
    text = repr(raw)
    return text if len(text) <= _MAX_LITERAL + 8 else f"{text[:_MAX_LITERAL]}…"
