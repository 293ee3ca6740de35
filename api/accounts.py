"""Signing up, in and out. Each function is the body of one transaction."""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import Connection, func, insert, select, update

from common.db.tables import refresh_tokens, sessions, users


@dataclass(frozen=True, slots=True)
class Session:
    """A sign-in and the one refresh token that continues it."""

    id: UUID
    user_id: int
    refresh_token: str


def open_session(connection: Connection, user_id: int, life_seconds: int) -> Session:
    session_id = uuid4()
    connection.execute(
        insert(sessions).values(id=session_id, user_id=user_id, expires_at=func.now() + timedelta(seconds=life_seconds))
    )
    return Session(session_id, user_id, _new_refresh_token(connection, session_id, life_seconds))


def rotate(connection: Connection, refresh_token: str, life_seconds: int) -> Session | None:
    """Spends `refresh_token` for the next of its family. None when it is unknown, expired or revoked.

    One that was spent before has been copied by somebody: its whole family is revoked.
    """
    digest = _digest(refresh_token)
    session_id = connection.execute(
        update(refresh_tokens)
        .where(
            refresh_tokens.c.digest == digest,
            refresh_tokens.c.spent_at.is_(None),
            refresh_tokens.c.expires_at > func.now(),
        )
        .values(spent_at=func.now())
        .returning(refresh_tokens.c.session_id)
    ).scalar_one_or_none()
    if session_id is None:
        close_session(connection, refresh_token)
        return None
    user_id = connection.execute(
        update(sessions)
        .where(sessions.c.id == session_id, sessions.c.revoked_at.is_(None))
        .values(expires_at=func.now() + timedelta(seconds=life_seconds))
        .returning(sessions.c.user_id)
    ).scalar_one_or_none()
    if user_id is None:
        return None
    return Session(session_id, user_id, _new_refresh_token(connection, session_id, life_seconds))


def close_session(connection: Connection, refresh_token: str) -> UUID | None:
    """Revokes the family `refresh_token` belongs to; its id, None when the token is unknown."""
    owner = select(refresh_tokens.c.session_id).where(refresh_tokens.c.digest == _digest(refresh_token))
    session_id: UUID | None = connection.execute(owner).scalar_one_or_none()
    if session_id is not None:
        connection.execute(
            update(sessions)
            .where(sessions.c.id == session_id, sessions.c.revoked_at.is_(None))
            .values(revoked_at=func.now())
        )
    return session_id


def replace_password(connection: Connection, user_id: int, hashed_password: str, keep: UUID) -> None:
    """Sets a new password and ends every session but `keep`."""
    connection.execute(update(users).where(users.c.id == user_id).values(hashed_password=hashed_password))
    connection.execute(
        update(sessions)
        .where(sessions.c.user_id == user_id, sessions.c.id != keep, sessions.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
    )


def _new_refresh_token(connection: Connection, session_id: UUID, life_seconds: int) -> str:
    token = secrets.token_urlsafe(32)
    connection.execute(
        insert(refresh_tokens).values(
            digest=_digest(token),
            session_id=session_id,
            expires_at=func.now() + timedelta(seconds=life_seconds),
        )
    )
    return token


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
