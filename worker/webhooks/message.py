"""What a receiver is told of a job that has ended."""

from typing import Any

import orjson
from sqlalchemy import Row


def body_of(job: Row[Any], event: str) -> bytes:
    """The job as its end left it, whatever has become of it since: the same bytes whenever they are made.

    `job` has the columns of the table `jobs`, `event` is `job.` and the state it ended in.
    """
    here = f"/v1/jobs/{job.id}"
    said = {
        "type": event,
        "timestamp": job.completed_at,
        "data": {
            "id": str(job.id),
            "status": event.removeprefix("job."),
            "created_at": job.created_at,
            "started_at": job.started_at,
            "completed_at": job.completed_at,
            "expires_at": job.expires_at,
            "format": job.format,
            "series": {"total": job.cost, "completed": job.series_completed, "failed": job.series_failed},
            "cost": job.cost - job.refunded,
            "urls": {"self": here, "result": f"{here}/result"},
        },
    }
    return orjson.dumps(said, option=orjson.OPT_UTC_Z)
