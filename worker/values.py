"""Cold queries of the fast path: computed, encoded, put into the cache, announced.

The process that ordered them gets the answers themselves, in a letter; all others hear their names.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

import orjson
import structlog
from celery.exceptions import SoftTimeLimitExceeded

from common.answer import Failure, write_letter
from common.broker import INTERACTIVE, VALUES
from common.errors import DataError, InvalidParameters, KalpiError, NotFound
from common.postmark import postmark
from common.query import IndicatorQuery
from common.redis import VALUES_DONE, attempts_key, flight_key
from worker.compute import Frame, compute_values
from worker.encode import pack_values
from worker.market.store import Market
from worker.resources import Resources

log = structlog.get_logger()

MAX_DELIVERIES = 3
"""A message that has killed its worker so often is answered with an error."""

_ATTEMPTS_SECONDS = 60

_HANDFUL = 32
_HANDFUL_BYTES = 1_000_000
"""Answers that leave together. Redis cuts off a subscriber that lags behind by 32 MB."""

_Outcome = bytes | Exception
_INTERNAL: Failure = {"kind": "internal", "detail": ""}


def answer(
    resources: Resources,
    messages: Sequence[Mapping[str, Any]],
    data_version: str,
    *,
    task_id: str,
    redelivered: bool,
    reply_to: str | None = None,
) -> None:
    """Puts the answer of each query into the cache and says so, or says what is wrong with it.

    `reply_to` is the channel of whoever ordered them, None when nobody waits for a letter.
    """
    queries = [IndicatorQuery.from_message(message) for message in messages]
    keys = [query.cache_key(data_version) for query in queries]
    if redelivered:
        resources.totals.add(INTERACTIVE, retried=len(queries))
        if _deliveries(resources, task_id) >= MAX_DELIVERIES:
            log.error("values_given_up", keys=keys)
            resources.totals.add(INTERACTIVE, failed=len(queries))
            _reply(resources, {}, dict.fromkeys(keys, _INTERNAL), reply_to)
            return
        if len(queries) > 1:
            _split(resources, messages, data_version, reply_to, task_id)
            return
    began = monotonic()
    faults = 0
    outcomes = _compute_all(resources, queries, data_version)
    for some in _handfuls(zip(keys, outcomes, strict=True)):
        done = {key: outcome for key, outcome in some if isinstance(outcome, bytes)}
        failed = {key: _failure(outcome, key) for key, outcome in some if not isinstance(outcome, bytes)}
        _reply(resources, done, failed, reply_to)
        faults += sum(failure["kind"] == _INTERNAL["kind"] for failure in failed.values())
    resources.totals.add(INTERACTIVE, completed=len(queries) - faults, failed=faults, seconds=monotonic() - began)


def _handfuls(outcomes: Iterable[tuple[str, _Outcome]]) -> Iterator[list[tuple[str, _Outcome]]]:
    """So many as leave together: while the first are on their way to the clients, the next are encoded."""
    some: list[tuple[str, _Outcome]] = []
    size = 0
    for key, outcome in outcomes:
        some.append((key, outcome))
        size += len(outcome) if isinstance(outcome, bytes) else 0
        if len(some) >= _HANDFUL or size >= _HANDFUL_BYTES:
            yield some
            some, size = [], 0
    if some:
        yield some


def _deliveries(resources: Resources, task_id: str) -> int:
    """How often this message was delivered, now included."""
    key = attempts_key(task_id)
    with resources.cache.pipeline(transaction=False) as pipe:
        pipe.incr(key)
        pipe.expire(key, _ATTEMPTS_SECONDS)
        again = int(pipe.execute()[0])
    return again + 1


def _split(
    resources: Resources, messages: Sequence[Mapping[str, Any]], data_version: str, reply_to: str | None, task_id: str
) -> None:
    """Sends each query on its own: one that kills its worker takes no other with it."""
    with resources.celery.producer_pool.acquire(block=True, timeout=5) as producer:
        for place, message in enumerate(messages):
            resources.celery.send_task(
                VALUES,
                kwargs={"queries": [message], "data_version": data_version, "reply_to": reply_to},
                task_id=f"{task_id}.{place}",
                headers=postmark(),
                producer=producer,
            )


def _compute_all(resources: Resources, queries: Sequence[IndicatorQuery], data_version: str) -> Iterator[_Outcome]:
    try:
        market = resources.markets.market_for(data_version)
    except DataError as error:
        return iter([error] * len(queries))
    return _compute(market, queries)


def _compute(market: Market, queries: Sequence[IndicatorQuery]) -> Iterator[_Outcome]:
    """All in one go; if that fails, each on its own."""
    try:
        frames = compute_values(market, queries)
    except SoftTimeLimitExceeded as error:
        yield from [error] * len(queries)
    except Exception as error:  # noqa: BLE001 - the caller is told, whatever it is
        if len(queries) == 1:
            yield error
        else:
            for query in queries:
                yield from _compute(market, [query])
    else:
        yield from map(_packed, frames)


def _packed(frame: Frame | KalpiError) -> _Outcome:
    if isinstance(frame, KalpiError):
        return frame
    try:
        return pack_values(frame)
    except Exception as error:  # noqa: BLE001 - as above
        return error


def _failure(error: Exception, key: str) -> Failure:
    match error:
        case InvalidParameters():
            return {"kind": "invalid", "detail": str(error)}
        case NotFound():
            return {"kind": "not_found", "detail": str(error)}
        case DataError():
            return {"kind": "stale", "detail": str(error)}
    log.error("values_failed", key=key, exc_info=error)
    return _INTERNAL


def _reply(
    resources: Resources, done: Mapping[str, bytes], failed: Mapping[str, Failure], reply_to: str | None
) -> None:
    """One trip. The letter goes first: those who wait for it need not wait until all is in the cache."""
    ttl = resources.settings.cache_ttl_seconds
    with resources.cache.pipeline(transaction=False) as pipe:
        if reply_to is not None:
            pipe.publish(reply_to, write_letter(done, failed))
        for key, packed in done.items():
            pipe.set(key, packed, ex=ttl)
        pipe.delete(*(flight_key(key) for key in (*done, *failed)))
        pipe.publish(VALUES_DONE, orjson.dumps({"done": list(done), "failed": failed}))
        pipe.execute()
