"""PostgreSQL and Redis for the stack: the operator's servers where their URLs are set, embedded ones otherwise."""

import time
from urllib.parse import urlsplit

import psycopg2
import redis
from sqlalchemy.exc import SQLAlchemyError

from cli.display import Steps
from cli.postgres import start_postgres
from cli.processes import Children
from cli.redis_server import start_redis
from cli.services import Backends
from cli.state import Secrets, StateDir
from common.db.migrate import upgrade
from common.errors import StartupError
from common.settings import Settings

_CONNECT_SECONDS = 5


def start_backends(settings: Settings, secrets: Secrets, state: StateDir, children: Children, steps: Steps) -> Backends:
    """Both answer and the tables are there when this returns; raises StartupError otherwise."""
    steps.begin("PostgreSQL")
    if settings.database_url is not None:
        database = plain_url(settings.database_url)
        _check_postgres(database)
    else:
        database = start_postgres(children, state.path / "postgres", secrets.database_password)
    steps.done("PostgreSQL", _place(database))

    steps.begin("Redis")
    broker, cache = settings.redis_url, settings.cache_url
    if broker is None:
        server = start_redis(children, state.path / "redis", secrets.redis_password)
        broker, cache = f"{server}/0", cache or f"{server}/1"
    cache = cache or broker
    for url in {broker, cache}:
        _check_redis(url)
    steps.done("Redis", _place(broker))

    steps.begin("Tables")
    try:
        upgrade(sqlalchemy_url(database))
    except SQLAlchemyError as error:
        raise StartupError(f"cannot migrate the database at {_place(database)}: {_first_line(error)}") from error
    steps.done("Tables")
    return Backends(database, broker, cache)


def plain_url(url: str) -> str:
    """As any PostgreSQL client reads it."""
    return url.replace("postgresql+psycopg2://", "postgresql://", 1)


def sqlalchemy_url(url: str) -> str:
    """With the driver named: SQLAlchemy's default is another one."""
    return plain_url(url).replace("postgresql://", "postgresql+psycopg2://", 1)


def _check_postgres(url: str) -> None:
    try:
        psycopg2.connect(url, connect_timeout=_CONNECT_SECONDS).close()
    except psycopg2.Error as error:
        raise StartupError(f"cannot reach PostgreSQL at {_place(url)}: {_first_line(error)}") from error


def _check_redis(url: str) -> None:
    client = redis.Redis.from_url(url, socket_connect_timeout=_CONNECT_SECONDS, socket_timeout=_CONNECT_SECONDS)
    deadline = time.monotonic() + _CONNECT_SECONDS
    while True:
        try:
            client.ping()
        except redis.exceptions.BusyLoadingError as error:
            if time.monotonic() > deadline:
                raise StartupError(f"Redis at {_place(url)} is still loading its data") from error
            time.sleep(0.1)
        except redis.exceptions.RedisError as error:
            raise StartupError(f"cannot reach Redis at {_place(url)}: {_first_line(error)}") from error
        else:
            return
        finally:
            client.close()


def _place(url: str) -> str:
    """Host and port; never the password."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
