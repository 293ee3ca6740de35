"""Users: made, found, listed, moved between tiers. Each function is one statement on the caller's connection."""

import re
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from common.db.tables import users
from common.errors import Conflict, InvalidParameters, NotFound
from common.tiers import TierName

_USERNAME = re.compile(r"[A-Za-z0-9._-]{3,64}")


@dataclass(frozen=True, slots=True)
class User:
    id: int
    username: str
    hashed_password: str
    tier: TierName
    requests_today: int
    last_request_reset: date
    created_at: datetime


def username_problem(username: str) -> str | None:
    """What is wrong with a name somebody would like to have; None when nothing is."""
    if _USERNAME.fullmatch(username):
        return None
    return f"{username[:70]!r} is not 3 to 64 characters of A-Z a-z 0-9 . _ -"


def create_user(connection: Connection, username: str, hashed_password: str, tier: TierName = TierName.FREE) -> User:
    """Raises InvalidParameters for a bad name, Conflict when it is taken in any case."""
    problem = username_problem(username)
    if problem is not None:
        raise InvalidParameters.one("username", problem)
    row = connection.execute(
        insert(users)
        .values(username=username, hashed_password=hashed_password, tier=tier.value)
        .on_conflict_do_nothing()
        .returning(users)
    ).one_or_none()
    if row is None:
        raise Conflict(f"username {username!r} is taken")
    return _user(row)


def find_user(connection: Connection, username: str) -> User | None:
    """The user of that name in any case."""
    row = connection.execute(select(users).where(func.lower(users.c.username) == username.lower())).one_or_none()
    return None if row is None else _user(row)


def user_by_id(connection: Connection, user_id: int) -> User:
    """Raises NotFound."""
    row = connection.execute(select(users).where(users.c.id == user_id)).one_or_none()
    if row is None:
        raise NotFound("user", str(user_id))
    return _user(row)


def set_tier(connection: Connection, username: str, tier: TierName) -> User:
    """Holds from the user's next request. Raises NotFound."""
    row = connection.execute(
        update(users).where(func.lower(users.c.username) == username.lower()).values(tier=tier.value).returning(users)
    ).one_or_none()
    if row is None:
        known = connection.execute(select(users.c.username).limit(10_000)).scalars().all()
        raise NotFound("user", username, known)
    return _user(row)


def list_users(connection: Connection) -> list[User]:
    """All of them, oldest first."""
    return [_user(row) for row in connection.execute(select(users).order_by(users.c.id))]


def _user(row: Row[tuple[object, ...]]) -> User:
    return User(
        row.id,
        row.username,
        row.hashed_password,
        TierName(row.tier),
        row.requests_today,
        row.last_request_reset,
        row.created_at,
    )
