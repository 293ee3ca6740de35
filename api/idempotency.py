"""`Idempotency-Key`: which job a client's key stands for, so that a request sent twice is one job."""

import hashlib
from dataclasses import dataclass
from uuid import UUID

import orjson
from sqlalchemy import Connection, func, select, text
from sqlalchemy.dialects.postgresql import insert

from common.db.tables import idempotency_keys
from common.errors import Conflict, InvalidParameters

MAX_KEY = 255

_LOCK = 0x6B6579  # "key"

_KEPT = text("now() - interval '1 day'")

_LOCATION = ("header", "Idempotency-Key")


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A client's name for a request, and what it says: the SHA-256 of its body, spaces and order of names aside."""

    key: str
    digest: bytes


def read_key(header: str | None, body: bytes) -> IdempotencyKey | None:
    """Raises InvalidParameters for a key that is empty, too long or not printable ASCII."""
    if header is None:
        return None
    if not (1 <= len(header) <= MAX_KEY and header.isascii() and header.isprintable()):
        raise InvalidParameters.one(_LOCATION, f"is not 1 to {MAX_KEY} printable ASCII characters")
    try:
        said = orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, TypeError):
        said = body
    return IdempotencyKey(header, hashlib.sha256(said).digest())


def find_key(connection: Connection, user_id: int, key: IdempotencyKey) -> UUID | None:
    """The job the key stands for. Raises InvalidParameters when it came with another body."""
    columns = idempotency_keys.c
    row = connection.execute(
        select(columns.digest, columns.job_id).where(
            columns.user_id == user_id, columns.key == key.key, columns.created_at > _KEPT
        )
    ).one_or_none()
    if row is None:
        return None
    if row.digest != key.digest:
        raise InvalidParameters.one(
            _LOCATION, f"{key.key!r} was used with another body in the last 24 hours; use a new key for a new request"
        )
    found: UUID = row.job_id
    return found


def take_key(connection: Connection, user_id: int, key: IdempotencyKey) -> None:
    """Nobody else can make a job under the key until the end of the transaction. Raises Conflict when somebody is."""
    taken = text("SELECT pg_try_advisory_xact_lock(:lock, hashtext(:name))")
    if not connection.execute(taken, {"lock": _LOCK, "name": f"{user_id} {key.key}"}).scalar_one():
        raise Conflict(f"A request with Idempotency-Key {key.key!r} is still being accepted; ask again")


def keep_key(connection: Connection, user_id: int, key: IdempotencyKey, job_id: UUID) -> None:
    """The key, which is taken, stands for the job from now on, for 24 hours."""
    kept = {"digest": key.digest, "job_id": job_id, "created_at": func.now()}
    statement = insert(idempotency_keys).values(user_id=user_id, key=key.key, **kept)
    connection.execute(statement.on_conflict_do_update(index_elements=["user_id", "key"], set_=kept))
