"""What every request gets, whatever its route: an id, a bound on its body, rate-limit headers, a log line, metrics."""

import time
from datetime import datetime
from uuid import uuid4

import structlog
from fastapi import Request
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import metrics
from api.admission import seconds_left
from api.bounds import MAX_BODY, MAX_SMALL_BODY
from api.problems import problem
from common.quota import Standing

log = structlog.get_logger()

_QUIET = frozenset({"/health/live", "/health/ready", "/metrics"})
"""Asked every few seconds by machines; logged only when they fail."""

_CLIENT_LEFT = 499  # nginx's name for it; nobody is there to read it


class Edge:
    """The outermost layer. Routes put the caller's `standing` into the request's state, and the headers follow."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        request_id = state["request_id"] = uuid4().hex
        inner = _answered_as_get(scope)
        started = time.perf_counter()
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(raw=message["headers"])
                headers["X-Request-ID"] = request_id
                standing = state.get("standing")
                if standing is not None:
                    _add_rate_limit(headers, standing, state["services"].clock())
            await send(message)

        try:
            await self._app(inner, _bounded(scope, receive), send_marked)
        except ClientDisconnect:
            status = _CLIENT_LEFT
        except Exception:
            log.exception("request_failed", request_id=request_id, method=scope["method"], path=scope["path"])
            if status:
                raise  # the answer has begun: all that is left is to break it off
            await problem(Request(scope), 500, "Internal server error")(scope, receive, send_marked)
        finally:
            seconds = time.perf_counter() - started
            route = getattr(inner.get("route"), "path", "unmatched")
            metrics.observe_request(scope["method"], route, status, seconds)
            if route not in _QUIET or status >= 500:  # noqa: PLR2004 - HTTP
                _log(scope, status, seconds)


def _answered_as_get(scope: Scope) -> Scope:
    """HEAD is GET without the body, which the server leaves out."""
    return {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope


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


def _log(scope: Scope, status: int, seconds: float) -> None:
    state = scope["state"]
    standing = state.get("standing")
    client = scope.get("client")
    log.info(
        "request",
        request_id=state["request_id"],
        method=scope["method"],
        path=scope["path"],
        status=status,
        milliseconds=round(seconds * 1000, 3),
        user_id=standing.user_id if standing is not None else None,
        client=client[0] if client else None,
    )


def _add_rate_limit(headers: MutableHeaders, standing: Standing, now: datetime) -> None:
    limit, remaining = standing.tier.series_a_day, standing.remaining
    if limit is None:
        return
    headers["RateLimit-Policy"] = f'"daily";q={limit};w=86400'
    headers["RateLimit"] = f'"daily";r={remaining};t={seconds_left(standing, now)}'
    headers["X-RateLimit-Limit"] = str(limit)
    headers["X-RateLimit-Remaining"] = str(remaining)
    headers["X-RateLimit-Reset"] = str(int(standing.resets_at.timestamp()))
