"""The daily count, in statements that are atomic each.

The count in `users.requests_today` belongs to the UTC day in `users.last_request_reset`. Whoever counts on a
later day starts from 0; a clock that lags behind (another process just before midnight) counts on the later
day, so a day once begun never starts over. The caller brings the day: it is the one input of time here.

Single series are charged by statements that a process numbers: each leaves in `counting_trips` its number and what it
charged, in the same transaction. A process whose statement was lost on its way there or back asks with `undo` whether
it was carried out, and takes it back if so; however often that is sent, it happens once.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from common.tiers import OUT_OF_REACH, TIERS, Tier, TierName

_RANK = " ".join(f"WHEN '{t.name}' THEN {t.rank}" for t in TIERS.values())
_PER_DAY = " ".join(f"WHEN '{t.name}' THEN {t.series_a_day}" for t in TIERS.values() if t.series_a_day is not None)
_PER_DAY = f"CASE u.tier {_PER_DAY} END"  # null: unlimited


class Standing(NamedTuple):
    """Who a session belongs to and what they have used, after the statement that returned it.

    `granted` is what that statement charged to the whole user, on `day`.
    """

    user_id: int
    tier: Tier
    used: int
    granted: int
    day: date

    @property
    def remaining(self) -> int | None:
        limit = self.tier.series_a_day
        return None if limit is None else max(0, limit - self.used)

    @property
    def resets_at(self) -> datetime:
        """The midnight in UTC that ends `day`."""
        return _end_of(self.day)


@lru_cache(maxsize=16)
def _end_of(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), time(), UTC)


class Claim(NamedTuple):
    """A session that asks for `wanted` series which need a tier of rank `rank` to `ceiling`."""

    session_id: str
    rank: int
    wanted: int
    ceiling: int = OUT_OF_REACH


class Refund(NamedTuple):
    """`series` that `day` has paid and gets back."""

    user_id: int
    series: int
    day: date


class Charged(NamedTuple):
    """The day that paid, and what it has paid with that."""

    day: date
    used: int


class Statement(NamedTuple):
    """What to send on a connection that has run `PREPARE`."""

    sql: str
    params: tuple[object, ...] = ()


# Rows are locked in order of id, so statements of several processes cannot deadlock; `standing` is read from the
# locked rows, so no count is lost between reading and writing.
_CHARGE = f"""
WITH live AS MATERIALIZED (
    SELECT a.*, s.user_id FROM unnest($1, $2, $3, $4) AS a(session_id, rank, ceiling, wanted)
    JOIN sessions s ON s.id = a.session_id AND s.revoked_at IS NULL AND s.expires_at > now()
),
standing AS MATERIALIZED (
    SELECT u.id, u.tier, CASE u.tier {_RANK} END AS rank, {_PER_DAY} AS per_day,
           CASE WHEN u.last_request_reset >= $5 THEN u.requests_today ELSE 0 END AS used,
           GREATEST(u.last_request_reset, $5) AS day
    FROM users u
    WHERE u.id = ANY (ARRAY(SELECT user_id FROM live))
    ORDER BY u.id
    FOR NO KEY UPDATE
),
allowed AS (
    SELECT st.id,
           CASE WHEN st.per_day IS NULL THEN sum(l.wanted)
                ELSE LEAST(sum(l.wanted), GREATEST(0, st.per_day - st.used)) END AS granted
    FROM live l JOIN standing st ON st.id = l.user_id AND st.rank BETWEEN l.rank AND l.ceiling
    GROUP BY st.id, st.per_day, st.used
),
charged AS (
    UPDATE users u SET requests_today = st.used + a.granted, last_request_reset = st.day
    FROM standing st JOIN allowed a ON a.id = st.id
    WHERE u.id = st.id AND a.granted > 0
    RETURNING u.id, u.requests_today AS used, a.granted, st.day
),
noted AS (
    INSERT INTO counting_trips AS t (process, number, users, series, days)
    SELECT $6, $7, array_agg(id), array_agg(granted), array_agg(day) FROM charged HAVING count(*) > 0
    ON CONFLICT (process) DO UPDATE
    SET number = excluded.number, users = excluded.users, series = excluded.series, days = excluded.days,
        made_at = now()
)
SELECT DISTINCT l.session_id, st.id, st.tier, COALESCE(c.used, st.used), COALESCE(c.granted, 0), st.day
FROM live l JOIN standing st ON st.id = l.user_id LEFT JOIN charged c ON c.id = st.id
"""  # noqa: S608

_PEEK = """
SELECT s.id, u.id, u.tier, CASE WHEN u.last_request_reset >= $2 THEN u.requests_today ELSE 0 END, 0,
       GREATEST(u.last_request_reset, $2)
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.id = ANY($1) AND s.revoked_at IS NULL AND s.expires_at > now()
"""

# Planning them takes several times as long as running them, so each connection that counts plans them once.
PREPARE = f"""
SET plan_cache_mode = force_generic_plan;
PREPARE charge (uuid[], int[], int[], int[], date, uuid, bigint) AS {_CHARGE};
PREPARE peek (uuid[], date) AS {_PEEK};
"""
"""What a connection needs before the statements of this module."""

# A statement of a connection that broke may still be under way: PostgreSQL does not notice while it waits for a lock.
_FENCE = """
SELECT pg_terminate_backend(pid, 2000) FROM pg_locks
WHERE locktype = 'advisory' AND granted AND objsubid = 2
  AND classid = ({high})::int4::oid AND objid = ({low})::int4::oid
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database());
SELECT pg_advisory_lock({high}, {low});
"""

_EXECUTE_CHARGE = "EXECUTE charge (%s, %s, %s, %s, %s, %s, %s)"
_EXECUTE_PEEK = "EXECUTE peek (%s, %s)"

_TAKE_OFF = """
locked AS MATERIALIZED (
    SELECT id FROM users WHERE id IN (SELECT user_id FROM paid) ORDER BY id FOR NO KEY UPDATE
)
UPDATE users u SET requests_today = GREATEST(0, u.requests_today - p.series)
FROM paid p JOIN locked ON locked.id = p.user_id
WHERE u.id = p.user_id AND u.last_request_reset = p.day
RETURNING u.id
"""

_UNDO = f"""
WITH lost AS (
    DELETE FROM counting_trips WHERE process = %s AND number = %s RETURNING users, series, days
),
paid AS (
    SELECT p.* FROM lost, unnest(lost.users, lost.series, lost.days) AS p(user_id, series, day)
),
{_TAKE_OFF}"""  # noqa: S608 - made of constants of ours

_REFUND_ALL = f"""
WITH trip AS (
    INSERT INTO counting_trips AS t (process, number, users, series, days) VALUES (%s, %s, '{{}}', '{{}}', '{{}}')
    ON CONFLICT (process) DO UPDATE
    SET number = excluded.number, users = '{{}}', series = '{{}}', days = '{{}}', made_at = now()
    WHERE t.number < excluded.number
    RETURNING number
),
paid AS (
    SELECT p.* FROM trip, unnest(%s::int[], %s::int[], %s::date[]) AS p(user_id, series, day)
),
{_TAKE_OFF}"""  # noqa: S608 - made of constants of ours

_CHARGE_WHOLE = text(f"""
UPDATE users u SET
    requests_today = CASE WHEN u.last_request_reset >= :today THEN u.requests_today ELSE 0 END + :cost,
    last_request_reset = GREATEST(u.last_request_reset, :today)
WHERE u.id = :user_id AND (
    {_PER_DAY} IS NULL
    OR CASE WHEN u.last_request_reset >= :today THEN u.requests_today ELSE 0 END + :cost <= {_PER_DAY}
)
RETURNING u.last_request_reset AS day, u.requests_today AS used
""")  # noqa: S608 - made of constants of ours

_REFUND = text("""
UPDATE users SET requests_today = GREATEST(0, requests_today - :series)
WHERE id = :user_id AND last_request_reset = :day
""")


def fence(process: str) -> str:
    """What the connection of a process runs first: it ends the one before, and keeps its place."""
    high, low = (int.from_bytes(half, signed=True) for half in (UUID(process).bytes[:4], UUID(process).bytes[4:8]))
    return _FENCE.format(high=high, low=low)


def charge(claims: Sequence[Claim], today: date, process: str, number: int) -> Statement:
    """Charges as much of the claims as tiers and limits allow, all users in one statement; rows for `standings`.

    Claims outside their user's tier are not charged; the others share what the limit leaves. A session that is
    unknown, revoked or expired is not in the answer. `number` is larger than any `process` has used before.
    """
    return Statement(
        _EXECUTE_CHARGE,
        (
            _array([c.session_id for c in claims]),
            _array([c.rank for c in claims]),
            _array([c.ceiling for c in claims]),
            _array([c.wanted for c in claims]),
            today,
            process,
            number,
        ),
    )


def peek(sessions: Sequence[str], today: date) -> Statement:
    """The standing behind each live session, as rows for `standings`; nothing is charged or locked."""
    return Statement(_EXECUTE_PEEK, (_array(sessions), today))


def undo(process: str, number: int) -> Statement:
    """Takes back the charge of that number, the last of the process, if it was carried out and still stands."""
    return Statement(_UNDO, (process, number))


def refund_all(refunds: Sequence[Refund], process: str, number: int) -> Statement:
    """Gives back to the days that paid, one `Refund` per user and day; carried out once, however often it is sent.

    A day that is over keeps its count. `number` is larger than any `process` has used before.
    """
    users, series, days = zip(*refunds, strict=True)
    return Statement(_REFUND_ALL, (process, number, list(users), list(series), list(days)))


def standings(rows: Iterable[Sequence[Any]]) -> dict[str, Standing]:
    """What `charge` and `peek` have returned, by session."""
    return {row[0]: Standing(row[1], TIERS[TierName(row[2])], row[3], row[4], row[5]) for row in rows}


def _array(values: Iterable[object]) -> str:
    """As PostgreSQL reads an array; of numbers and session ids, in which nothing needs a quote."""
    return "{" + ",".join(map(str, values)) + "}"


def charge_whole(connection: Connection, user_id: int, cost: int, today: date) -> Charged | None:
    """Charges `cost` series or nothing; None when the limit does not leave so much."""
    row = connection.execute(_CHARGE_WHOLE, {"user_id": user_id, "cost": cost, "today": today}).one_or_none()
    return None if row is None else Charged(row.day, row.used)


def refund(connection: Connection, user_id: int, series: int, day: date) -> None:
    """Gives `series` back to the day that paid; a day that is over keeps its count."""
    connection.execute(_REFUND, {"user_id": user_id, "series": series, "day": day})
