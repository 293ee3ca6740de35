"""Signatures by Standard Webhooks 1.0, symmetric."""

import hmac
from base64 import b64encode
from collections.abc import Iterable


def sign(message_id: str, timestamp: int, body: bytes, keys: Iterable[bytes]) -> str:
    """The header `webhook-signature`: a signature with each key. `timestamp` is in Unix seconds."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return " ".join(f"v1,{b64encode(hmac.digest(key, signed, 'sha256')).decode()}" for key in keys)
