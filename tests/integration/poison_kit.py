"""Workers and a sweeper that know `tests.poison`, and jobs of it that this process submits."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine

from cli import services
from cli.backends import plain_url
from cli.processes import Child, Children
from cli.services import Backends
from cli.state import Secrets
from common import part_costs
from common.catalogue import registry
from common.jobs import Series
from common.settings import Settings
from tests.integration.job_kit import make_settings
from tests.poison import POISON, compute
from worker import kernels
from worker.market.store import MarketFile


@contextmanager
def known_here(state_dir: Path) -> Iterator[None]:
    """This process knows the indicator inside the block, as submitting a job of it and running a part take."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KALPI_STATE_DIR", str(state_dir))
        patch.setitem(registry._specs, POISON.name, POISON)
        patch.setitem(registry._by_any_name, POISON.name, POISON)
        patch.setattr(part_costs, "NANOSECONDS", {**part_costs.NANOSECONDS, POISON.name: 1.0})
        patch.setattr(kernels, "KERNELS", MappingProxyType({**kernels.KERNELS, POISON.name: compute}))
        yield


def poison(kind: str, victim: float = 0.0) -> Series:
    """For the symbol with that first close, or for all."""
    params = {"kind": kind, "victim": victim}
    return Series(POISON.label(params), POISON.name, tuple(params.items()))


def first_close(settings: Settings, symbol: str) -> float:
    market = MarketFile(settings.market_dir).current_market()
    place = market.place(symbol)
    return float(market.panel(place.block, "close")[0, place.column])


@dataclass(frozen=True)
class Lab:
    """A database, Redis and market data, with workers of which nobody takes care."""

    settings: Settings
    engine: Engine
    children: Children
    env: Mapping[str, str]

    def start_worker(self, processes: int, **env: object) -> Child:
        command = services.worker(processes, self._metrics, self._with(env))
        argv = ["tests.poison" if word == "worker.app" else word for word in command.argv]
        return self.children.start(replace(command, argv=argv))

    def start_sweeper(self, **env: object) -> Child:
        command = services.sweeper(self._metrics, self._with(env))
        argv = ["tests.poison" if word == "worker.sweeper" else word for word in command.argv]
        return self.children.start(replace(command, argv=argv))

    @property
    def _metrics(self) -> Path:
        return self.settings.state_dir / "metrics"

    def _with(self, env: Mapping[str, object]) -> dict[str, str]:
        return {**self.env, **{f"KALPI_{name.upper()}": str(value) for name, value in env.items()}}


@contextmanager
def opened_lab(database_url: str, redis_url: str, state_dir: Path, **changes: Any) -> Iterator[Lab]:  # noqa: ANN401
    """`changes` are settings of all. Nothing of it runs afterwards."""
    settings = make_settings(database_url, redis_url, state_dir, **changes)
    backends = Backends(plain_url(database_url), redis_url, redis_url)
    env = services.environment(state_dir, state_dir / "no-file", backends, Secrets.generate())
    engine = create_engine(database_url, pool_size=4)
    (state_dir / "metrics").mkdir()
    children = Children(state_dir)
    lab = Lab(settings, engine, children, env)
    try:
        with known_here(state_dir):
            yield replace(lab, env=lab._with(changes))
    finally:
        children.close()
        engine.dispose()
