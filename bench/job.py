"""A job over every symbol, from its submission to its last byte, against one process that makes the same file."""

import io
import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bench.context import Bench
from bench.job_series import SERIES
from bench.processes import ROOT, environment
from bench.report import Section, ratio, speed_up
from bench.stack import WORKERS, Stack


def run(bench: Bench) -> Section:
    stack = bench.stack
    allowed = stack.client.ask("GET", "/v1/me").json()["allowed"]
    window = (allowed["start_date"], allowed["end_date"])
    out = bench.folder / "alone.parquet"
    bench.say(f"job: {len(stack.symbols)} symbols × {len(SERIES)} series")
    alone = _alone(stack, window, out)
    _, table = _job(stack, window)
    _assert_equal(table, out)
    ours, base = [], []
    for _ in bench.rounds(7, 3):
        ours.append(_job(stack, window)[0])
        base.append(_alone(stack, window, out))
    bench.say("job: the same by pandas")
    pandas = [_alone(stack, window, bench.folder / "pandas.parquet", "bench.job_pandas") for _ in bench.rounds(3, 1)]
    rows = pq.ParquetFile(out).metadata.num_rows
    figures = [
        ratio(
            "submit to bytes, against reading, computing, writing",
            "ms",
            [(1000 * a, 1000 * (b["read"] + b["make"])) for a, b in zip(ours, base, strict=True)],
        ),
        ratio(
            "submit to bytes, against computing and writing alone",
            "ms",
            [(1000 * a, 1000 * b["make"]) for a, b in zip(ours, base, strict=True)],
        ),
    ]
    by_pandas = [(1000 * median(ours), 1000 * (p["read"] + p["make"])) for p in pandas]
    figures.append(speed_up("sooner than pandas reads, computes, writes", "ms", by_pandas))
    imports = median([b["imports"] for b in (alone, *base)])
    against = (
        f"{len(stack.symbols)} symbols × {len(SERIES)} series as Parquet ({rows:,} rows, {len(table):,} bytes), "
        f"{WORKERS} worker processes, POST to the last byte of the result; baseline: a fresh process with TA-Lib per"
        f" symbol and pyarrow, same compression, its imports ({1000 * imports:.0f} ms) not counted. Equal within 1e-9,"
        " checked; pandas works symbol by symbol, and seeds"
        " its recursive averages in its own way, so its numbers are not compared."
    )
    return Section("job", against, figures)


def _job(stack: Stack, window: tuple[str, str]) -> tuple[float, bytes]:
    """Seconds, and the result."""
    body = {
        "symbols": "*",
        "indicators": [{"name": one.indicator, "params": one.params} for one in SERIES],
        "start_date": window[0],
        "end_date": window[1],
        "format": "parquet",
    }
    headers = {"Content-Type": "application/json", "Prefer": "wait=60"}
    payload = json.dumps(body).encode()
    began = perf_counter()
    answer = stack.client.ask("POST", "/v1/jobs", payload, headers)
    if answer.status != 200 or answer.json()["status"] != "completed":
        raise RuntimeError(f"the job did not complete within a minute: {answer.body[:500]!r}")
    result = stack.client.ask("GET", answer.json()["urls"]["result"]).body
    return perf_counter() - began, result


def _alone(stack: Stack, window: tuple[str, str], out: Path, module: str = "bench.job_alone") -> dict[str, float]:
    """Seconds of each stage."""
    done = subprocess.run(
        [sys.executable, "-m", module, str(stack.data_file), *window, str(out)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the baseline failed: {done.stderr[-2000:]}")
    seconds: dict[str, float] = json.loads(done.stdout)
    return seconds


def _assert_equal(result: bytes, file: Path) -> None:
    ours, theirs = pq.read_table(io.BytesIO(result)), pq.read_table(file)
    if ours.column_names != theirs.column_names or ours.num_rows != theirs.num_rows:
        raise RuntimeError(f"{ours.shape} {ours.column_names} is not {theirs.shape} {theirs.column_names}")
    codecs = {_codec(pq.ParquetFile(source)) for source in (io.BytesIO(result), file)}
    if len(codecs) != 1:
        raise RuntimeError(f"compressed differently: {codecs}")
    for name in ours.column_names:
        one, other = ours.column(name), theirs.column(name)
        if pa.types.is_floating(one.type):
            np.testing.assert_allclose(one.to_numpy(), other.to_numpy(), rtol=1e-9, atol=1e-9, err_msg=name)
        elif not one.cast(pa.string()).equals(other.cast(pa.string())):
            raise RuntimeError(f"column {name} differs")


def _codec(file: pq.ParquetFile) -> str:
    return str(file.metadata.row_group(0).column(2).compression)
