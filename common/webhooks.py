"""Webhooks: the URLs that are told of a job's end, and the messages for them.

A message is a row that is written in the transaction that ends the job; `worker.webhooks` sends it.
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import Connection, text

from common.addresses import Address, is_public

MAX_URL = 2_000

_DEFAULT_PORTS = {"https": 443, "http": 80}

_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
# 127.1, 0x7f000001, 0177.0.0.1: other ways to write an IPv4 address, which resolvers understand and readers do not.
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)")

_ANNOUNCE = text("""
INSERT INTO webhook_deliveries (id, job_id, url, event)
SELECT gen_random_uuid(), id, webhook_url, 'job.' || status FROM jobs
WHERE id = CAST(:job_id AS uuid) AND webhook_url IS NOT NULL
""")


@dataclass(frozen=True, slots=True)
class Receiver:
    """What a webhook's URL says."""

    is_encrypted: bool
    host: str | Address  # a name, or an address as it stands in the URL
    port: int
    target: str  # path and query
    authority: str  # host and port as the header Host names them


def read_url(url: str, *, private: bool) -> Receiver:
    """Where a webhook goes. Raises ValueError that says what would be right.

    Only with `private` it may be plain http, or a literal address that is not public. What a name stands for is
    checked when a message is sent.
    """
    if len(url) > MAX_URL:
        raise ValueError(f"has {len(url):,} characters; a webhook's URL has up to {MAX_URL:,}")
    if not (url.isascii() and url.isprintable() and " " not in url):
        raise ValueError("has characters that no URL has; percent-encode them, and write international hosts as xn--…")
    schemes = ("https", "http") if private else ("https",)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is no URL: {error}") from None
    if parts.scheme not in schemes:
        raise ValueError(f"does not begin with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    if "@" in parts.netloc:
        raise ValueError("has credentials; webhooks are signed instead")
    if port == 0:
        raise ValueError("has port 0; a port is 1 to 65535")
    host = _read_host(parts.hostname or "")
    authority = (f"[{host}]" if isinstance(host, IPv6Address) else str(host)) + ("" if port is None else f":{port}")
    if not (private or isinstance(host, str) or is_public(host)):
        raise ValueError(f"goes to {host}, which is no public address")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Receiver(parts.scheme == "https", host, port or _DEFAULT_PORTS[parts.scheme], target, authority)


def _read_host(host: str) -> str | Address:
    if not host:
        raise ValueError("has no host")
    try:
        # Not with a scope, as in fe80::1%eth0: that means something on this machine alone.
        return IPv4Address(host) if "%" in host or ":" not in host else IPv6Address(host)
    except ValueError:
        if not _NAME.fullmatch(host) or len(host) > 253 or _NUMBER.fullmatch(host):  # noqa: PLR2004 - RFC 1035
            raise ValueError(f"has host {host[:80]!r}, which is neither a name nor an address") from None
    return host


def message_id(delivery_id: UUID) -> str:
    """What receivers know a message by: the same in every attempt to deliver it."""
    return f"msg_{delivery_id.hex}"


def announce_end(connection: Connection, job_id: str) -> None:
    """Leaves a message for the webhook of a job that has ended in this transaction, if it has one."""
    connection.execute(_ANNOUNCE, {"job_id": job_id})
