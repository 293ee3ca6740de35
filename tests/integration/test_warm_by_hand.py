"""`kalpi cache`: popular queries ordered by hand, and shown."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis

from cli import cache as command
from common.broker import BATCH
from common.dataset import MANIFEST
from common.settings import Settings
from common.warming import missing, read_line
from tests.integration.job_kit import running_worker, wait_until
from tests.integration.warm_kit import NOWHERE, ask, manifest_of, ordered
from tests.stack import run_kalpi


@pytest.fixture
def kalpi(settings: Settings) -> Callable[..., Any]:
    """`kalpi cache …` with the settings in its environment."""
    env = {"KALPI_REDIS_URL": settings.broker, "KALPI_STATE_DIR": str(settings.state_dir)}

    def run(*words: str | Path, **more: str) -> Any:  # noqa: ANN401
        return run_kalpi("cache", *words, env=env | more)

    return run


def test_warming_by_hand(settings: Settings, cache: redis.Redis, kalpi: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "popular.txt"
    file.write_text("# popular\npro rsi?symbol=*\n")
    ask(cache, "pro json ema?symbol=SYN001", "pro json ema?symbol=SYN002", "pro json ema?symbol=GONE")
    with running_worker(settings, tmp_path / "worker.log"):
        done = kalpi("warm", "sma?symbol=*", "csv sma?symbol=SYN001", "--file", file)
        assert (done.returncode, done.stdout) == (0, "83 computed, 0 were there already, 0 failed.\n"), done.stderr
        done = kalpi("warm", "sma?symbol=*", "--asked", "3")
        assert done.stdout == (
            "2 computed, 60 were there already, 0 failed; 1 of the most asked can no longer be asked.\n"
        )
        done = kalpi("warm", KALPI_WARM_QUERIES="1", KALPI_WARM_FILE=str(file))
        assert done.stdout == "0 computed, 21 were there already, 0 failed.\n"
        # As if the data had been replaced meanwhile.
        other = tmp_path / "other"
        (other / "market").mkdir(parents=True)
        gone = replace(manifest_of(settings), data_version="gone")
        (other / "market" / MANIFEST).write_bytes(gone.to_json())
        done = kalpi("warm", "pro sma?symbol=*", KALPI_STATE_DIR=str(other))
        assert done.stdout == (
            "0 computed, 0 were there already, 20 failed: the data has been replaced meanwhile (20).\n"
        )
        assert done.returncode == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sma?symbol=*", "smaa?symbol=*"], "query 2: 'smaa?symbol=*': indicator 'smaa' not found; did you mean"),
        (["pro bbands?symbol=*"], "query 1: 'pro bbands?symbol=*': is outside the tier pro; premium includes it"),
        (["--file", "/no/such"], "--file: /no/such: No such file or directory"),
        (["--asked", "3", "--state-dir", "/no/such"], "no `kalpi up` runs in /no/such"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_ordered(
    cache: redis.Redis, kalpi: Callable[..., Any], words: list[str], said: str
) -> None:
    done = kalpi("warm", *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert cache.llen(BATCH) == 0


def test_without_redis_it_is_one_line(kalpi: Callable[..., Any]) -> None:
    done = kalpi("warm", "sma?symbol=*", KALPI_REDIS_URL=NOWHERE)
    assert done.returncode == 2
    assert done.stderr.startswith("kalpi: cannot reach Redis: ")
    assert done.stderr.count("\n") == 1


def test_what_is_asked_is_shown(cache: redis.Redis, kalpi: Callable[..., Any]) -> None:
    target = "/v1/indicators/sma/values?symbol=SYN001&period=" + "1" * 80
    ask(cache, f"pro json {target}", "free csv /v1/symbols/SYN002/ohlcv?", "pro json last")
    done = kalpi("asked", "-n", "2")
    assert done.returncode == 0, done.stderr
    rows = [line.replace("│", " ").split() for line in done.stdout.splitlines() if "│" in line]
    assert rows[0][:3] == ["3", "pro", "json"]
    folded = rows[0][3:] + [word for row in rows[1:-1] for word in row]
    assert "".join(folded) == target
    assert rows[-1] == ["2", "free", "csv", "/v1/symbols/SYN002/ohlcv?"]


def in_background(body: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=body)
    thread.start()
    return thread


def test_few_queries_are_out_at_once_and_a_missed_announcement_does_no_harm(
    settings: Settings, cache: redis.Redis
) -> None:
    manifest = manifest_of(settings)
    queries = [query for period in range(3, 13) for query in read_line(f"sma?symbol=*&period={period}", manifest)]
    needed = missing(cache, queries, manifest.data_version)
    most = 0

    def work() -> None:
        nonlocal most
        left = len(needed)
        while left:
            wait_until(lambda: cache.llen(BATCH))
            most = max(most, cache.llen(BATCH))
            for queries, version in ordered(cache):
                left -= len(queries)
                cache.mset({query.cache_key(version): b"" for query in queries})

    worker = in_background(work)
    outcome = command._compute(command._Stack(settings, manifest, cache), needed)
    worker.join()
    assert (outcome.computed, outcome.failed, outcome.out) == (len(needed), {}, set())
    assert most <= 4


def test_without_any_progress_it_gives_up(
    settings: Settings, cache: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "_PATIENCE", 0.5)
    monkeypatch.setattr(command, "_LOOK_SECONDS", 0.1)
    manifest = manifest_of(settings)
    needed = missing(cache, read_line("sma?symbol=*", manifest), manifest.data_version)
    outcome = command._compute(command._Stack(settings, manifest, cache), needed)
    assert outcome.out == set(needed)
