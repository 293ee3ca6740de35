"""Access tokens: what is accepted and what is not, with the clock in hand."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import jwt
import pytest

from api.security import AccessTokens
from common.errors import Unauthenticated

KEY = "k" * 64  # long enough for the other algorithm too
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SESSION = UUID("12345678-1234-5678-1234-567812345678")
CLAIMS = {
    "sub": "7",
    "sid": str(SESSION),
    "iat": NOW,
    "exp": NOW + timedelta(minutes=30),
    "iss": "kalpi",
    "aud": "kalpi",
}


@pytest.fixture
def tokens() -> AccessTokens:
    return AccessTokens(KEY, life_seconds=1800)


def _signed(algorithm: str = "HS256", key: str = KEY, **changes: object) -> str:
    claims = {name: value for name, value in (CLAIMS | changes).items() if value is not None}
    return f"Bearer {jwt.encode(claims, key, algorithm=algorithm)}"


def test_what_is_issued_is_read(tokens: AccessTokens) -> None:
    read = tokens.read(f"bearer {tokens.issue(7, SESSION, NOW)}", NOW)
    ends = (NOW + timedelta(minutes=30)).timestamp()
    assert (read.user_id, read.session_id, read.expires_at) == (7, str(SESSION), ends)


def test_a_token_is_good_until_its_last_moment_and_no_longer(tokens: AccessTokens) -> None:
    token = _signed()
    tokens.read(token, NOW + timedelta(minutes=30, microseconds=-1))
    for _ in range(2):  # kept in memory or not
        with pytest.raises(Unauthenticated, match="expired"):
            tokens.read(token, NOW + timedelta(minutes=30))


@pytest.mark.parametrize("missing", list(CLAIMS))
def test_every_claim_is_required(tokens: AccessTokens, missing: str) -> None:
    tokens.read(_signed(), NOW)
    with pytest.raises(Unauthenticated):
        tokens.read(_signed(**{missing: None}), NOW)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "another"},
        {"iss": "another"},
        {"sid": "no-uuid"},
        {"sid": 7},
        {"sub": "ada"},
        {"exp": "soon"},
        {"algorithm": "HS512"},
        {"key": "x" * 40},
    ],
)
def test_anything_else_than_our_own_is_refused(tokens: AccessTokens, changes: dict[str, object]) -> None:
    with pytest.raises(Unauthenticated):
        tokens.read(_signed(**changes), NOW)  # type: ignore[arg-type]
