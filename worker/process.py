"""The life of a worker's processes: the parent prepares what all share, each child makes its own connections."""

import gc
import logging
import subprocess
import time
from typing import Any

import billiard.pool
import pandas  # noqa: F401, ICN001 - pyarrow loads it at its first conversion: here once for all children
import pyarrow.compute
import pyarrow.parquet  # noqa: F401
import structlog
from celery import Celery

from common.errors import KalpiError
from common.logs import configure
from common.settings import Settings
from worker import compiling
from worker.market.store import MarketFile
from worker.resources import Resources

log = structlog.get_logger()

_LAST_WORDS = 10  # times 0.1 s
"""How long a child that ends waits until its parent has heard of its last task. A parent that ends listens no more,
and waits for the child: both would wait for the 30 s that billiard has in mind. What is not heard is not acknowledged,
and rings once more.
"""

_settings: Settings | None = None
_markets: MarketFile | None = None
_resources: Resources | None = None
_compiling: subprocess.Popen[bytes] | None = None


def resources() -> Resources:
    """What this child holds. Only inside a task."""
    if _resources is None:
        raise RuntimeError("no task runs in this process")
    return _resources


def configure_logs(**_: Any) -> None:  # noqa: ANN401 - Celery's signals pass what they like
    """In the parent, in place of Celery's own logging."""
    configure(Settings().log_level)
    logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)  # a line per task is enough: its end


def prepare(**_: Any) -> None:  # noqa: ANN401
    """In the parent before it forks: maps the market and loads the kernels, once for all children.

    Where they have not been compiled yet, that goes on beside the work.
    """
    global _settings, _markets, _compiling  # noqa: PLW0603 - one process, one market
    _settings = Settings()
    configure_logs()
    _markets = MarketFile(_settings.market_dir)
    try:
        market = _markets.current_market()
    except KalpiError as error:
        log.error("worker_cannot_start", reason=str(error))  # noqa: TRY400 - the reason says it all
        raise SystemExit(1) from None
    if compiling.are_compiled():
        began = time.monotonic()
        count = sum(1 for _ in compiling.load_all())
        log.info("kernels_loaded", total=count, seconds=round(time.monotonic() - began, 2))
    else:
        _compiling = compiling.compile_beside()
    # What lives now lives on: collections in the children need not touch it, so it stays shared with them.
    gc.collect()
    gc.freeze()
    log.info("worker_prepared", data_version=market.data_version, symbols=len(market.manifest.symbols))


def connect(celery: Celery) -> None:
    """In each child after the fork."""
    global _resources  # noqa: PLW0603 - one process, one set of connections
    if _settings is None or _markets is None:
        raise RuntimeError("the parent has not prepared")
    _resources = Resources.make(_settings, celery, _markets)
    billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = _LAST_WORDS


def disconnect(**_: Any) -> None:  # noqa: ANN401
    if _resources is not None:
        _resources.engine.dispose()
        _resources.cache.close()
        _resources.totals.close()


def finish(**_: Any) -> None:  # noqa: ANN401
    """In the parent at its end."""
    if _compiling is not None and _compiling.poll() is None:
        _compiling.terminate()
        _compiling.wait()
