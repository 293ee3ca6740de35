"""Access tokens: signed, short-lived, and worth nothing without a live session in PostgreSQL."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from uuid import UUID

import jwt

from common.errors import Unauthenticated

_ALGORITHM = "HS256"
_ISSUER = "kalpi"
_REQUIRED = ("sub", "sid", "iat", "exp", "iss", "aud")
_MAX_LENGTH = 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a valid token says: the session it belongs to, and when it ends."""

    user_id: int
    session_id: str  # a UUID in its canonical form
    expires_at: float  # Unix time


class AccessTokens:
    """Issues and reads tokens of one signing key."""

    def __init__(self, signing_key: str, life_seconds: int) -> None:
        self._key = signing_key
        self._life = timedelta(seconds=life_seconds)
        # A signature that was good once is good until its time is over: programs send the same token again and again.
        self._decoded = lru_cache(maxsize=10_000)(self._decode)

    def issue(self, user_id: int, session_id: UUID, now: datetime) -> str:
        claims = {
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": now,
            "exp": now + self._life,
            "iss": _ISSUER,
            "aud": _ISSUER,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, authorization: str | None, now: datetime) -> Credentials:
        """What the Authorization header proves. Raises Unauthenticated."""
        if authorization is None:
            raise Unauthenticated("no credentials")
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > _MAX_LENGTH:
            raise Unauthenticated("not a bearer token")
        credentials = self._decoded(token)
        if now.timestamp() >= credentials.expires_at:
            raise Unauthenticated("token expired")
        return credentials

    def _decode(self, token: str) -> Credentials:
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                audience=_ISSUER,
                # Times are compared against our own clock, in `read`.
                options={"require": list(_REQUIRED), "verify_exp": False, "verify_iat": False},
            )
            return Credentials(int(claims["sub"]), str(UUID(claims["sid"])), float(claims["exp"]))
        except (jwt.InvalidTokenError, ValueError, TypeError, AttributeError) as error:
            raise Unauthenticated("bad token") from error


def utc_now() -> datetime:
    return datetime.now(UTC)
