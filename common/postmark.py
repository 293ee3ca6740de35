"""When a message was sent: a header of its own, since Redis keeps no times of what is in a list."""

import time

import orjson

_SENT_AT = "sent_at"


def postmark() -> dict[str, float]:
    """Headers for a message that leaves now."""
    return {_SENT_AT: time.time()}


def read_postmark(message: bytes) -> float | None:
    """Seconds since 1970 at which a message, as it lies in the broker, was sent; None if it does not say."""
    try:
        return float(orjson.loads(message)["headers"][_SENT_AT])
    except (ValueError, LookupError, TypeError):
        return None
