"""Fixtures for the whole suite: servers are started once, databases are copied from a migrated one."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest
import redis

from cli.backends import sqlalchemy_url
from cli.postgres import start_postgres
from cli.processes import Children
from cli.redis_server import start_redis
from common.db.migrate import upgrade
from tests import stack as stacks

MakeDatabase = Callable[[], AbstractContextManager[str]]

RUN = uuid.uuid4().hex
RUN_MARK = "KALPI_TEST_RUN"

for _name in [n for n in os.environ if n.startswith("KALPI_")]:
    del os.environ[_name]  # the developer's own settings are not the tests'
os.environ |= {
    RUN_MARK: RUN,
    "KALPI_BCRYPT_ROUNDS": "4",
    # Compiled kernels are kept from run to run.
    "NUMBA_CACHE_DIR": str(Path(sys.prefix) / "numba-cache"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folder of a test is its kind."""
    for item in items:
        kind = item.path.relative_to(Path(__file__).parent).parts[0]
        if kind in {"unit", "integration", "e2e"}:
            item.add_marker(kind)
        if kind in {"integration", "e2e"}:
            assert isinstance(item, pytest.Function)
            item.fixturenames.insert(0, "compiled_kernels")


@pytest.fixture(scope="session")
def compiled_kernels() -> None:
    """So that no worker of a test compiles beside its work."""
    subprocess.run([sys.executable, "-m", "worker.compiling"], cwd=stacks.ROOT, check=True)


@dataclass(frozen=True)
class Embedded:
    """Servers that run for the whole session. `database_url` is migrated and is the template of the others."""

    database_url: str
    redis_url: str


@pytest.fixture(scope="session", autouse=True)
def nothing_left() -> Iterator[None]:
    """When all is done, no process that a test has started is left."""
    yield
    left = stacks.wait_for_no_process(RUN, 10, RUN_MARK)
    names = [" ".join(p.cmdline()) for p in left]
    for process in left:
        process.kill()
    assert not names


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory, nothing_left: None) -> Iterator[Embedded]:  # noqa: ARG001 - order
    folder = tmp_path_factory.mktemp("embedded")
    children = Children(folder)
    children.set_guard()
    try:
        database_url = start_postgres(children, folder / "postgres", "test-postgres")
        redis_url = start_redis(children, folder / "redis", "test-redis")
        upgrade(sqlalchemy_url(database_url))
        yield Embedded(database_url, redis_url)
    finally:
        children.close()


@pytest.fixture(scope="session")
def make_database(embedded: Embedded) -> MakeDatabase:
    """Fresh, migrated databases, each for the length of a `with` block that gets its URL."""

    @contextmanager
    def make() -> Iterator[str]:
        server, _, template = embedded.database_url.rpartition("/")
        name = f"test_{uuid.uuid4().hex[:12]}"
        _administer(f"{server}/postgres", f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        try:
            yield f"{server}/{name}"
        finally:
            _administer(f"{server}/postgres", f"DROP DATABASE {name} WITH (FORCE)")

    return make


def _administer(url: str, statement: str) -> None:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


@pytest.fixture
def database(make_database: MakeDatabase) -> Iterator[str]:
    """URL of a fresh, migrated database, with the driver named as SQLAlchemy needs it."""
    with make_database() as url:
        yield sqlalchemy_url(url)


@pytest.fixture(scope="module")
def module_database(make_database: MakeDatabase) -> Iterator[str]:
    """As `database`, shared by a module."""
    with make_database() as url:
        yield sqlalchemy_url(url)


@pytest.fixture
def redis_url(embedded: Embedded) -> str:
    """An empty database of Redis."""
    url = f"{embedded.redis_url}/1"
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="session")
def sample_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Synthetic bars of 20 symbols over 3 years."""
    return stacks.write_sample(tmp_path_factory.mktemp("data") / "sample.parquet")


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    sample_file: Path,
    nothing_left: None,  # noqa: ARG001 - order
) -> Iterator[stacks.Stack]:
    """One whole stack for all tests that leave it as they found it."""
    folder = tmp_path_factory.mktemp("stack") / "state"
    with stacks.started(
        folder, "--data", str(sample_file), "--workers", "2", env={"KALPI_WEBHOOK_PRIVATE": "1"}
    ) as started:
        yield started


@pytest.fixture
def started_stack(tmp_path: Path, sample_file: Path) -> Iterator[Callable[..., stacks.Stack]]:
    """`started_stack("--workers", "1", env={…}, state_dir=…)`: a stack of the test's own, stopped at its end."""
    with ExitStack() as running:

        def start(*options: str, state_dir: Path | None = None, env: dict[str, str] | None = None) -> stacks.Stack:
            words = options if "--data" in options else ("--data", str(sample_file), *options)
            return running.enter_context(stacks.started(state_dir or tmp_path / "state", *words, env=env))

        yield start
