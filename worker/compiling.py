"""`python -m worker.compiling`: compiles every kernel into numba's cache on disk, once per processor and version.

A worker whose kernels are all there loads them before it forks, so that its children share them. A worker that finds
none starts this beside it and goes to work: what a query needs first is compiled on the spot, in a second or so.
"""

import hashlib
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import llvmlite.binding
import numba
import numpy as np
import structlog

from common.catalogue import CATALOGUE
from common.catalogue.spec import IndicatorSpec, Params
from common.logs import configure
from common.settings import Settings
from worker import kernels
from worker.kernels.panels import Panel

log = structlog.get_logger()

_NEWS_SECONDS = 5.0
_WIDTHS = (1, 64)


def are_compiled() -> bool:
    """Whether every kernel of this code is in the cache, for this processor."""
    stamp = _stamp()
    return stamp is not None and stamp.exists()


def load_all() -> Iterator[str]:
    """Makes every kernel ready in this process, compiled or loaded from the cache; yields the name of each."""
    return map(_load, CATALOGUE)


def _load(name: str) -> str:
    """Runs an indicator in every way that may take another compiled function: each choice, one symbol and many."""
    spec = CATALOGUE[name]
    for params in _variants(spec):
        for width in _WIDTHS:
            kernels.run(name, _bars(spec, params, width), params, complete=True)
    return name


def _variants(spec: IndicatorSpec) -> Iterator[Params]:
    """The defaults, and each other choice there is."""
    yield spec.defaults
    for param in spec.params:
        if param.type in {"choice", "bool"}:
            for value in param.choices or (True, False):
                params = {**spec.defaults, param.name: value}
                if value != param.default and not spec.check(params):
                    yield params


def compile_beside() -> subprocess.Popen[bytes]:
    """Starts compiling in a process of its own, which ends with this one."""
    return subprocess.Popen([sys.executable, "-m", "worker.compiling", "--parent", str(os.getpid())])  # noqa: S603


def _bars(spec: IndicatorSpec, params: Params, width: int) -> list[Panel]:
    """Panels of the right type and just enough rows: compiling goes by those alone."""
    rows = spec.lookback(params) + 4
    wave = 100.0 + np.sin(np.arange(rows))[:, None] * np.ones(width)
    return [wave + shift for shift in range(len(spec.inputs))]


def _stamp() -> Path | None:
    """The file that says so; None where numba was given no folder of its own, or none that it would use."""
    folder = os.environ.get("NUMBA_CACHE_DIR")
    if not folder or (Path(folder).exists() and not os.access(folder, os.W_OK)):
        return None
    digest = hashlib.blake2b(digest_size=12)
    for part in (numba.__version__, platform.python_version(), llvmlite.binding.get_host_cpu_name()):
        digest.update(part.encode())
    for file in sorted(Path(kernels.__file__).parent.glob("*.py")):
        # numba goes by the time of a source; a cache for another time is none.
        digest.update(f"{file} {file.stat().st_mtime_ns} {file.stat().st_size}\n".encode())
    return Path(folder) / f"compiled-{digest.hexdigest()}"


def compile_all(parent: int | None = None) -> bool:
    """Compiles all, saying now and then how far it has come.

    On behalf of the process `parent` on one core, and gives up when that is gone; else on all cores there are.
    """
    began = told = time.monotonic()
    log.info("kernels_compiling", done=0, total=len(CATALOGUE))
    for done, name in enumerate(_compile(parent), 1):
        if parent is not None and os.getppid() != parent:
            return False
        if time.monotonic() - told >= _NEWS_SECONDS:
            told = time.monotonic()
            log.info("kernels_compiling", done=done, total=len(CATALOGUE), last=name)
    stamp = _stamp()
    if stamp is not None:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        stamp.touch()
    log.info("kernels_compiled", total=len(CATALOGUE), seconds=round(time.monotonic() - began, 1))
    return True


def _compile(parent: int | None) -> Iterator[str]:
    if parent is not None:
        yield from load_all()
        return
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(_load, CATALOGUE)


def main() -> None:
    configure(Settings().log_level)
    parent = int(sys.argv[2]) if sys.argv[1:2] == ["--parent"] else None
    if parent is not None:
        os.nice(10)  # requests come first
    if not are_compiled() and not compile_all(parent):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
