"""A job in its first moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is known of a job from its first moment on."""

    id: UUID
    created_at: datetime
    format: str
    cost: int
    warnings: Sequence[str]
    is_new: bool = True  # false when an earlier request with the same key has made it
