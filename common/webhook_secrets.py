"""What a user's webhooks are signed with: the current secret, and for a day those it has replaced."""

import secrets
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

_BYTES = 32

_RETIRING = 3
"""Replaced secrets that still sign: somebody who rotates again and again would make a header nobody takes."""

_LOCK = 0x77687365  # "whse"

_SIGNING = text("""
SELECT secret, created_at FROM webhook_secrets
WHERE user_id = :user_id AND (retires_at IS NULL OR retires_at > now())
ORDER BY retires_at DESC NULLS FIRST
""")

_MAKE = text("INSERT INTO webhook_secrets (user_id, secret) VALUES (:user_id, :secret) ON CONFLICT DO NOTHING")

_RETIRE = text("""
UPDATE webhook_secrets SET retires_at = clock_timestamp() + interval '1 day'
WHERE user_id = :user_id AND retires_at IS NULL
""")

_FORGET = text("""
DELETE FROM webhook_secrets WHERE id IN (
    SELECT id FROM webhook_secrets WHERE user_id = :user_id AND retires_at IS NOT NULL
    ORDER BY retires_at DESC OFFSET :kept
)
""")


@dataclass(frozen=True, slots=True)
class WebhookSecret:
    key: bytes
    created_at: datetime

    @property
    def text(self) -> str:
        """As receivers configure it."""
        return f"whsec_{b64encode(self.key).decode()}"


def signing_secrets(connection: Connection, user_id: int) -> list[WebhookSecret]:
    """The current secret, which is made when there is none yet, then those on their way out, youngest first."""
    found = _find(connection, user_id)
    if not found:
        _make(connection, user_id)
        found = _find(connection, user_id)  # whoever was first
    return found


def rotate_secret(connection: Connection, user_id: int) -> WebhookSecret:
    """A new secret. The one it replaces signs along for another day."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock, :user_id)"), {"lock": _LOCK, "user_id": user_id})
    connection.execute(_RETIRE, {"user_id": user_id})
    _make(connection, user_id)
    connection.execute(_FORGET, {"user_id": user_id, "kept": _RETIRING})
    return _find(connection, user_id)[0]


def _find(connection: Connection, user_id: int) -> list[WebhookSecret]:
    rows = connection.execute(_SIGNING, {"user_id": user_id})
    return [WebhookSecret(bytes(row.secret), row.created_at) for row in rows]


def _make(connection: Connection, user_id: int) -> None:
    connection.execute(_MAKE, {"user_id": user_id, "secret": secrets.token_bytes(_BYTES)})
