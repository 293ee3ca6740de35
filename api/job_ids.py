"""Jobs as paths name them."""

from uuid import UUID

from common.errors import NotFound


def read_job_id(job_id: str) -> UUID:
    """Raises NotFound: what is no id is no job's."""
    try:
        return UUID(job_id)
    except ValueError:
        raise NotFound("job", job_id) from None
