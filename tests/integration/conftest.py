"""Fixtures of the integration tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine, create_engine

from common.settings import Settings
from tests.integration.job_kit import Desk, make_resources, make_settings, publish_sample
from worker.resources import Resources


@pytest.fixture(scope="session")
def published(sample_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market folder that serves the sample."""
    state_dir = tmp_path_factory.mktemp("published")
    publish_sample(sample_file, state_dir)
    return state_dir / "market"


@pytest.fixture
def settings(database: str, redis_url: str, published: Path, tmp_path: Path) -> Settings:
    """Of a fresh database, an empty Redis and a state folder with data."""
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    (state_dir / "market").symlink_to(published)
    return make_settings(database, redis_url, state_dir, part_lease_seconds=2, republish_seconds=0.5, sweep_seconds=0.2)


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = create_engine(database, pool_size=10)
    yield engine
    engine.dispose()


@pytest.fixture
def desk(engine: Engine, settings: Settings) -> Desk:
    return Desk.open(engine, settings)


@pytest.fixture
def resources(settings: Settings) -> Iterator[Resources]:
    """Of a worker process that is this one."""
    made = make_resources(settings)
    yield made
    made.engine.dispose()
    made.cache.close()
    made.totals.close()
    made.celery.close()


@pytest.fixture
def cache(settings: Settings) -> Iterator[redis.Redis]:
    """Also the broker."""
    with redis.Redis.from_url(settings.cache) as client:
        yield client
