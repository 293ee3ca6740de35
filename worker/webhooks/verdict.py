"""What becomes of a message after an attempt to deliver it."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

_GROWTH = 3
_LONGEST = 12 * 3600.0
"""Seconds between two attempts, at most."""

_SPREAD = 0.2
"""Share of a pause by which it may be longer, so that what failed together does not come back together."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How a receiver took a message. Without a status it has not answered; `detail` says why, or what it means."""

    at: datetime
    status: int | None
    detail: str
    milliseconds: int
    retry_after: str | None = None  # as the receiver wrote it

    def to_json(self) -> dict[str, object]:
        return {
            "at": self.at.isoformat(),
            "status": self.status,
            "detail": self.detail,
            "milliseconds": self.milliseconds,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The state of a message, and the seconds until it is sent again while it is pending."""

    state: str
    pause: float | None = None


def judge(attempt: Attempt, made: int, *, most: int, first_pause: float) -> Verdict:
    """After `made` attempts, this one included, of at most `most`."""
    if attempt.status is not None and HTTPStatus.OK <= attempt.status < HTTPStatus.MULTIPLE_CHOICES:
        return Verdict("delivered")
    if attempt.status == HTTPStatus.GONE or made >= most:
        return Verdict("failed")
    pause = first_pause * float(_GROWTH ** (made - 1)) * random.uniform(1, 1 + _SPREAD)  # noqa: S311 - no secret
    if attempt.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        pause = max(pause, _seconds(attempt.retry_after, attempt.at))
    return Verdict("pending", min(pause, _LONGEST))


def _seconds(retry_after: str | None, now: datetime) -> float:
    """From now, what a receiver asks for in seconds or as a date; 0 when it does not say, or nobody can read it."""
    said = (retry_after or "").strip()
    if said.isascii() and said.isdigit():
        return min(float(said), _LONGEST)
    try:
        moment = parsedate_to_datetime(said)
    except ValueError:
        return 0.0
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - now).total_seconds()
