"""A worker that finds no compiled kernels: it answers at once and compiles the rest beside its work."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import psutil
import pytest
import redis

from common.answer import unpack
from common.broker import VALUES
from common.catalogue import CATALOGUE, find
from common.dataset import ManifestFile
from common.query import IndicatorQuery
from common.settings import Settings
from tests.integration.job_kit import running_worker, wait_until
from tests.stack import ROOT
from worker.resources import Resources


def events(log: Path) -> list[dict[str, object]]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [json.loads(line) for line in lines if line.startswith("{")]


def named(log: Path, *names: str) -> list[dict[str, object]]:
    return [event for event in events(log) if event.get("event") in names]


def ask(resources: Resources, settings: Settings) -> bytes:
    """Sends a query through the broker and waits for its answer in the cache."""
    manifest = ManifestFile(settings.market_dir).current()
    params = find("rsi").read_params({})
    query = IndicatorQuery(next(iter(manifest.symbols)), "rsi", tuple(params.items()), date(2020, 1, 1), manifest.as_of)
    key = query.cache_key(manifest.data_version)
    resources.celery.send_task(
        VALUES, kwargs={"queries": [query.to_message()], "data_version": manifest.data_version}, queue="interactive"
    )
    with redis.Redis.from_url(settings.cache) as cache:
        found = wait_until(lambda: cache.get(key), 60)
    return unpack(found).identity


def test_a_cold_worker_answers_while_the_rest_compiles(
    resources: Resources, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "numba"))
    log = tmp_path / "worker.log"
    with running_worker(settings, log) as worker:
        body = json.loads(ask(resources, settings))
        assert len(body["values"]["rsi"]) == len(body["dates"])
        (said, *_) = wait_until(lambda: named(log, "kernels_compiling"))
        assert (said["done"], said["total"]) == (0, len(CATALOGUE))
        assert not named(log, "kernels_compiled")  # it was answered before all was there
        compiling = [p for p in psutil.Process(worker.pid).children() if "worker.compiling" in p.cmdline()]
        assert len(compiling) == 1
    assert not compiling[0].is_running()
    assert not list((tmp_path / "numba").glob("compiled-*"))  # it did not get to the end


def test_a_warm_worker_loads_all_before_it_answers(resources: Resources, settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "worker.log"
    with running_worker(settings, log):
        ask(resources, settings)
        (loaded,) = named(log, "kernels_loaded")
        assert loaded["total"] == len(CATALOGUE)
        assert not named(log, "kernels_compiling")


def test_compiling_again_is_nothing_to_do() -> None:
    command = [sys.executable, "-m", "worker.compiling"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == ""
