"""Messages in PostgreSQL: claimed when they are due, recorded when they have been sent.

A claim is a due time moved to where it counts as lost; whoever records holds it as long as that has not moved again.
The caller brings the transaction, and sends between two of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Connection, text

from common.webhook_secrets import signing_secrets
from worker.webhooks.message import body_of
from worker.webhooks.verdict import Attempt, Verdict

_MOST_SHOWN = 100
"""Attempts that are kept of a message: a user may have it sent again as often as they like."""

_CLAIM = text("""
UPDATE webhook_deliveries d SET due_at = clock_timestamp() + make_interval(secs => :lease)
FROM jobs j
WHERE j.id = d.job_id AND d.id = (
    SELECT due.id FROM webhook_deliveries due JOIN jobs ON jobs.id = due.job_id
    WHERE due.state = 'pending' AND due.due_at <= now() AND jobs.user_id <> ALL(CAST(:busy AS integer[]))
    ORDER BY due.due_at LIMIT 1 FOR UPDATE OF due SKIP LOCKED
)
RETURNING d.id AS delivery_id, d.url, d.event, d.attempts, d.due_at AS lost_at,
          j.id, j.user_id, j.created_at, j.started_at, j.completed_at, j.expires_at,
          j.format, j.cost, j.refunded, j.series_completed, j.series_failed
""")

_RECORD = text("""
UPDATE webhook_deliveries
SET state = :state, due_at = clock_timestamp() + make_interval(secs => :pause), attempts = CAST(:attempts AS jsonb)
WHERE id = :id AND state = 'pending' AND due_at = :lost_at
""")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message that is this process's to send until `lost_at`."""

    id: UUID
    job_id: UUID
    user_id: int
    url: str
    body: bytes
    keys: Sequence[bytes]  # to sign with
    attempts: Sequence[Mapping[str, Any]]  # so far
    lost_at: datetime


def claim_due(connection: Connection, *, lease: float, busy: Sequence[int]) -> Delivery | None:
    """The message that has been due for longest, for `lease` seconds; none of the users `busy`."""
    row = connection.execute(_CLAIM, {"lease": lease, "busy": list(busy)}).one_or_none()
    if row is None:
        return None
    return Delivery(
        id=row.delivery_id,
        job_id=row.id,
        user_id=row.user_id,
        url=row.url,
        body=body_of(row, row.event),
        keys=[secret.key for secret in signing_secrets(connection, row.user_id)],
        attempts=row.attempts,
        lost_at=row.lost_at,
    )


def record(connection: Connection, delivery: Delivery, attempt: Attempt, verdict: Verdict) -> bool:
    """Whether it could be: not when the message has been claimed anew, or its job is gone."""
    attempts = [*delivery.attempts, attempt.to_json()][-_MOST_SHOWN:]
    return bool(
        connection.execute(
            _RECORD,
            {
                "id": delivery.id,
                "state": verdict.state,
                "pause": verdict.pause,
                "attempts": orjson.dumps(attempts).decode(),
                "lost_at": delivery.lost_at,
            },
        ).rowcount
    )
