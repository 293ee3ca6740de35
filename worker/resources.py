"""What a worker process holds: made once after the fork, used by every task."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import redis
from celery import Celery
from sqlalchemy import Engine

from common.db.session import make_engine
from common.redis import make_client
from common.settings import Settings
from common.totals import Totals
from worker.market.store import MarketFile
from worker.requests import Requests
from worker.store import Store, open_store
from worker.turns import bounds


@dataclass(frozen=True, slots=True)
class Resources:
    settings: Settings
    celery: Celery
    engine: Engine
    cache: redis.Redis
    markets: MarketFile
    totals: Totals
    store: Store
    requests: Requests
    bounds: Mapping[str, int]
    worker: str  # host and process

    @classmethod
    def make(cls, settings: Settings, celery: Celery, markets: MarketFile) -> "Resources":
        """Connects to nothing yet."""
        return cls(
            settings=settings,
            celery=celery,
            # One connection for the task, one for the thread that renews its lease. See worker.transitions for what
            # it means that commits are not waited for.
            engine=make_engine(
                settings.database,
                pool_size=2,
                timeout=settings.database_timeout_seconds,
                name="kalpi-worker",
                waits_for_disk=False,
            ),
            cache=make_client(settings.cache, settings.redis_timeout_seconds),
            markets=markets,
            totals=Totals(make_client(settings.broker, settings.redis_timeout_seconds)),
            store=open_store(settings),
            requests=Requests(),
            bounds=bounds(settings),
            worker=f"{socket.gethostname()}:{os.getpid()}",
        )
