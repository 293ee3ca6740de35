"""Passwords: the rules they follow and the hashes that are kept."""

import bcrypt

from common.errors import InvalidParameters

MIN_CHARACTERS = 10
MAX_BYTES = 72
"""bcrypt reads no further."""


def password_problem(password: str) -> str | None:
    """What is wrong with a password somebody would like to have; None when nothing is. Never quotes it."""
    if len(password) < MIN_CHARACTERS:
        return f"has {len(password)} characters; at least {MIN_CHARACTERS} are needed"
    size = len(password.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        return f"has {size} bytes of UTF-8; at most {MAX_BYTES} are allowed"
    if not password.isprintable():
        return "has control characters; use printable ones"
    return None


def check_password_rules(password: str) -> None:
    """Raises InvalidParameters when there is a `password_problem`."""
    problem = password_problem(password)
    if problem is not None:
        raise InvalidParameters.one("password", problem)


def hash_password(password: str, rounds: int) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode()


def password_matches(password: str, hashed: str) -> bool:
    """Whether `hashed` was made from `password`. Takes the same time for any password."""
    raw = password.encode("utf-8", "surrogatepass")
    # A password no account can have is compared all the same: the answer is as slow as any other.
    fits = len(raw) <= MAX_BYTES and b"\0" not in raw
    return bcrypt.checkpw(raw if fits else b"-", hashed.encode()) and fits
