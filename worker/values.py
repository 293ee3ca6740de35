"""Cold queries of the fast path: computed, encoded, put into the cache, announced."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import structlog
from celery.exceptions import SoftTimeLimitExceeded

from common.answer import pack
from common.broker import VALUES
from common.errors import DataError, InvalidParameters, KalpiError, NotFound
from common.query import IndicatorQuery
from common.redis import VALUES_DONE, attempts_key, flight_key
from worker.compute import compute_values
from worker.encode import encode_values
from worker.market.store import Market
from worker.resources import Resources

log = structlog.get_logger()

MAX_DELIVERIES = 3
"""A message that has killed its worker so often is answered with an error."""

_ATTEMPTS_SECONDS = 60

Failure = dict[str, str]
_INTERNAL: Failure = {"kind": "internal", "detail": ""}


def answer(
    resources: Resources, messages: Sequence[Mapping[str, Any]], data_version: str, *, task_id: str, redelivered: bool
) -> None:
    """Puts the answer of each query into the cache and says so, or says what is wrong with it."""
    queries = [IndicatorQuery.from_message(message) for message in messages]
    keys = [query.cache_key(data_version) for query in queries]
    if redelivered:
        if _deliveries(resources, task_id) >= MAX_DELIVERIES:
            log.error("values_given_up", keys=keys)
            _reply(resources, {}, dict.fromkeys(keys, _INTERNAL))
            return
        if len(queries) > 1:
            _split(resources, messages, data_version, task_id)
            return
    done: dict[str, bytes] = {}
    failed: dict[str, Failure] = {}
    for key, outcome in zip(keys, _compute_all(resources, queries, data_version), strict=True):
        if isinstance(outcome, bytes):
            done[key] = outcome
        else:
            failed[key] = _failure(outcome, key)
    _reply(resources, done, failed)


def _deliveries(resources: Resources, task_id: str) -> int:
    """How often this message was delivered, now included."""
    key = attempts_key(task_id)
    with resources.cache.pipeline(transaction=False) as pipe:
        pipe.incr(key)
        pipe.expire(key, _ATTEMPTS_SECONDS)
        again = int(pipe.execute()[0])
    return again + 1


def _split(resources: Resources, messages: Sequence[Mapping[str, Any]], data_version: str, task_id: str) -> None:
    """Sends each query on its own: one that kills its worker takes no other with it."""
    with resources.celery.producer_pool.acquire(block=True, timeout=5) as producer:
        for place, message in enumerate(messages):
            resources.celery.send_task(
                VALUES,
                kwargs={"queries": [message], "data_version": data_version},
                task_id=f"{task_id}.{place}",
                producer=producer,
            )


def _compute_all(
    resources: Resources, queries: Sequence[IndicatorQuery], data_version: str
) -> Sequence[bytes | Exception]:
    try:
        market = resources.markets.market_for(data_version)
    except DataError as error:
        return [error] * len(queries)
    return _compute(market, queries)


def _compute(market: Market, queries: Sequence[IndicatorQuery]) -> Sequence[bytes | Exception]:
    """All in one go; if that fails, each on its own."""
    try:
        frames = compute_values(market, queries)
        return [frame if isinstance(frame, KalpiError) else encode_values(frame) for frame in frames]
    except SoftTimeLimitExceeded as error:
        return [error] * len(queries)
    except Exception as error:  # noqa: BLE001 - the caller is told, whatever it is
        if len(queries) == 1:
            return [error]
        return [outcome for query in queries for outcome in _compute(market, [query])]


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


def _reply(resources: Resources, done: Mapping[str, bytes], failed: Mapping[str, Failure]) -> None:
    ttl = resources.settings.cache_ttl_seconds
    with resources.cache.pipeline(transaction=False) as pipe:
        for key, body in done.items():
            pipe.set(key, pack(body), ex=ttl)
        pipe.delete(*(flight_key(key) for key in (*done, *failed)))
        pipe.publish(VALUES_DONE, orjson.dumps({"done": list(done), "failed": failed}))
        pipe.execute()
