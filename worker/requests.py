"""The requests of the jobs a worker is at. One may name thousands of symbols, and has many parts."""

from collections import OrderedDict

from sqlalchemy import Connection, text

from common.jobs import JobRequest

_KEPT = 8

_REQUEST = text("SELECT request FROM jobs WHERE id = CAST(:job_id AS uuid)")


class Requests:
    """Each is read once while it is among the last few."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, JobRequest] = OrderedDict()

    def of(self, connection: Connection, job_id: str) -> JobRequest:
        request = self._kept.get(job_id)
        if request is None:
            request = JobRequest.from_json(connection.execute(_REQUEST, {"job_id": job_id}).scalar_one())
            self._kept[job_id] = request
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(job_id)
        return request
