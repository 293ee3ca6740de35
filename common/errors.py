"""Every error this project raises on purpose.

KalpiError
├── InvalidParameters      the request's own values are wrong; carries one FieldError each
├── Unauthenticated        no, bad, expired or revoked credentials
├── NotFound               a symbol, indicator or job that is not there (for this user)
├── NotAllowed             outside the user's tier
├── QuotaExceeded          the daily limit is reached
├── TooManyRequests        the burst limit is reached
├── Conflict               the state of the resource does not allow it (now)
├── Gone                   it was there and is no more
├── NotAcceptable          none of the media types in Accept can be served
├── Unavailable            PostgreSQL, Redis or every worker is away
├── DataError              a market-data file that cannot be used
└── StartupError           `kalpi up` or a process cannot start; one line says why

The errors know nothing of HTTP; `api.problems` maps them to statuses.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one value: where it stands, and what would be right."""

    loc: tuple[str | int, ...]
    msg: str


class KalpiError(Exception):
    """Root of the tree."""


class InvalidParameters(KalpiError):  # noqa: N818 - the contract's term
    """Values of a request that cannot be right, whoever asks."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(f"{'.'.join(map(str, e.loc))}: {e.msg}" for e in self.errors))

    @classmethod
    def one(cls, loc: str | tuple[str | int, ...], msg: str) -> "InvalidParameters":
        return cls([FieldError((loc,) if isinstance(loc, str) else loc, msg)])


class Unauthenticated(KalpiError):  # noqa: N818
    """The caller did not prove who they are. `reason` is for the log, never for the caller."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class NotFound(KalpiError):  # noqa: N818
    """A named thing that does not exist for this user."""

    def __init__(self, kind: str, name: str, known: Sequence[str] = ()) -> None:
        self.kind = kind
        self.name = name
        self.did_you_mean = nearest(name, known)
        super().__init__(f"{kind} {name!r} not found")


class NotAllowed(KalpiError):  # noqa: N818
    """The user's tier does not include it; `required_tier` does, None when no tier does."""

    def __init__(self, required_tier: str | None, msg: str) -> None:
        self.required_tier = required_tier
        super().__init__(msg)


class QuotaExceeded(KalpiError):  # noqa: N818
    """The daily limit is reached; it resets in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"daily limit reached, resets in {retry_after} s")


class TooManyRequests(KalpiError):  # noqa: N818
    """More requests than the burst limit allows; it is worth asking again in `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"burst limit reached, try again in {retry_after} s")


class Conflict(KalpiError):  # noqa: N818
    """The resource is in a state that does not allow what was asked."""


class Gone(KalpiError):  # noqa: N818
    """The resource has expired."""


class NotAcceptable(KalpiError):  # noqa: N818
    """None of the media types asked for can be served."""

    def __init__(self, accept: str, offered: Sequence[str]) -> None:
        self.accept = accept
        self.offered = tuple(offered)
        super().__init__(f"Accept {accept!r} matches none of {', '.join(offered)}")


class Unavailable(KalpiError):  # noqa: N818
    """A part this request needs is away; `part` names it for the log."""

    def __init__(self, part: str, retry_after: int = 2) -> None:
        self.part = part
        self.retry_after = retry_after
        super().__init__(f"{part} is unavailable")


class DataError(KalpiError):
    """A market-data file that is missing, unreadable or wrong."""


class StartupError(KalpiError):
    """Something this process needs to start is missing or taken."""


_MANY = 400
_CLOSE = 3


def nearest(name: str, known: Sequence[str], count: int = 3) -> list[str]:
    """The known names most like `name`, best first; case is ignored."""
    folded = name.casefold()[:64]
    by_folded = {k.casefold(): k for k in known}
    if len(by_folded) > _MANY:  # comparing with all would take a while
        by_folded = {k: v for k, v in by_folded.items() if k[:1] == folded[:1] and abs(len(k) - len(folded)) <= _CLOSE}
    found = get_close_matches(folded, list(by_folded), n=count, cutoff=0.5)
    return [by_folded[f] for f in found]
