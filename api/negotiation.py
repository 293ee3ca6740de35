"""What the caller has and prefers: the form of an answer, how long to wait for it, the copy they hold."""

import re
from functools import lru_cache

from common.errors import InvalidParameters, NotAcceptable
from common.query import Form

MAX_WAIT_SECONDS = 60

_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([^,;\"\s]*)", re.IGNORECASE)


@lru_cache(maxsize=256)
def form_for(accept: str | None) -> Form:
    """The form with the highest q-value, JSON first among equals. Raises NotAcceptable."""
    if not accept:
        return Form.JSON
    ranges = [_media_range(part) for part in accept.split(",")]
    best = max(Form, key=lambda form: _quality(form.media_type, ranges))  # max keeps the first of equals
    if _quality(best.media_type, ranges) <= 0:
        raise NotAcceptable(accept[:200], [form.media_type for form in Form])
    return best


def takes(accept: str | None, media_type: str) -> bool:
    return not accept or _quality(media_type, [_media_range(part) for part in accept.split(",")]) > 0


def _media_range(part: str) -> tuple[str, float]:
    name, *params = (piece.strip().lower() for piece in part.split(";"))
    quality = 1.0
    for param in params:
        key, _, value = param.partition("=")
        if key.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                quality = 0.0
    return name, quality


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """That of the most specific range which covers the type (RFC 9110, 12.5.1)."""
    main = media_type.partition("/")[0]
    for wanted in (media_type, f"{main}/*", "*/*"):
        for name, quality in ranges:
            if name == wanted:
                return quality
    return 0.0


_CODINGS = ("zstd", "gzip", "identity")
"""In the order in which we would rather send them."""


@lru_cache(maxsize=256)
def codings_for(accept_encoding: bytes | None) -> tuple[str, ...]:
    """The content codings the caller takes, best first (RFC 9110, 12.5.3); the plain bytes at the latest in the end."""
    if not accept_encoding:
        return ("identity",)
    ranges = dict(map(_media_range, reversed(accept_encoding.decode("latin-1").split(","))))
    others = ranges.get("*", 0.0)
    qualities = {coding: ranges.get(coding, others) for coding in _CODINGS}
    taken = sorted((c for c in _CODINGS if qualities[c] > 0), key=lambda c: -qualities[c])  # sorted keeps our order
    return (*taken, "identity")


def preferred_wait(prefer: str | None) -> float | None:
    """Seconds of `Prefer: wait=N` (RFC 7240), None without one. Raises InvalidParameters outside 0 to 60."""
    found = _WAIT.search(prefer) if prefer else None
    return None if found is None else read_wait(found[1], ("header", "Prefer", "wait"))


def read_wait(raw: str, loc: tuple[str, ...]) -> float:
    """`raw` as a number of seconds to wait."""
    if not (raw.isascii() and raw.isdecimal() and len(raw) <= 4 and int(raw) <= MAX_WAIT_SECONDS):  # noqa: PLR2004
        raise InvalidParameters.one(loc, f"{raw[:20]!r} is not a whole number of seconds from 0 to {MAX_WAIT_SECONDS}")
    return float(raw)


def etag_matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the caller's copy is the current one (RFC 9110, 13.1.2)."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags
