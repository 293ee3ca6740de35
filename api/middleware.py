"""What every request gets, whatever its route: an id, a bound on its body, rate-limit headers, a log line, metrics."""

import os
import time
from collections.abc import Callable
from datetime import datetime
from itertools import count

import structlog
from fastapi import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics
from api.access_log import AccessLog
from api.bounds import MAX_ADDRESS, MAX_BODY, MAX_HEADER, MAX_HEADERS, MAX_SMALL_BODY
from api.problems import problem, respond
from api.questions import route_of
from api.rate_limit import Header, rate_limit_headers
from api.routes.values import Reply, reply
from common.errors import KalpiError

log = structlog.get_logger()

_QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Asked every few seconds by machines; logged only when they fail."""

_LONGEST_PATH = 500
"""Characters of a path in the log."""

_CLIENT_LEFT = 499  # nginx's name for it; nobody is there to read it


class Records:
    """What every request gets and leaves behind: an id, headers, a line in the log, a measurement."""

    def __init__(self, clock: Callable[[], datetime], access_log: AccessLog) -> None:
        self._clock = clock
        self._log = access_log
        self._name = os.urandom(8).hex()
        self._numbers = count(1)

    def open(self, scope: Scope) -> None:
        scope.setdefault("state", {})["request_id"] = f"{self._name}{next(self._numbers):016x}"

    def headers(self, scope: Scope) -> list[Header]:
        """To be added to every answer. Routes put the caller's `standing` into the request's state."""
        state = scope["state"]
        identity = (b"x-request-id", state["request_id"].encode())
        standing = state.get("standing")
        return [identity] if standing is None else [identity, *rate_limit_headers(standing, self._clock())]

    def close(self, scope: Scope, route: str, status: int, seconds: float) -> None:
        metrics.observe_request(scope["method"], route, status, seconds)
        if route in _QUIET and status < 500:  # noqa: PLR2004 - HTTP
            return
        state, client = scope["state"], scope.get("client")
        standing = state.get("standing")
        self._log.write(
            {
                "request_id": state["request_id"],
                "method": scope["method"],
                "path": scope["path"][:_LONGEST_PATH],
                "status": status,
                "milliseconds": round(seconds * 1000, 3),
                "user_id": standing.user_id if standing is not None else None,
                "client": client[0] if client else None,
            }
        )


class FastPath:
    """The outermost layer: answers for values and bars here, without the framework below."""

    def __init__(self, app: ASGIApp, records: Records) -> None:
        self._app = app
        self._records = records

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        too_large = _too_large(scope)
        route = route_of(scope["path"]) if too_large is None else "too large"
        if route is None:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        self._records.open(scope)
        status = _CLIENT_LEFT
        try:
            refused = None if too_large is None else _as_reply(problem(Request(scope), *too_large))
            answer = refused or await _answer(scope, receive)
            status = answer.status
            headers = [*answer.headers, *self._records.headers(scope)]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": answer.body})
        except ClientDisconnect:
            pass
        finally:
            self._records.close(scope, route, status, time.perf_counter() - started)


def _too_large(scope: Scope) -> tuple[int, str] | None:
    """Status and detail for a request that is larger than any honest one; None for all others."""
    if len(scope["query_string"]) > MAX_ADDRESS or len(scope["path"]) > MAX_ADDRESS:
        return 414, f"The address is longer than {MAX_ADDRESS:,} bytes"
    headers = scope["headers"]
    if len(headers) > MAX_HEADERS or max((len(value) for _, value in headers), default=0) > MAX_HEADER:
        return 431, f"A request may have {MAX_HEADERS} headers of {MAX_HEADER:,} bytes each"
    return None


async def _answer(scope: Scope, receive: Receive) -> Reply:
    """Errors included."""
    if scope["method"] not in {"GET", "HEAD"}:
        return _as_reply(problem(Request(scope), 405, "Method Not Allowed", {"Allow": "GET, HEAD"}))
    try:
        return await reply(scope, receive)
    except ClientDisconnect:
        raise
    except KalpiError as error:
        return _as_reply(respond(Request(scope), error))
    except Exception as error:  # noqa: BLE001 - logged, and told the caller in so many words
        return _as_reply(_our_fault(scope, error))


class Edge:
    """The outermost layer of all other routes."""

    def __init__(self, app: ASGIApp, records: Records) -> None:
        self._app = app
        self._records = records

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        self._records.open(scope)
        inner = _answered_as_get(scope)
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *self._records.headers(scope)]
            await send(message)

        try:
            await self._app(inner, _bounded(scope, receive), send_marked)
        except ClientDisconnect:
            status = _CLIENT_LEFT
        except Exception as error:
            fault = _our_fault(scope, error)
            if status:
                raise  # the answer has begun: all that is left is to break it off
            await fault(scope, receive, send_marked)
        finally:
            route = getattr(inner.get("route"), "path", "unmatched")
            self._records.close(scope, route, status, time.perf_counter() - started)


def _our_fault(scope: Scope, error: Exception) -> Response:
    """Logged in full; the caller is told no more than that it was ours."""
    log.error(
        "request_failed",
        request_id=scope["state"]["request_id"],
        method=scope["method"],
        path=scope["path"],
        exc_info=error,
    )
    return problem(Request(scope), 500, "Internal server error")


def _as_reply(response: Response) -> Reply:
    return Reply(response.status_code, tuple(response.raw_headers), bytes(response.body))


def _answered_as_get(scope: Scope) -> Scope:
    """HEAD is GET without the body, which the server leaves out; what costs much to read need not be read."""
    if scope["method"] != "HEAD":
        return scope
    scope["state"]["is_head"] = True
    return {**scope, "method": "GET"}


def _bounded(scope: Scope, receive: Receive) -> Receive:
    """`receive`, which raises when it is asked for more than a body may have."""
    limit = MAX_BODY if scope["path"].startswith("/v1/jobs") else MAX_SMALL_BODY
    read = 0

    async def receive_bounded() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        if read > limit:
            raise HTTPException(413, f"is longer than {limit:,} bytes")
        return message

    return receive_bounded
