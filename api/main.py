"""The application: routes, errors, and a lifespan that owns every connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from functools import partial
from typing import TypedDict

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.types import ASGIApp

from api import document, problems
from api.access_log import AccessLog
from api.admission import Admissions
from api.asked import Asked
from api.burst import Bursts, Limits
from api.counting import CountingConnection, connector
from api.database import Database
from api.document import PROBLEMS
from api.health import Health
from api.job_bounds import JobBounds
from api.job_watch import JobWatch, look_at
from api.local_cache import LocalCache
from api.middleware import Edge, FastPath, Records
from api.open_streams import OpenStreams
from api.publisher import Publisher
from api.questions import Questions
from api.queue_metrics import QueueMetrics
from api.result_store import open_results
from api.results import Results
from api.routes import auth, catalogue, events, jobs, me, operations, webhooks
from api.security import AccessTokens, utc_now
from api.state import Services
from api.stopping import told_to_stop
from api.token_buckets import shared_buckets
from common.broker import make_celery
from common.dataset import ManifestFile
from common.db.session import counting_arguments, make_engine
from common.passwords import hash_password
from common.quota import PREPARE
from common.redis import make_async_client
from common.settings import Settings

_DATABASE_THREADS = 6


class State(TypedDict):
    services: Services


def create_app(settings: Settings, clock: Callable[[], datetime] = utc_now) -> ASGIApp:
    """The API over the servers that `settings` name. Nothing is reached before its lifespan starts."""
    access_log = AccessLog(settings.log_level)
    records = Records(clock, access_log)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[State]:
        async with AsyncExitStack() as stack:
            stack.callback(access_log.flush)
            yield {"services": await _open(settings, clock, stack)}

    app: FastAPI = FastAPIOffline(  # the documentation pages work where there is no internet
        title="Kalpi Technical Indicator API",
        version="1",
        summary="Technical indicators over your own market data: one at once, or whole universes as jobs.",
        lifespan=lifespan,
        redirect_slashes=False,
        # Some hundred indicators: shut until looked for.
        swagger_ui_parameters={"docExpansion": "none", "filter": True},
    )
    problems.install(app)
    for routes in (auth, me, catalogue, jobs, events, webhooks):
        app.include_router(routes.router, responses=PROBLEMS)
    app.include_router(operations.router)
    app.add_middleware(Edge, records=records)
    document.install(app)
    return FastPath(app, records)


async def _open(settings: Settings, clock: Callable[[], datetime], stack: AsyncExitStack) -> Services:
    timeout = settings.database_timeout_seconds
    engine = make_engine(settings.database, pool_size=_DATABASE_THREADS, timeout=timeout, name="kalpi-api")
    database = Database(engine, threads=_DATABASE_THREADS, patience=2 * timeout)
    stack.push_async_callback(database.close)
    # Never given up half-way, so that what was charged for callers who have left is known, and given back.
    counting = CountingConnection(
        connector(counting_arguments(settings.database, timeout=timeout, name="kalpi-counting"), timeout, PREPARE)
    )
    stack.callback(counting.close)
    admissions = Admissions(counting, clock, timeout)
    stack.push_async_callback(admissions.settled)

    broker = make_async_client(settings.broker, settings.redis_timeout_seconds)
    stack.push_async_callback(broker.aclose)
    cache = make_async_client(settings.cache, settings.redis_timeout_seconds)
    stack.push_async_callback(cache.aclose)
    publisher = Publisher(make_celery(lambda: settings), 2 * settings.redis_timeout_seconds)
    stack.push_async_callback(publisher.close)
    asked = Asked(cache)
    asked.start()
    stack.push_async_callback(asked.close)
    local = LocalCache(settings.local_cache_bytes)
    results = Results(cache, publisher, local, settings.redis_timeout_seconds)
    results.start()
    stack.push_async_callback(results.close)

    job_watch = JobWatch(partial(look_at, database), cache)
    job_watch.start()
    stack.push_async_callback(job_watch.close)
    stack.enter_context(told_to_stop(job_watch.let_go))

    hashing = ThreadPoolExecutor(settings.bcrypt_threads, thread_name_prefix="bcrypt")
    stack.callback(hashing.shutdown, wait=False, cancel_futures=True)
    rounds = settings.bcrypt_rounds
    manifest = ManifestFile(settings.market_dir)
    return Services(
        settings=settings,
        clock=clock,
        database=database,
        admissions=admissions,
        bursts=Bursts(shared_buckets(cache), Limits.of(settings)),
        tokens=AccessTokens(settings.signing_key, settings.access_token_seconds),
        hashing=hashing,
        decoy_hash=await asyncio.get_running_loop().run_in_executor(hashing, hash_password, "-" * 10, rounds),
        publisher=publisher,
        results=results,
        questions=Questions(manifest),
        asked=asked,
        manifest=manifest,
        queue_metrics=QueueMetrics(database, broker),
        job_bounds=JobBounds.of(settings),
        result_store=open_results(settings),
        health=Health(
            database=database,
            admissions=admissions,
            broker=broker,
            cache=cache,
            publisher=publisher,
            manifest=manifest,
        ),
        job_watch=job_watch,
        open_streams=OpenStreams(),
    )
