"""Deliveries of webhooks, as the API shows them and has them sent again."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy import Connection, Row, text

from common.errors import Conflict, NotFound
from common.webhooks import message_id

log = structlog.get_logger()

_OWNED = text("SELECT 1 FROM jobs WHERE id = :job_id AND user_id = :user_id")

_SHOWN = "id, url, event, state, created_at, due_at, attempts"

_LIST = text(f"SELECT {_SHOWN} FROM webhook_deliveries WHERE job_id = :job_id ORDER BY created_at, id")  # noqa: S608

_FIND = text("SELECT state FROM webhook_deliveries WHERE id = :id AND job_id = :job_id FOR NO KEY UPDATE")

_RETRY = text(f"UPDATE webhook_deliveries SET state = 'pending', due_at = now() WHERE id = :id RETURNING {_SHOWN}")  # noqa: S608


def list_deliveries(connection: Connection, user_id: int, job_id: UUID) -> Sequence[Row[Any]]:
    """Of one job, oldest first. Raises NotFound for the jobs of others too."""
    _check_owner(connection, user_id, job_id)
    return connection.execute(_LIST, {"job_id": job_id}).all()


def retry_delivery(connection: Connection, user_id: int, job_id: UUID, name: str) -> Row[Any]:
    """The delivery, due now. Raises NotFound, and Conflict while it is going to be sent anyway."""
    _check_owner(connection, user_id, job_id)
    delivery_id = _read_id(name)
    found = connection.execute(_FIND, {"id": delivery_id, "job_id": job_id}).one_or_none()
    if found is None:
        raise NotFound("delivery", name)
    if found.state == "pending":
        raise Conflict(f"Delivery {name} is pending and will be sent anyway")
    retried = connection.execute(_RETRY, {"id": delivery_id}).one()
    log.info("webhook_retried", delivery=name, job_id=str(job_id), user_id=user_id)
    return retried


def _check_owner(connection: Connection, user_id: int, job_id: UUID) -> None:
    if connection.execute(_OWNED, {"job_id": job_id, "user_id": user_id}).one_or_none() is None:
        raise NotFound("job", str(job_id))


def _read_id(name: str) -> UUID:
    """The inverse of `message_id`. Raises NotFound."""
    try:
        delivery_id = UUID(name.removeprefix("msg_"))
    except ValueError:
        raise NotFound("delivery", name) from None
    if name != message_id(delivery_id):
        raise NotFound("delivery", name)
    return delivery_id
