"""Has the popular queries of a new data version computed before anybody asks for them."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from uuid import uuid4

import redis
import structlog
from celery import Celery

from common.broker import BATCH
from common.dataset import Manifest, ManifestFile
from common.errors import DataError, KalpiError
from common.query import IndicatorQuery
from common.redis import make_client, warmed_key
from common.settings import Settings
from common.warming import batches, lines_of, missing, most_asked, order, read_line

log = structlog.get_logger()

_ROUND = 5_000
"""Queries of one round at most: well under a second, since the sweeper has other duties."""

_QUEUE = 1_000
"""While so many messages wait, none is added."""

_CLAIM_SECONDS = 30
"""A sweeper that has not shown itself for so long is not at it any more."""

_SLACK_SECONDS = 60
"""A version is warmed again when its answers have expired, and the last of them are computed a little later."""

_SHOWN = 3


@dataclass(slots=True)
class _UnderWay:
    """The version being warmed."""

    data_version: str
    left: Iterator[IndicatorQuery]
    planned: int = 0
    ordered: int = 0
    skipped: list[str] = field(default_factory=list)


class Warming:
    """A step of the sweeper. Orders the most asked queries and those of the operator's file once for each version.

    What has been warmed is remembered in Redis, for as long as the answers live there.
    """

    def __init__(self, settings: Settings, broker: redis.Redis, celery: Celery) -> None:
        self._settings = settings
        self._broker = broker
        self._celery = celery
        self._cache = make_client(settings.cache, settings.redis_timeout_seconds)
        self._manifest = ManifestFile(settings.market_dir)
        self._name = uuid4().hex
        self._under_way: _UnderWay | None = None

    def close(self) -> None:
        self._cache.close()

    def step(self) -> None:
        """Orders some of what is missing, if anything is. Raises RedisError, and Unavailable without a broker."""
        with suppress(DataError):  # no data: nothing to warm
            self._go_on(self._manifest.current())

    def _go_on(self, manifest: Manifest) -> None:
        under_way, self._under_way = self._under_way, None  # unless this round succeeds
        claim = warmed_key(manifest.data_version)
        if under_way is None or under_way.data_version != manifest.data_version:
            if not self._cache.set(claim, self._name, nx=True, ex=_CLAIM_SECONDS):
                return
            under_way = _UnderWay(manifest.data_version, iter(()))
            under_way.left = self._queries(manifest, under_way.skipped)
        else:
            self._cache.set(claim, self._name, ex=_CLAIM_SECONDS)
        if int(self._broker.llen(BATCH)) < _QUEUE and self._order_some(under_way):
            self._cache.set(claim, "done", ex=self._settings.cache_ttl_seconds + _SLACK_SECONDS)
            self._report(under_way)
        else:
            self._under_way = under_way

    def _order_some(self, under_way: _UnderWay) -> bool:
        """Whether these were the last."""
        some = list(islice(under_way.left, _ROUND))
        distinct = dict.fromkeys(some)
        needed = missing(self._cache, distinct, under_way.data_version)
        under_way.planned += len(distinct)
        under_way.ordered += order(self._celery, batches(needed.values()), under_way.data_version)
        return len(some) < _ROUND

    def _queries(self, manifest: Manifest, skipped: list[str]) -> Iterator[IndicatorQuery]:
        """Line by line; what can no longer be planned is skipped."""
        asked = most_asked(self._cache, self._settings.warm_queries, datetime.now(UTC).date())
        for text in chain((text for text, _ in asked), self._lines_of_file()):
            try:
                yield from read_line(text, manifest)
            except KalpiError as error:
                skipped.append(f"{text[:200]}: {error}")

    def _lines_of_file(self) -> Iterator[str]:
        path = self._settings.warm_file
        if path is None:
            return
        try:
            text = path.read_text(errors="replace")
        except OSError as error:
            log.warning("warm_file_unreadable", path=str(path), error=error.strerror)
            return
        yield from (line for _, line in lines_of(text))

    def _report(self, under_way: _UnderWay) -> None:
        if under_way.skipped:
            log.warning("cache_warming_skipped", lines=len(under_way.skipped), first=under_way.skipped[:_SHOWN])
        log.info(
            "cache_warming",
            data_version=under_way.data_version,
            queries=under_way.planned,
            present=under_way.planned - under_way.ordered,
            ordered=under_way.ordered,
            skipped=len(under_way.skipped),
        )
