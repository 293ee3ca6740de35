"""What API and workers alike do to the parts of a job."""

from sqlalchemy import Connection, text

_CANCEL = text("""
UPDATE job_parts SET state = 'cancelled', lease_until = NULL
WHERE job_id = CAST(:job_id AS uuid) AND state IN ('waiting', 'queued', 'running')
""")


def cancel_parts(connection: Connection, job_id: str) -> None:
    """Whoever runs one can not end it any more. The job is locked by the caller."""
    connection.execute(_CANCEL, {"job_id": job_id})
