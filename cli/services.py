"""The commands behind `kalpi up`: what runs, with which arguments and environment.

`cli` imports neither `api` nor `worker`; it only starts them.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.processes import Command
from cli.state import Secrets
from common.version import ENGINE_VERSION

_FLOWER_SAVES_EVERY = 30_000  # ms
_FLOWER_FORGETS_AFTER = 600  # s; a worker that has gone
# What a part has come to stands in its result, or its exception; its id is that of the ring, which is of less use.
_FLOWER_COLUMNS = "name,state,result,exception,received,runtime,worker,uuid"


@dataclass(frozen=True, slots=True)
class Backends:
    """Where PostgreSQL and Redis are."""

    database_url: str
    redis_url: str
    cache_url: str


def environment(state_dir: Path, data_file: Path, backends: Backends, secrets: Secrets) -> dict[str, str]:
    """What every child gets, on top of the operator's own environment."""
    ours = {
        "KALPI_DATABASE_URL": backends.database_url,
        "KALPI_REDIS_URL": backends.redis_url,
        "KALPI_CACHE_URL": backends.cache_url,
        "KALPI_STATE_DIR": str(state_dir),
        "KALPI_DATA_FILE": str(data_file),
        "KALPI_SECRET_KEY": secrets.secret_key,
        "PYTHONUNBUFFERED": "1",
    }
    # Compiled kernels of another engine may compute other numbers.
    return {"NUMBA_CACHE_DIR": str(state_dir / "numba" / ENGINE_VERSION), **os.environ, **ours}


def market(command: str, env: Mapping[str, str]) -> Command:
    """`publish` the data file, or make a `sample` first."""
    return Command(f"data-{command}", [sys.executable, "-m", "worker.market", command], env)


def api(name: str, fd: int, metrics_dir: Path, env: Mapping[str, str]) -> Command:
    return Command(
        name,
        [sys.executable, "-m", "api", "--fd", str(fd)],
        {**env, "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir)},
        fds=(fd,),
    )


def worker(processes: int, metrics_dir: Path, env: Mapping[str, str]) -> Command:
    argv = [*_celery("worker.app"), "worker", "--concurrency", str(processes), "--queues", "interactive,batch"]
    argv += ["-E", "--hostname", "kalpi@%h", "-O", "fair", "--loglevel", "INFO"]
    argv += ["--without-mingle", "--without-gossip"]  # workers have nothing to tell one another; mingling costs 1 s
    return Command("worker", argv, {**env, "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir)})


def sweeper(metrics_dir: Path, env: Mapping[str, str]) -> Command:
    argv = [sys.executable, "-m", "worker.sweeper"]
    return Command("sweeper", argv, {**env, "PROMETHEUS_MULTIPROC_DIR": str(metrics_dir)})


def flower(host: str, port: int, folder: Path, login: str, env: Mapping[str, str]) -> Command:
    argv = [*_celery("common.broker"), "flower", f"--address={host}", f"--port={port}", "--persistent=True"]
    argv += [f"--db={folder / 'flower.db'}", f"--state_save_interval={_FLOWER_SAVES_EVERY}"]
    argv += [f"--purge_offline_workers={_FLOWER_FORGETS_AFTER}", f"--tasks_columns={_FLOWER_COLUMNS}"]
    # Its own metrics are its own: no PROMETHEUS_MULTIPROC_DIR. The login stays out of the process list.
    theirs = {k: v for k, v in env.items() if k not in {"KALPI_SECRET_KEY", "PROMETHEUS_MULTIPROC_DIR"}}
    return Command("flower", argv, {**theirs, "FLOWER_BASIC_AUTH": login})


def _celery(app: str) -> list[str]:
    return [sys.executable, "-m", "celery", "-A", app]
