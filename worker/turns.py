"""Whose part runs next. A message says only that parts wait; which of them is claimed is decided here.

Users take turns: first whoever has the fewest parts running, then whoever was served longest ago. Of one user's parts
the oldest job's come first. So a user with a hundred queued jobs delays another's first part by the parts that are
running, and by no other.

No row is waited for that somebody else has locked, so claiming never stands in the way of cancelling.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from common.settings import Settings
from common.tiers import TierName

_LOCK = 0x74726E  # "trn", with the user's id

_CANDIDATES = 8
"""Users tried before a worker goes away empty-handed; others have taken the parts of those it tried."""

# The users are found by steps through the index, one step each, however many parts wait.
WAITING_USERS = """
waiting (user_id) AS (
    (SELECT user_id FROM job_parts WHERE state = 'queued' ORDER BY user_id LIMIT 1)
    UNION ALL
    SELECT (SELECT p.user_id FROM job_parts p WHERE p.state = 'queued' AND p.user_id > w.user_id
            ORDER BY p.user_id LIMIT 1)
    FROM waiting w WHERE w.user_id IS NOT NULL
),
held AS (SELECT user_id, count(*) AS parts FROM job_parts WHERE state = 'running' GROUP BY user_id)
"""
"""Common table expressions, after WITH RECURSIVE: users with queued parts, and how many parts run for each user."""

BOUND = "NULLIF(CASE u.tier " + " ".join(f"WHEN '{t}' THEN CAST(:{t} AS int)" for t in TierName) + " END, 0)"
"""How many parts of user `u` may run at once, from the parameters of `bounds`; null for no bound."""

_TURNS = text(f"""
WITH RECURSIVE {WAITING_USERS}
SELECT u.id AS user_id, {BOUND} AS bound
FROM waiting w JOIN users u ON u.id = w.user_id LEFT JOIN held h ON h.user_id = u.id
LEFT JOIN LATERAL (
    SELECT p.claimed_at FROM job_parts p WHERE p.user_id = u.id AND p.claimed_at IS NOT NULL
    ORDER BY p.claimed_at DESC LIMIT 1
) served ON true
WHERE {BOUND} IS NULL OR COALESCE(h.parts, 0) < {BOUND}
ORDER BY COALESCE(h.parts, 0), served.claimed_at NULLS FIRST, u.id
LIMIT :most
""")  # noqa: S608 - made of constants of ours

_RUNNING = text("SELECT count(*) FROM job_parts WHERE state = 'running' AND user_id = :user_id")

# The job that is locked by somebody else is left as it is: it is being started, or cancelled.
_CLAIM = text("""
WITH mine AS (
    SELECT job_id, number FROM job_parts WHERE state = 'queued' AND user_id = :user_id
    ORDER BY accepted_at, job_id, number LIMIT 1 FOR UPDATE SKIP LOCKED
),
part AS (
    UPDATE job_parts p
    SET state = 'running', attempt = p.attempt + 1, worker = :worker, claimed_at = clock_timestamp(),
        lease_until = clock_timestamp() + make_interval(secs => :lease)
    FROM mine WHERE p.job_id = mine.job_id AND p.number = mine.number
    RETURNING p.job_id, p.number, p.attempt, p.symbols
),
started AS (
    UPDATE jobs SET status = 'running', started_at = now() WHERE id IN (
        SELECT j.id FROM jobs j JOIN part ON j.id = part.job_id WHERE j.status = 'queued'
        FOR NO KEY UPDATE OF j SKIP LOCKED
    )
)
SELECT part.*, j.data_version, j.parts_total FROM part JOIN jobs j ON j.id = part.job_id
""")


@dataclass(frozen=True, slots=True)
class Turn:
    """A part that was claimed, and whether its user's parts are bounded."""

    part: Row[Any]  # job_id, number, attempt, symbols, data_version, parts_total
    user_id: int
    bounded: bool


def bounds(settings: Settings) -> Mapping[str, int]:
    """Parts that may run at once for a user of each tier; 0 for no bound."""
    return {tier.value: getattr(settings, f"{tier}_running_parts") for tier in TierName}


def claim_turn(connection: Connection, *, worker: str, lease: float, bounds: Mapping[str, int]) -> Turn | None:
    """Claims the part whose turn it is; None when none waits that may run."""
    may_wait = True
    for user in connection.execute(_TURNS, {**bounds, "most": _CANDIDATES}).all():
        if user.bound is not None:
            below = _below_bound(connection, user.user_id, user.bound, may_wait=may_wait)
            may_wait = False  # whoever holds one lock and waits for the next may wait for ever
            if not below:
                continue
        part = connection.execute(_CLAIM, {"user_id": user.user_id, "worker": worker, "lease": lease}).one_or_none()
        if part is not None:
            return Turn(part, user.user_id, bounded=user.bound is not None)
    return None


def _below_bound(connection: Connection, user_id: int, bound: int, *, may_wait: bool) -> bool:
    """Whether one more part may run; if so, nobody else claims for this user until the end of the transaction."""
    key = {"lock": _LOCK, "user_id": user_id}
    if may_wait:
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock, :user_id)"), key)
    elif not connection.execute(text("SELECT pg_try_advisory_xact_lock(:lock, :user_id)"), key).scalar_one():
        return False
    running: int = connection.execute(_RUNNING, {"user_id": user_id}).scalar_one()
    return running < bound
