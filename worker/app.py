"""`celery -A worker.app worker`: the application with its tasks and the signals that prepare its processes."""

from typing import Any

from celery import signals

from common.broker import app
from worker import presence, process, tasks

__all__ = ["app", "tasks"]


def _connect(**_: Any) -> None:  # noqa: ANN401 - Celery's signals pass what they like
    process.connect(app)


signals.celeryd_init.connect(presence.begin)
signals.setup_logging.connect(process.configure_logs)
signals.worker_init.connect(process.prepare)
signals.worker_process_init.connect(_connect)
signals.worker_process_shutdown.connect(process.disconnect)
signals.worker_shutdown.connect(process.finish)
