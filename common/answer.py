"""A computed answer on its way from a worker to those who wait: as it lies in the cache, and in a letter.

In the cache, integers little-endian:

    4 bytes  "KLP2"
    16       blake2b of the plain bytes
    3 × 4    lengths: the plain bytes, those in gzip, those in zstd; 0 where the answer is not kept in that coding
    …        the three of them, one after the other

A letter is a line of JSON, `{"done": [[key, length], …], "failed": {key: reason}}`, then the packed answers in that
order. Nobody parses what is inside an answer again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from struct import Struct

import orjson

Failure = dict[str, str]
"""Why a query has no answer: its `kind`, and a `detail` for people."""

_MARK = b"KLP2"
_TAG = 16  # bytes
_HEAD = Struct(f"<4s{_TAG}sIII")


@dataclass(frozen=True, slots=True)
class Answer:
    """The bytes of one answer, plain and in the content codings it was worth keeping in."""

    tag: str  # equal for equal plain bytes, 32 hexadecimal digits
    identity: bytes
    gzip: bytes | None
    zstd: bytes | None

    @property
    def size(self) -> int:
        return len(self.identity) + len(self.gzip or b"") + len(self.zstd or b"")


def pack(identity: bytes, gzip: bytes | None = None, zstd: bytes | None = None) -> bytes:
    digest = blake2b(identity, digest_size=_TAG).digest()
    gzip, zstd = gzip or b"", zstd or b""
    head = _HEAD.pack(_MARK, digest, len(identity), len(gzip), len(zstd))
    return b"".join((head, identity, gzip, zstd))


def unpack(packed: bytes) -> Answer:
    """The inverse of `pack`. Raises ValueError on anything else, and on a part of it."""
    if len(packed) < _HEAD.size:
        raise ValueError(f"{len(packed)} bytes are no packed answer, which has {_HEAD.size} at least")
    mark, digest, identity, gzip, zstd = _HEAD.unpack_from(packed)
    if mark != _MARK:
        raise ValueError(f"a packed answer begins with {_MARK!r}, not {mark!r}")
    first = _HEAD.size + identity
    second = first + gzip
    if len(packed) != second + zstd:
        raise ValueError(f"a packed answer of {second + zstd} bytes has {len(packed)}")
    return Answer(
        digest.hex(),
        packed[_HEAD.size : first],
        packed[first:second] if gzip else None,
        packed[second:] if zstd else None,
    )


def write_letter(done: Mapping[str, bytes], failed: Mapping[str, Failure]) -> bytes:
    """`done` are packed answers by their cache keys."""
    head = orjson.dumps({"done": [(key, len(packed)) for key, packed in done.items()], "failed": failed})
    return b"".join((head, b"\n", *done.values()))


def read_letter(letter: bytes) -> tuple[dict[str, bytes], dict[str, Failure]]:
    """The inverse of `write_letter`. Raises ValueError on anything else, and on a part of it."""
    end = letter.find(b"\n")
    if end < 0:
        raise ValueError(f"{len(letter)} bytes are no letter: there is no first line")
    try:
        head = orjson.loads(memoryview(letter)[:end])
        lengths = [(str(key), int(length)) for key, length in head["done"]]
        failed: dict[str, Failure] = dict(head["failed"])
    except (TypeError, KeyError) as error:
        raise ValueError(f"the first line is not that of a letter: {error}") from None
    done = {}
    start = end + 1
    for key, length in lengths:
        done[key] = letter[start : start + length]
        start += length
    if start != len(letter):
        raise ValueError(f"a letter of {start} bytes has {len(letter)}")
    return done, failed
