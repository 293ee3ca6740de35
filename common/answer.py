"""A computed answer as it lies in the cache: its strong ETag, then its bytes. Nobody parses it again."""

from dataclasses import dataclass
from hashlib import blake2b

_TAG = 32  # hexadecimal digits


@dataclass(frozen=True, slots=True)
class Answer:
    etag: str  # quoted, as in the header
    body: bytes


def pack(body: bytes) -> bytes:
    return blake2b(body, digest_size=_TAG // 2).hexdigest().encode() + body


def unpack(packed: bytes) -> Answer:
    return Answer(f'"{packed[:_TAG].decode()}"', packed[_TAG:])
