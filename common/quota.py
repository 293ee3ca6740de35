"""The daily count, in statements that are atomic each.

The count in `users.requests_today` belongs to the UTC day in `users.last_request_reset`. Whoever counts on a
later day starts from 0; a clock that lags behind (another process just before midnight) counts on the later
day, so a day once begun never starts over. The caller brings the day: it is the one input of time here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection

from common.tiers import TIERS, Tier, TierName

_LIMITS = ", ".join(
    f"('{t.name}', {t.rank}, {'NULL' if t.series_a_day is None else t.series_a_day}::int)" for t in TIERS.values()
)


@dataclass(frozen=True, slots=True)
class Standing:
    """Who a session belongs to and what they have used, after the statement that returned it.

    `granted` is what that statement charged to the whole user, on `day`.
    """

    user_id: int
    username: str
    tier: Tier
    used: int
    granted: int
    day: date
    created_at: datetime

    @property
    def remaining(self) -> int | None:
        limit = self.tier.series_a_day
        return None if limit is None else max(0, limit - self.used)

    @property
    def resets_at(self) -> datetime:
        """The midnight in UTC that ends `day`."""
        return datetime.combine(self.day + timedelta(days=1), time(), UTC)


# Rows are locked in order of id, so statements of several processes cannot deadlock; `standing` is read from the
# locked rows, so no count is lost between reading and writing.
# _LIMITS is made of constants of ours.
_CHARGE = f"""
WITH limits(tier, rank, per_day) AS (VALUES {_LIMITS}),
asked AS (
    SELECT * FROM unnest($1, $2, $3)
           AS a(session_id, rank, wanted)
),
live AS (
    SELECT a.*, s.user_id FROM asked a
    JOIN sessions s ON s.id = a.session_id AND s.revoked_at IS NULL AND s.expires_at > now()
),
standing AS MATERIALIZED (
    SELECT u.id, u.username, u.tier, u.created_at, l.rank, l.per_day,
           CASE WHEN u.last_request_reset >= $4 THEN u.requests_today ELSE 0 END AS used,
           GREATEST(u.last_request_reset, $4) AS day
    FROM users u JOIN limits l ON l.tier = u.tier
    WHERE u.id IN (SELECT user_id FROM live)
    ORDER BY u.id
    FOR UPDATE OF u
),
allowed AS (
    SELECT st.id,
           CASE WHEN st.per_day IS NULL THEN sum(l.wanted)
                ELSE LEAST(sum(l.wanted), GREATEST(0, st.per_day - st.used)) END AS granted
    FROM live l JOIN standing st ON st.id = l.user_id AND l.rank <= st.rank
    GROUP BY st.id, st.per_day, st.used
),
charged AS (
    UPDATE users u SET requests_today = st.used + a.granted, last_request_reset = st.day
    FROM standing st JOIN allowed a ON a.id = st.id
    WHERE u.id = st.id AND a.granted > 0
    RETURNING u.id, u.requests_today AS used, a.granted
)
SELECT DISTINCT l.session_id, st.id, st.username, st.tier, st.created_at, st.day,
       COALESCE(c.used, st.used) AS used, COALESCE(c.granted, 0) AS granted
FROM live l JOIN standing st ON st.id = l.user_id LEFT JOIN charged c ON c.id = st.id
"""  # noqa: S608

_PEEK = """
SELECT s.id AS session_id, u.id, u.username, u.tier, u.created_at,
       GREATEST(u.last_request_reset, $2) AS day,
       CASE WHEN u.last_request_reset >= $2 THEN u.requests_today ELSE 0 END AS used,
       0 AS granted
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.id = ANY($1) AND s.revoked_at IS NULL AND s.expires_at > now()
"""

# Planning them takes several times as long as running them, so each connection that counts plans them once.
_PREPARE = (
    f"PREPARE charge (uuid[], int[], int[], date) AS {_CHARGE}",
    f"PREPARE peek (uuid[], date) AS {_PEEK}",
)
_EXECUTE_CHARGE = text("EXECUTE charge (CAST(:sessions AS uuid[]), :ranks, :wanted, :today)")
_EXECUTE_PEEK = text("EXECUTE peek (CAST(:sessions AS uuid[]), :today)")

_CHARGE_WHOLE = text(f"""
WITH limits(tier, rank, per_day) AS (VALUES {_LIMITS})
UPDATE users u SET
    requests_today = CASE WHEN u.last_request_reset >= :today THEN u.requests_today ELSE 0 END + :cost,
    last_request_reset = GREATEST(u.last_request_reset, :today)
FROM limits l
WHERE u.id = :user_id AND l.tier = u.tier AND (
    l.per_day IS NULL
    OR CASE WHEN u.last_request_reset >= :today THEN u.requests_today ELSE 0 END + :cost <= l.per_day
)
RETURNING u.last_request_reset
""")  # noqa: S608

_REFUND = text("""
UPDATE users SET requests_today = GREATEST(0, requests_today - :series)
WHERE id = :user_id AND last_request_reset = :day
""")


@dataclass(frozen=True, slots=True)
class Claim:
    """A session that asks for `wanted` series which need a tier of at least `rank`."""

    session_id: UUID
    rank: int
    wanted: int


def prepare(engine: Engine) -> None:
    """Makes every connection of `engine` ready for `charge` and `peek`."""

    @event.listens_for(engine, "connect")
    def on_connect(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("SET plan_cache_mode = force_generic_plan")
        for statement in _PREPARE:
            cursor.execute(statement)
        cursor.close()
        connection.commit()


def charge(connection: Connection, claims: Sequence[Claim], today: date) -> Mapping[UUID, Standing]:
    """Charges as much of the claims as tiers and limits allow, all users in one statement.

    Claims above their user's tier are not charged; the others share what the limit leaves. A session that is
    unknown, revoked or expired is not in the answer. The connection is one of an engine given to `prepare`.
    """
    rows = connection.execute(
        _EXECUTE_CHARGE,
        {
            "sessions": [str(c.session_id) for c in claims],
            "ranks": [c.rank for c in claims],
            "wanted": [c.wanted for c in claims],
            "today": today,
        },
    )
    return {row.session_id: _standing(row) for row in rows}


def peek(connection: Connection, sessions: Sequence[UUID], today: date) -> Mapping[UUID, Standing]:
    """The standing behind each live session; nothing is charged or locked. The connection as for `charge`."""
    rows = connection.execute(_EXECUTE_PEEK, {"sessions": [str(s) for s in sessions], "today": today})
    return {row.session_id: _standing(row) for row in rows}


def charge_whole(connection: Connection, user_id: int, cost: int, today: date) -> date | None:
    """Charges `cost` series or nothing. Returns the day that paid, None when the limit does not leave so much."""
    return connection.execute(_CHARGE_WHOLE, {"user_id": user_id, "cost": cost, "today": today}).scalar_one_or_none()


def refund(connection: Connection, user_id: int, series: int, day: date) -> None:
    """Gives `series` back to the day that paid; a day that is over keeps its count."""
    connection.execute(_REFUND, {"user_id": user_id, "series": series, "day": day})


def _standing(row: Row[Any]) -> Standing:
    return Standing(
        user_id=row.id,
        username=row.username,
        tier=TIERS[TierName(row.tier)],
        used=row.used,
        granted=row.granted,
        day=row.day,
        created_at=row.created_at,
    )
