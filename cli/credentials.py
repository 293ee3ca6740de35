"""Who asks: an access token from elsewhere, or a sign-in of our own that goes on and ends."""

import os
import sys
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from getpass import GetPassWarning, getpass

import httpx

from common.errors import InvalidParameters, StartupError

_SIGN_OUT_SECONDS = 5.0


class Token(httpx.Auth):
    """An access token somebody else has got and looks after."""

    refused = "the access token in KALPI_TOKEN is not valid or has expired"

    def __init__(self, token: str) -> None:
        self._token = header_value("KALPI_TOKEN", token)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        yield _signed(request, self._token)

    def leave(self, http: httpx.Client) -> None:
        """Nothing to sign out."""


class SignIn(httpx.Auth):
    """Signs in when first needed, and goes on when the access token has expired."""

    def __init__(self, url: str, username: str, read_password: Callable[[], str]) -> None:
        self.refused = f"the user {username!r} or the password is wrong"
        self._url = url
        self._username = username
        self._read_password = read_password
        self._password: str | None = None
        self._pair: Mapping[str, str] | None = None

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The last answer that is yielded for is the caller's: the one to `request`, or why there is none."""
        if self._pair is None and not self._is_in((yield self._sign_in(request))):
            return
        response = yield self._signed(request)
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        renewed = yield self._refresh(request)
        if renewed.status_code == httpx.codes.UNAUTHORIZED:  # spent by an attempt whose answer was lost
            renewed = yield self._sign_in(request)
        if self._is_in(renewed):
            yield self._signed(request)

    def leave(self, http: httpx.Client) -> None:
        if self._pair is not None:
            left = {"refresh_token": self._pair["refresh_token"]}
            with suppress(httpx.HTTPError):  # it ends by itself, only later
                http.post("/v1/auth/logout", json=left, auth=httpx.Auth(), timeout=_SIGN_OUT_SECONDS)

    def _is_in(self, response: httpx.Response) -> bool:
        if not response.is_success:
            return False
        response.read()
        self._pair = response.json()
        return True

    def _signed(self, request: httpx.Request) -> httpx.Request:
        assert self._pair is not None  # noqa: S101 - signed in before
        return _signed(request, self._pair["access_token"])

    def _sign_in(self, request: httpx.Request) -> httpx.Request:
        if self._password is None:
            self._password = self._read_password()
        form = {"username": self._username, "password": self._password}
        return httpx.Request("POST", f"{self._url}/v1/auth/token", data=form, extensions=request.extensions)

    def _refresh(self, request: httpx.Request) -> httpx.Request:
        assert self._pair is not None  # noqa: S101
        spent = {"refresh_token": self._pair["refresh_token"]}
        return httpx.Request("POST", f"{self._url}/v1/auth/refresh", json=spent, extensions=request.extensions)


def who(url: str, user: str | None, *, password_stdin: bool) -> Token | SignIn:
    """Whoever is named asks; without a name the token of the environment, else its user."""
    token = os.environ.get("KALPI_TOKEN")
    if token and user is None:
        return Token(token)
    username = user or os.environ.get("KALPI_USER")
    if not username:
        raise StartupError("who asks? Set KALPI_TOKEN, or KALPI_USER and KALPI_PASSWORD, or name a user by --user")
    return SignIn(url, username, _password_of_stdin if password_stdin else lambda: _password_of(username))


def _password_of_stdin() -> str:
    password = sys.stdin.readline().rstrip("\r\n")
    if not password:
        raise InvalidParameters.one("--password-stdin", "there is no password on standard input")
    return password


def _password_of(username: str) -> str:
    """Raises InvalidParameters where nobody can be asked for it."""
    if given := os.environ.get("KALPI_PASSWORD"):
        return given
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", GetPassWarning)  # no terminal to ask at
            return getpass(f"Password of {username}: ")
    except (GetPassWarning, EOFError):
        raise InvalidParameters.one(
            "KALPI_PASSWORD", "is not set, and there is no terminal to ask at; --password-stdin reads it from a pipe"
        ) from None


def _signed(request: httpx.Request, token: str) -> httpx.Request:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def header_value(name: str, value: str) -> str:
    """Raises InvalidParameters for what no header can carry."""
    if not (value.isascii() and value.isprintable()):
        raise InvalidParameters.one(name, "has characters that are not printable ASCII")
    return value
