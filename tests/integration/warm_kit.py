"""What is asked, and what is ordered: the helpers of the warming tests."""

import base64
from datetime import UTC, date, datetime

import orjson
import redis

from common.broker import BATCH
from common.dataset import Manifest, ManifestFile
from common.query import IndicatorQuery
from common.redis import asked_key
from common.settings import Settings
from worker import values
from worker.resources import Resources

NOWHERE = "redis://127.0.0.1:1/0"


def today() -> date:
    return datetime.now(UTC).date()


def manifest_of(settings: Settings) -> Manifest:
    return ManifestFile(settings.market_dir).current()


def ask(cache: redis.Redis, *lines: str) -> None:
    """The first most often."""
    cache.zadd(asked_key(today()), {line: len(lines) - n for n, line in enumerate(lines)})


def ordered(cache: redis.Redis) -> list[tuple[list[IndicatorQuery], str]]:
    """Queries and data version of each message in the batch queue, oldest first; they are taken out of it."""
    found = []
    while message := cache.rpop(BATCH):
        _, kwargs, _ = orjson.loads(base64.b64decode(orjson.loads(message)["body"]))
        found.append(([IndicatorQuery.from_message(query) for query in kwargs["queries"]], kwargs["data_version"]))
    return found


def compute(resources: Resources, cache: redis.Redis) -> int:
    """What a worker does with the messages. Returns how many queries they had."""
    messages = ordered(cache)
    for queries, version in messages:
        values.answer(resources, [q.to_message() for q in queries], version, task_id="the-task", redelivered=False)
    return sum(len(queries) for queries, _ in messages)
