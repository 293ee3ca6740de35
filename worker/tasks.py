"""The tasks: thin, one call each.

Celery 5.7 stops the whole worker at a MemoryError, and the message then stops the next one, so no task lets one out.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

import orjson
from celery import Task
from celery.exceptions import Retry

from common.broker import PART, PROBE, VALUES, app
from common.redis import probe_key
from worker import jobs, process, values

P = ParamSpec("P")
T = TypeVar("T")

_PROBE_SECONDS = 30
_INTERACTIVE_LIMITS = {"soft_time_limit": 20, "time_limit": 30}
"""Nobody waits longer."""


class TaskFailed(Exception):  # noqa: N818
    """Stands for what Celery must not see."""


class PartFailed(Exception):  # noqa: N818
    """A part was given up; its job knows, and Flower is told."""


def contained(body: Callable[P, T]) -> Callable[P, T]:
    """Turns what would end the worker into an ordinary failure of the task."""

    @functools.wraps(body)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return body(*args, **kwargs)
        except (MemoryError, RecursionError) as error:
            raise TaskFailed(f"{type(error).__name__}: {error}") from None

    return run


@app.task(name=VALUES, bind=True, **_INTERACTIVE_LIMITS)
@contained
def answer_values(
    self: Task, queries: str | Sequence[Mapping[str, Any]], data_version: str, reply_to: str | None = None
) -> None:
    values.answer(
        process.resources(),
        orjson.loads(queries) if isinstance(queries, str) else queries,
        data_version,
        task_id=self.request.id,
        redelivered=bool(self.request.delivery_info.get("redelivered")),
        reply_to=reply_to,
    )


@app.task(name=PROBE, **_INTERACTIVE_LIMITS)
@contained
def answer_probe(nonce: str) -> None:
    held = process.resources()
    version = held.markets.current_market().data_version
    with held.cache.pipeline(transaction=False) as pipe:
        pipe.rpush(probe_key(nonce), orjson.dumps({"data_version": version, "host": held.worker}))
        pipe.expire(probe_key(nonce), _PROBE_SECONDS)
        pipe.execute()


@app.task(name=PART, throws=(PartFailed,))
@contained
def run_part(job_id: str, number: int) -> str:  # noqa: ARG001 - for whom it was rung; whose turn it is may differ
    return tell(jobs.run_next_part(process.resources()))


def tell(ran: jobs.Ran | None) -> str:
    """What was done, as Flower shows it. Raises PartFailed, or Retry for what is to run again."""
    if ran is None:
        return "no part waits"
    if ran.kind == "failed":
        raise PartFailed(str(ran))
    if ran.kind == "retried":
        raise Retry(str(ran))
    return str(ran)
