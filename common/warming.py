"""Queries that are computed before anybody asks: how they are written, and how they are ordered.

A line is `[tier] [form] target`. The target is the path of the API with its query string, or short
`{indicator}?symbol=…`; `symbol=*` stands for every symbol. Without a tier it means every tier that may ask it,
without a form JSON. What clients have asked is recorded as such lines too, complete ones.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import islice
from typing import cast
from urllib.parse import parse_qsl, unquote
from uuid import uuid4

import redis
from celery import Celery
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from common.broker import BATCH, VALUES
from common.dataset import Manifest
from common.errors import InvalidParameters, KalpiError, NotAllowed, NotFound, Unavailable
from common.plan import BARS_PATH, VALUES_PATH, Plan, between, plan_bars, plan_values
from common.query import Form, IndicatorQuery
from common.redis import asked_key
from common.tiers import TIERS, Tier, TierName, name_of_rank

EVERY_SYMBOL = "*"

_MESSAGE = 50
"""Queries of one message: computed in a fraction of a second, so that nobody who waits on the line notices."""

_LOOK = 1_000
"""Keys that are looked up in one trip."""

_PATIENCE = 5.0
"""Seconds to wait for a connection to the broker."""


# --- how queries are written


def asked_text(tier: TierName, form: Form, target: str) -> str:
    """The line that means what a caller of that tier got for `target`: a path, percent-encoded, and a query string."""
    return f"{tier} {form} {target}"


def read_line(text: str, manifest: Manifest) -> list[IndicatorQuery]:
    """The distinct queries that a line means. Raises InvalidParameters, NotFound, or NotAllowed."""
    tier, form, target = _parts(text)
    plans = _plans(target, form, manifest)
    rank = plans[0].rank  # the same for every symbol
    tiers = [t for t in TIERS.values() if rank <= t.rank and tier in (None, t)]
    if not tiers:
        raise NotAllowed(name_of_rank(rank), _why_not_allowed(rank, tier))
    return list(dict.fromkeys(plan.query_for(t) for plan in plans for t in tiers))


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a file that mean something, each with its number."""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if stripped and not stripped.startswith("#"):
            yield number, stripped


def read_lines(lines: Iterable[tuple[int, str]], manifest: Manifest, name: str = "line") -> list[IndicatorQuery]:
    """The distinct queries of all lines. Raises InvalidParameters that names the first line that is wrong."""
    found: dict[IndicatorQuery, None] = {}
    for number, text in lines:
        try:
            found.update(dict.fromkeys(read_line(text, manifest)))
        except KalpiError as error:
            raise InvalidParameters.one(f"{name} {number}", f"{text[:200]!r}: {_described(error)}") from error
    return list(found)


def _parts(text: str) -> tuple[Tier | None, Form, str]:
    tier: Tier | None = None
    form = Form.JSON
    first, _, rest = text.strip().partition(" ")
    if first in list(TierName):
        tier = TIERS[TierName(first)]
        first, _, rest = rest.strip().partition(" ")
    if first in list(Form):
        form = Form(first)
        first, _, rest = rest.strip().partition(" ")
    target = f"{first} {rest}".strip()
    if " " in target:
        words = f"a tier ({', '.join(TierName)}) or a form ({', '.join(Form)})"
        raise InvalidParameters.one("query", f"{first[:40]!r} is not {words}, and a target has no space")
    if not target:
        raise InvalidParameters.one("query", "names no target, such as sma?symbol=RELIANCE&period=20")
    return tier, form, target


def _plans(target: str, form: Form, manifest: Manifest) -> list[Plan]:
    """One for each symbol that is meant; at least one."""
    path, _, query_string = target.partition("?")
    words = parse_qsl(query_string, keep_blank_values=True)
    symbol = between(path, BARS_PATH)
    if symbol is not None:
        symbol = unquote(symbol)
        every = symbol == EVERY_SYMBOL
        plan = plan_bars(next(iter(manifest.symbols)) if every else symbol, words, form, manifest)
    else:
        name = path if "/" not in path else between(path, VALUES_PATH)
        if name is None:
            forms = " and ".join("{…}".join(ends) for ends in (VALUES_PATH, BARS_PATH))
            raise InvalidParameters.one("path", f"{path[:80]!r} is no path of values; those are {forms}")
        every = ("symbol", EVERY_SYMBOL) in words
        if every:
            words = [("symbol", next(iter(manifest.symbols))) if word[0] == "symbol" else word for word in words]
        plan = plan_values(name, words, form, manifest)
    if not every:
        return [plan]
    return [replace(plan, symbol=info.symbol, last_date=info.last_date) for info in manifest.symbols.values()]


def _why_not_allowed(rank: int, tier: Tier | None) -> str:
    lowest = name_of_rank(rank)
    if lowest is None or tier is None:
        return "begins before the data of every tier"
    return f"is outside the tier {tier.name}; {lowest} includes it"


def _described(error: KalpiError) -> str:
    nearest = error.did_you_mean if isinstance(error, NotFound) else []
    return f"{error}; did you mean {', '.join(nearest)}?" if nearest else str(error)


# --- what is asked most


def most_asked(cache: redis.Redis, count: int, today: date) -> list[tuple[str, int]]:
    """The lines asked most on `today` and the day before, and how often. Raises RedisError."""
    if count == 0:
        return []
    days = [asked_key(today), asked_key(today - timedelta(days=1))]
    scores = cast("list[tuple[bytes, float]]", cache.zunion(days, withscores=True))
    lines = [(text.decode(errors="replace"), int(score)) for text, score in scores]
    return sorted(lines, key=lambda line: (-line[1], line[0]))[:count]


# --- how queries are ordered


def missing(cache: redis.Redis, queries: Iterable[IndicatorQuery], data_version: str) -> dict[str, IndicatorQuery]:
    """Those that are not in the cache, by their keys, in order. Raises RedisError."""
    by_key = {query.cache_key(data_version): query for query in queries}
    present = there(cache, list(by_key))
    return {key: query for key, query in by_key.items() if key not in present}


def there(cache: redis.Redis, keys: Sequence[str]) -> set[str]:
    """The keys that are in the cache; looking makes none of them younger. Raises RedisError."""
    found: set[str] = set()
    for start in range(0, len(keys), _LOOK):
        some = keys[start : start + _LOOK]
        with cache.pipeline(transaction=False) as pipe:
            for key in some:
                pipe.exists(key)
            found.update(key for key, exists in zip(some, pipe.execute(), strict=True) if exists)
    return found


def batches(queries: Iterable[IndicatorQuery]) -> Iterator[list[IndicatorQuery]]:
    """Messages' worth of queries. Those of one indicator and parameters, computed as one panel, travel together."""
    alike: dict[object, list[IndicatorQuery]] = {}
    for query in queries:
        alike.setdefault((query.indicator, query.params, query.interval, query.warmup), []).append(query)
    in_order = (query for group in alike.values() for query in group)
    while batch := list(islice(in_order, _MESSAGE)):
        yield batch


def order(celery: Celery, orders: Iterable[Sequence[IndicatorQuery]], data_version: str) -> int:
    """Sends a message for each batch, behind all that somebody waits for. Returns how many queries there were.

    Raises Unavailable when the broker does not take them; some may have left all the same.
    """
    sent = 0
    try:
        with celery.producer_pool.acquire(block=True, timeout=_PATIENCE) as producer:
            for queries in orders:
                celery.send_task(
                    VALUES,
                    kwargs={"queries": [query.to_message() for query in queries], "data_version": data_version},
                    task_id=f"warm-{uuid4().hex}",
                    queue=BATCH,
                    producer=producer,
                    retry=True,  # once, at once: a connection that went stale while idle is replaced
                    retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0},
                )
                sent += len(queries)
    except (OperationalError, RedisError, OSError) as error:
        raise Unavailable("broker") from error
    return sent
