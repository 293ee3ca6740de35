"""The processes of `kalpi up`, with nobody who looks after them but the test.

A supervisor pauses longer after each death; here whoever has killed a process says when it comes back.
"""

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg2
import redis
from sqlalchemy import Engine, Row, create_engine, text

from cli import services
from cli.backends import sqlalchemy_url
from cli.listening import Listeners, url_of
from cli.postgres import start_postgres
from cli.processes import Child, Children, Command
from cli.redis_server import start_redis
from cli.services import Backends
from cli.state import Secrets
from common.accounts import create_user
from common.db.migrate import upgrade
from common.passwords import hash_password
from common.tiers import TierName
from tests.books import assert_books
from tests.load import until
from tests.stack import PASSWORD, Account

APIS = ("api-1", "api-2")
WORKERS = ("worker-1", "worker-2")
PROCESSES = 2
"""Of each worker, which run parts."""

_HOST = "127.0.0.1"


@dataclass
class Fleet:
    """PostgreSQL, Redis, two APIs on one port, two workers and a sweeper."""

    children: Children
    backends: Backends
    listeners: Listeners
    state_dir: Path
    engine: Engine
    env: Mapping[str, str]
    revived: int = 0
    """Workers that ended of themselves, and were started again."""

    @property
    def url(self) -> str:
        return url_of(_HOST, self.listeners.port)

    @property
    def results(self) -> Path:
        return self.state_dir / "results"

    def client(self, account: Account) -> httpx.Client:
        return httpx.Client(base_url=self.url, headers=account.headers, timeout=30)

    def sign_up(self) -> Account:
        """A new premium user, signed in over HTTP."""
        name = f"user-{uuid4().hex[:12]}"
        with self.engine.begin() as connection:
            create_user(connection, name, hash_password(PASSWORD, 4), TierName.PREMIUM)
        answer = httpx.post(f"{self.url}/v1/auth/token", data={"username": name, "password": PASSWORD}, timeout=30)
        return Account(name, PASSWORD, answer.raise_for_status().json()["access_token"])

    def rows(self, statement: str, **values: object) -> Sequence[Row[Any]]:
        with self.engine.connect() as connection:
            return connection.execute(text(statement), values).all()

    def assert_books(self) -> None:
        with self.engine.connect() as connection:
            assert_books(connection)

    # --- processes

    def child(self, name: str) -> Child:
        return next(child for child in self.children if child.name == name)

    def start(self, name: str) -> None:
        """For the first time, or again after its end."""
        if name in APIS:
            self.listeners.abandon(name)
            self.children.start(services.api(name, self.listeners.descriptor(name), self._metrics, self.env))
        elif name in WORKERS:
            self.children.start(self._worker(name))
        else:
            self.children.start(services.sweeper(self._metrics, self.env))

    @property
    def _metrics(self) -> Path:
        return self.state_dir / "metrics"

    def _worker(self, name: str) -> Command:
        """One of several on a machine: with a name of its own."""
        command = services.worker(PROCESSES, self._metrics, self.env)
        return replace(command, name=name, argv=[name if word == "kalpi@%h" else word for word in command.argv])

    def kill(self, name: str) -> None:
        """As a crash does: at once, with all it has started. Others may have ended its processes one by one."""
        child = self.child(name)
        family = child.descendants()
        child.kill()
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
                process.wait(10)
        assert child.has_ended()

    def revive(self) -> None:
        """As a supervisor does: a worker that ended of itself is started again. Celery ends some that lose Redis."""
        for name in WORKERS:
            if self.child(name).has_ended():
                self.start(name)
                self.revived += 1

    def is_ready(self) -> bool:
        """Whether both databases answer, and a worker does what it is told."""
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.url}/health/ready", timeout=20).status_code == 200
        return False

    # --- what the others stand on

    def return_redis(self) -> datetime:
        """The moment it answers again."""
        self.children.restart(self.child("redis"))
        until(self._answers_redis)
        return datetime.now(UTC)

    def _answers_redis(self) -> bool:
        with redis.Redis.from_url(self.backends.redis_url, socket_timeout=1) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

    def restart_postgres(self, number: signal.Signals) -> datetime:
        """SIGINT is a fast shutdown, SIGKILL a crash. The moment it answers again."""
        server = self.child("postgres")
        assert server.pid is not None
        backends = server.descendants()
        os.kill(server.pid, number)
        until(lambda: server.has_ended() and not any(process.is_running() for process in backends))
        self.children.restart(server)
        until(self._answers_postgres)
        return datetime.now(UTC)

    def _answers_postgres(self) -> bool:
        with closing(psycopg2.connect(self.backends.database_url, connect_timeout=2)):
            return True


@contextmanager
def started_fleet(folder: Path, data: Path, env: Mapping[str, str]) -> Iterator[Fleet]:
    """Ready to work; nothing of it is left afterwards."""
    children = Children(folder)
    children.set_guard()
    try:
        secrets = Secrets.generate()
        database_url = start_postgres(children, folder / "postgres", secrets.database_password)
        redis_url = start_redis(children, folder / "redis", secrets.redis_password)
        upgrade(sqlalchemy_url(database_url))
        backends = Backends(database_url, f"{redis_url}/0", f"{redis_url}/1")
        fleet = Fleet(
            children=children,
            backends=backends,
            listeners=Listeners(_HOST, 0, APIS, "the API"),
            state_dir=folder,
            engine=create_engine(sqlalchemy_url(database_url), pool_pre_ping=True),
            env={**services.environment(folder, data, backends, secrets), **env},
        )
        (folder / "metrics").mkdir()
        assert children.run(services.market("publish", fleet.env), log=True) == 0
        for name in (*APIS, *WORKERS, "sweeper"):
            fleet.start(name)
        until(fleet.is_ready, 60)
        yield fleet
        fleet.engine.dispose()
        fleet.listeners.close()
    finally:
        children.close()
