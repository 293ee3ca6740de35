"""An answer as it goes out: its bytes in each content coding, with the headers that are always the same."""

from typing import NamedTuple

from api.negotiation import etag_matches
from api.rate_limit import Header
from common.answer import Answer

_ALWAYS: tuple[Header, ...] = (
    (b"cache-control", b"private, no-cache"),
    (b"vary", b"Accept, Accept-Encoding, Authorization"),
)


class Representation(NamedTuple):
    """`marks` are the headers that a 304 repeats."""

    etag: bytes
    marks: tuple[Header, ...]
    headers: tuple[Header, ...]
    body: bytes


class Representations(NamedTuple):
    """One answer in the codings it is kept in; `size` is in bytes, roughly."""

    by_coding: dict[str, Representation]
    size: int

    def chosen(self, codings: tuple[str, ...]) -> Representation:
        """The first of the caller's codings there is. What nobody compressed goes out as it is."""
        for coding in codings:
            found = self.by_coding.get(coding)
            if found is not None:
                return found
        return self.by_coding["identity"]

    def held(self, if_none_match: str) -> Representation | None:
        """What the caller has a copy of, in whichever coding they had it; None when that is another answer."""
        return next((r for r in self.by_coding.values() if etag_matches(if_none_match, r.etag.decode())), None)


_OVERHEAD = 1500
"""Bytes of the headers and objects around the bodies of an answer."""


def represent(answer: Answer, media_type: str, *, last_bar_final: bool | None) -> Representations:
    """`last_bar_final` is None where there is nothing to say of it."""
    bodies = {"identity": answer.identity, "gzip": answer.gzip, "zstd": answer.zstd}
    about = _ALWAYS if last_bar_final is None else (*_ALWAYS, (b"x-last-bar-final", _BOOLEAN[last_bar_final]))
    by_coding = {}
    for coding, body in bodies.items():
        if body is not None:
            # A strong tag names bytes, so each coding has its own.
            etag = b'"%b"' % (answer.tag if coding == "identity" else f"{answer.tag}-{coding}").encode()
            by_coding[coding] = _representation(coding, body, media_type.encode(), etag, about)
    return Representations(by_coding, answer.size + _OVERHEAD)


_BOOLEAN = {True: b"true", False: b"false"}


def _representation(
    coding: str, body: bytes, media_type: bytes, etag: bytes, about: tuple[Header, ...]
) -> Representation:
    marks: tuple[Header, ...] = ((b"etag", etag), *about)
    headers: tuple[Header, ...] = (
        (b"content-type", media_type),
        (b"content-length", b"%d" % len(body)),
        *marks,
    )
    if coding != "identity":
        headers = (*headers, (b"content-encoding", coding.encode()))
    return Representation(etag, marks, headers, body)
