"""A conversation with a running API, patient while it is away."""

import os
import re
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, closing
from pathlib import Path
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

import httpx

from cli.credentials import SignIn, Token
from cli.state import read_up
from common.errors import InvalidParameters, KalpiError, StartupError
from common.settings import Settings

_TIMEOUT = httpx.Timeout(60, connect=10)

_FIRST_PAUSE = 0.1
_LAST_PAUSE = 5.0

_BUSY = frozenset({429, 502, 503, 504})
"""Answers after which it is worth asking again."""


class Refused(KalpiError):  # noqa: N818 - what happened
    """The service does not do what was asked; a line for each reason, those after the first indented."""


class Away(KalpiError):  # noqa: N818
    """The service is not there, or was not ready for longer than one is patient."""


class Patience:
    """Bounds how long the service may be away at a stretch."""

    def __init__(self, seconds: float, tell: Callable[[str], None]) -> None:
        self.seconds = seconds
        self._tell = tell
        self._since: float | None = None
        self._pause = _FIRST_PAUSE

    def wait(self, reason: str, asked: float | None = None) -> None:
        """Before the next attempt, for as long as the service has asked. Raises Away when that is too long."""
        now = monotonic()
        if self._since is None:
            self._since, self._pause = now, _FIRST_PAUSE
            self._tell(f"{reason}; trying again for {self.seconds:g} s")
        left = self._since + self.seconds - now
        pause = min(self._pause, left) if asked is None else max(asked, _FIRST_PAUSE)
        if left <= 0 or pause > left:
            raise Away(f"{reason}; gave up after {now - self._since:.0f} s")
        if asked is None:
            self._pause = min(self._pause * 2, _LAST_PAUSE)
        sleep(pause)

    def renew(self) -> None:
        """The service is there again."""
        self._since = None


class Client:
    """A conversation with one API. A sign-in it has made is signed out at its end."""

    def __init__(self, url: str, who: Token | SignIn, patience: Patience) -> None:
        self._url = url
        self._who = who
        self._http = httpx.Client(base_url=url, auth=who, timeout=_TIMEOUT, headers={"User-Agent": "kalpi"})
        self.patience = patience

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with closing(self._http):
            self._who.leave(self._http)

    def ask(self, method: str, path: str, again: Collection[int] = (), **content: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        """The good answer, waited for while the service is away, has too much to do or answers one of `again`.

        Raises Refused for an answer that will not change, Away when patience is at its end.
        """
        while True:
            try:
                response = self._http.request(method, path, **content)
            except httpx.RequestError as error:
                self.wait_after(error)
                continue
            if self.is_good(response, again):
                self.patience.renew()
                return response

    def stream(self, path: str, **content: Any) -> AbstractContextManager[httpx.Response]:  # noqa: ANN401
        """One attempt at a GET, whatever is answered. Raises httpx.RequestError."""
        return self._http.stream("GET", path, **content)

    def is_good(self, response: httpx.Response, again: Collection[int] = ()) -> bool:
        """Whether it is what was asked for; when not, it is time to ask again. Raises as `ask`."""
        if response.is_success:
            return True
        response.read()
        said = complaint(response)
        asked = _retry_after(response)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise Refused(self._who.refused)
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS and (asked or 0) > self.patience.seconds:
            raise Refused(said)  # the daily limit
        if response.status_code in _BUSY or response.status_code in again:
            self.patience.wait(said, asked)
            return False
        raise Away(said) if response.is_server_error else Refused(said)

    def wait_after(self, error: httpx.RequestError) -> None:
        """Before another attempt after one that got no answer."""
        reason = re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        self.patience.wait(f"no answer from {self._url} ({reason})")


def complaint(response: httpx.Response) -> str:
    """What a bad answer says: the problem, then a line for each error."""
    problem = body_of(response)
    if not isinstance(problem, dict) or "detail" not in problem:
        return f"{response.url} answered {response.status_code} {response.reason_phrase}".rstrip()
    line = str(problem["detail"])
    if near := problem.get("did_you_mean"):
        line += f"; did you mean {' or '.join(near)}?"
    if tier := problem.get("required_tier"):
        line += f"; the tier {tier} has it"
    if response.is_server_error and problem.get("request_id"):
        line += f" (request {problem['request_id']})"
    errors = problem.get("errors") or ()
    return "\n".join([line, *(f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in errors)])


def body_of(response: httpx.Response) -> Any:  # noqa: ANN401 - JSON
    """None when it is no JSON."""
    try:
        return response.json()
    except ValueError:
        return None


def _retry_after(response: httpx.Response) -> float | None:
    asked = response.headers.get("Retry-After", "")
    return float(asked) if asked.isdecimal() else None


# --- where


def where(url: str | None, state_dir: Path | None) -> str:
    """Address of the API: the one named, or that of the `kalpi up` which runs in the folder."""
    named = url or (None if state_dir is not None else os.environ.get("KALPI_URL"))
    if named:
        return _checked(named)
    folder = state_dir or Settings().state_dir
    up = read_up(folder)
    if up is None:
        unset = "" if state_dir is not None else "neither --url nor KALPI_URL is set and "
        raise StartupError(f"{unset}no `kalpi up` runs in {folder.absolute()}")
    return str(up["url"])


def _checked(url: str) -> str:
    """Without what no address needs, such as a password that would be shown."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL()
    if parsed.scheme not in {"http", "https"} or not parsed.netloc:
        raise InvalidParameters.one("--url", f"{url!r} is not an address such as http://127.0.0.1:8000")
    return f"{parsed.scheme}://{parsed.netloc.decode()}{parsed.path.rstrip('/')}"
