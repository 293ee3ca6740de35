"""Page tokens: opaque to clients, the last key of a page to us."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from common.errors import InvalidParameters


def to_token(key: str) -> str:
    return urlsafe_b64encode(key.encode()).decode().rstrip("=")


def from_token(token: str) -> str:
    """Raises InvalidParameters for what `to_token` did not make."""
    try:
        key = urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except ValueError:
        key = None
    if key is None or to_token(key) != token:
        raise InvalidParameters.one(("query", "page_token"), f"{token[:40]!r} is not a next_page_token of this list")
    return key
