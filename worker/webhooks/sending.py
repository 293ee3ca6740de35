"""One attempt to deliver a message: signed anew, since it says when it was made."""

import ssl
from datetime import UTC, datetime
from http import HTTPStatus
from time import monotonic

import structlog

from common.settings import Settings
from common.webhooks import message_id, read_url
from worker.webhooks.addresses import Unreachable
from worker.webhooks.deliveries import Delivery
from worker.webhooks.post import Answer, post
from worker.webhooks.signing import sign
from worker.webhooks.verdict import Attempt

log = structlog.get_logger()


def send(delivery: Delivery, settings: Settings, tls: ssl.SSLContext) -> Attempt:
    """How its receiver took it, whatever happens."""
    at, began = datetime.now(UTC), monotonic()
    status, retry_after = None, None
    try:
        answer = _post(delivery, int(at.timestamp()), settings, tls)
        status, detail, retry_after = answer.status, _describe(answer.status), answer.retry_after
    except Unreachable as error:
        detail = str(error)
    except Exception:
        log.exception("webhook_not_sent", delivery=message_id(delivery.id))
        detail = "was not sent, by a fault of ours"
    return Attempt(at, status, detail, round((monotonic() - began) * 1000), retry_after)


def _post(delivery: Delivery, timestamp: int, settings: Settings, tls: ssl.SSLContext) -> Answer:
    """Raises Unreachable."""
    private = settings.webhook_private
    try:
        receiver = read_url(delivery.url, private=private)
    except ValueError as error:  # what is allowed has changed since it was accepted
        raise Unreachable(f"its URL {error}") from error
    name = message_id(delivery.id)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Kalpi-Webhooks/1",
        "webhook-id": name,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(name, timestamp, delivery.body, delivery.keys),
    }
    return post(receiver, headers, delivery.body, seconds=settings.webhook_timeout_seconds, tls=tls, private=private)


def _describe(status: int) -> str:
    """What a status means for the message."""
    try:
        said = f"answered {status} {HTTPStatus(status).phrase}"
    except ValueError:  # one that nobody has registered
        said = f"answered {status}"
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"{said}; redirects are not followed"
    if status == HTTPStatus.GONE:
        return f"{said}; it is not asked again"
    return said
