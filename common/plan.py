"""From the words of a request for values or bars to the query it means."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TypeVar

from common.catalogue import chain, find
from common.catalogue.spec import IndicatorSpec, ParamValue, unknown_name
from common.dataset import Manifest
from common.errors import FieldError, InvalidParameters
from common.query import BARS, Form, IndicatorQuery, Interval, Warmup, read_date
from common.tiers import TIERS, Tier, rank_for_date

RESERVED = ("symbol", "start_date", "end_date", "interval", "warmup", "include_ohlcv")
"""Query parameters of every indicator; the others are the indicator's own."""

_OF_BARS = ("start_date", "end_date")

_MOST_ERRORS = 50
"""A request with more unknown words is told of the first ones."""

VALUES_PATH = "/v1/indicators/", "/values"
BARS_PATH = "/v1/symbols/", "/ohlcv"
"""How the paths of values and bars begin and end; what they ask for stands between."""

Words = Iterable[tuple[str, str]]
"""The names and values of a query string, as they came."""

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Plan:
    """A valid request, but for the first day: where none was asked for, the caller's tier gives it."""

    symbol: str
    spec: IndicatorSpec | None  # None: the bars themselves
    params: tuple[tuple[str, ParamValue], ...]
    start_date: date | None
    end_date: date
    interval: Interval
    warmup: Warmup
    include_ohlcv: bool
    form: Form
    as_of: date
    data_version: str
    last_date: date  # of the symbol

    @property
    def rank(self) -> int:
        """Of the lowest tier that may ask this."""
        reach = self.end_date if self.start_date is None else self.start_date
        needed = chain.required(self.spec, dict(self.params)) if self.spec is not None else []
        return max([rank_for_date(reach, self.as_of), *(TIERS[spec.tier].rank for spec in needed)])

    def last_bar_final(self, query: IndicatorQuery) -> bool:
        """Whether the last bar of the answer, if it has one, can get no more days."""
        shown = query.start_date <= self.last_date <= query.end_date
        return not shown or query.interval.is_over(self.last_date, self.as_of)

    def query_for(self, tier: Tier) -> IndicatorQuery:
        return IndicatorQuery(
            symbol=self.symbol,
            indicator=BARS if self.spec is None else self.spec.name,
            params=self.params,
            start_date=self.start_date or tier.window_start(self.as_of),
            end_date=self.end_date,
            interval=self.interval,
            warmup=self.warmup,
            include_ohlcv=self.include_ohlcv,
            form=self.form,
        )


def between(path: str, ends: tuple[str, str]) -> str | None:
    """The name in a path with these ends, still percent-encoded if the path is; None for another path."""
    start, end = ends
    if len(path) <= len(start) + len(end) or not (path.startswith(start) and path.endswith(end)):
        return None
    return path[len(start) : -len(end)]


def plan_values(name: str, asked: Words, form: Form, manifest: Manifest) -> Plan:
    """Reads and checks everything a values request says. Raises InvalidParameters or NotFound."""
    spec = find(name)
    words = _once_each(asked)
    known = [*RESERVED, *(p.name for p in spec.params)]
    errors = _unknown(words, known, f"a parameter of {spec.name}")
    start_date, end_date = _window(words, manifest, errors)
    interval = _choice(words, "interval", Interval.DAY, errors)
    warmup = _choice(words, "warmup", Warmup.FULL, errors)
    include_ohlcv = words.get("include_ohlcv", "false")
    if include_ohlcv not in ("true", "false"):
        errors.append(FieldError(("query", "include_ohlcv"), f"{include_ohlcv[:40]!r} is not true or false"))
    own = {word: value for word, value in words.items() if word in known and word not in RESERVED}
    params: dict[str, ParamValue] = {}
    try:
        params = spec.read_params(own, ("query",))
    except InvalidParameters as error:
        errors.extend(error.errors)
    symbol = words.get("symbol", "")
    if not symbol:
        errors.append(FieldError(("query", "symbol"), "is missing; name one of GET /v1/symbols"))
    if errors:
        raise InvalidParameters(errors)
    info = manifest.find(symbol)
    return Plan(
        symbol,
        spec,
        tuple(params.items()),
        start_date,
        end_date,
        interval,
        warmup,
        include_ohlcv == "true",
        form,
        manifest.as_of,
        manifest.data_version,
        info.last_date,
    )


def plan_bars(symbol: str, asked: Words, form: Form, manifest: Manifest) -> Plan:
    """As `plan_values`, of a request for the daily bars of a symbol."""
    words = _once_each(asked)
    errors = _unknown(words, _OF_BARS, "a query parameter of this path")
    start_date, end_date = _window(words, manifest, errors)
    if errors:
        raise InvalidParameters(errors)
    info = manifest.find(symbol)
    return Plan(
        symbol=symbol,
        spec=None,
        params=(),
        start_date=start_date,
        end_date=end_date,
        interval=Interval.DAY,
        warmup=Warmup.FULL,
        include_ohlcv=False,
        form=form,
        as_of=manifest.as_of,
        data_version=manifest.data_version,
        last_date=info.last_date,
    )


def _unknown(words: Mapping[str, str], known: Sequence[str], what: str) -> list[FieldError]:
    """The first of the words that are not `known`."""
    unknown = [word for word in words if word not in known]
    return [FieldError(("query", word), unknown_name(word, list(known), what)) for word in unknown[:_MOST_ERRORS]]


def _once_each(asked: Words) -> Mapping[str, str]:
    words: dict[str, str] = {}
    for word, value in asked:
        if word in words:
            raise InvalidParameters.one(("query", word), "is given more than once")
        words[word] = value
    return words


def _window(words: Mapping[str, str], manifest: Manifest, errors: list[FieldError]) -> tuple[date | None, date]:
    """First and last day asked for; the first is None where the tier gives it."""
    start_date = _date(words, "start_date", None, errors)
    end_date = _date(words, "end_date", manifest.as_of, errors) or manifest.as_of
    if start_date is not None and start_date > end_date:
        errors.append(FieldError(("query", "start_date"), f"{start_date} is after end_date {end_date}"))
    return start_date, end_date


def _date(words: Mapping[str, str], name: str, default: date | None, errors: list[FieldError]) -> date | None:
    if name not in words:
        return default
    try:
        return read_date(words[name])
    except ValueError as error:
        errors.append(FieldError(("query", name), str(error)))
        return default


def _choice(words: Mapping[str, str], name: str, default: Choice, errors: list[FieldError]) -> Choice:
    raw = words.get(name, default.value)
    kind = type(default)
    try:
        return kind(raw)
    except ValueError:
        errors.append(FieldError(("query", name), f"{raw[:40]!r} is not one of {', '.join(kind)}"))
        return default
