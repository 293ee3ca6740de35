"""The baseline of `cold`: a Celery application whose one task does nothing, with results in Redis."""

import os

from celery import Celery

URL = "BENCH_REDIS_URL"


def make_app(url: str) -> Celery:
    app = Celery("bench", broker=url, backend=url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        task_default_queue="bench-noop",
        result_expires=600,
    )
    return app


app = make_app(os.environ.get(URL, ""))


@app.task(name="bench.noop")  # type: ignore[untyped-decorator]
def noop() -> None:
    """Nothing."""
