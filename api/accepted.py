"""A job in its first moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from common.jobs import JobState


@dataclass(frozen=True, slots=True)
class Accepted:
    """A job as its row was when it was accepted, whatever has become of it since."""

    id: UUID
    created_at: datetime
    format: str
    cost: int
    warnings: Sequence[str]
    is_new: bool = True  # false when an earlier request with the same key has made it

    status: JobState = JobState.QUEUED
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime | None = None
    series_completed: int = 0
    series_failed: int = 0
    refunded: int = 0
    parts_ended: int = 0
    parts_total: int = 1  # none has ended: how many there are does not show
    errors: None = None
