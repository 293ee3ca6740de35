"""Content codings of answers. Equal bodies give equal bytes: nothing has a time stamp."""

import zlib
from functools import lru_cache
from struct import Struct

import pyarrow as pa

_LEVEL = 1
"""Of gzip and of zstd: of such bodies higher levels make little less, and take their time."""

_ZSTD = pa.Codec("zstd", compression_level=_LEVEL)

_RAW = -zlib.MAX_WBITS  # deflate without a wrapper
_GZIP = 16 + zlib.MAX_WBITS
_GZIP_HEAD = b"\x1f\x8b\x08" + bytes(5) + b"\x04\xff"
_GZIP_TAIL = Struct("<II")

_STORED = Struct("<BHH")
_LONGEST_STORED = 0xFFFF

_KEPT = 64


def zstd(body: bytes) -> bytes:
    return _ZSTD.compress(body, asbytes=True)  # type: ignore[no-any-return]


def gzip(body: bytes, shared: bytes = b"") -> bytes:
    """`shared` is a piece of `body` that many bodies have in common, such as its dates, with numbers behind it.

    The piece is then compressed once for all of them. Hardly anything recurs among the digits of numbers, so those get
    shorter codes and no search for what recurs, which makes them as small in a third of the time.
    """
    start = body.find(shared) if shared else -1
    if not 0 <= start <= _LONGEST_STORED:
        whole = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        return whole.compress(body) + whole.flush()
    numbers = zlib.compressobj(_LEVEL, zlib.DEFLATED, _RAW, strategy=zlib.Z_HUFFMAN_ONLY)
    return b"".join(
        (
            _GZIP_HEAD,
            _STORED.pack(0, start, start ^ _LONGEST_STORED),
            body[:start],
            _deflated(shared),
            numbers.compress(body[start + len(shared) :]),
            numbers.flush(),
            _GZIP_TAIL.pack(zlib.crc32(body), len(body)),
        )
    )


@lru_cache(_KEPT)
def _deflated(piece: bytes) -> bytes:
    """As blocks of deflate that end at a whole byte, none of them the last, and refer to nothing before them."""
    deflate = zlib.compressobj(zlib.Z_BEST_COMPRESSION, zlib.DEFLATED, _RAW)
    return deflate.compress(piece) + deflate.flush(zlib.Z_FULL_FLUSH)
