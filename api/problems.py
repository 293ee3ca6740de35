"""Errors as `application/problem+json` (RFC 9457)."""

from collections.abc import Mapping
from math import inf
from time import monotonic

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from api.bounds import MAX_ERRORS
from api.schemas.strict import message
from common.errors import (
    Conflict,
    DataError,
    Gone,
    InvalidParameters,
    KalpiError,
    NotAcceptable,
    NotAllowed,
    NotFound,
    QuotaExceeded,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
)

log = structlog.get_logger()

_BAD_BODY = frozenset({400, 413})
"""What the framework answers to bodies that cannot be read, and `api.middleware` to those that are too long."""

_TITLES = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    409: "Conflict",
    410: "Gone",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def problem(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None, **members: object
) -> Response:
    """A problem document; members that are None are left out."""
    body = {
        "type": "about:blank",
        "title": _TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "request_id": request.scope["state"].get("request_id"),
        **{name: value for name, value in members.items() if value is not None},
    }
    return Response(orjson.dumps(body), status, dict(headers or {}), "application/problem+json")


def respond(request: Request, error: KalpiError) -> Response:  # noqa: C901, PLR0911 - one case per branch of the tree
    """The problem document of an error of ours."""
    match error:
        case Unauthenticated():
            log.info("credentials_refused", reason=error.reason, path=request.url.path)
            return problem(request, 401, "Invalid authentication credentials", {"WWW-Authenticate": "Bearer"})
        case InvalidParameters():
            errors = [{"loc": list(e.loc), "msg": e.msg} for e in error.errors]
            return problem(request, 422, "Invalid parameters", errors=errors)
        case NotFound():
            return problem(
                request,
                404,
                f"{error.kind.capitalize()} {_shortened(error.name)!r} not found",
                did_you_mean=error.did_you_mean or None,
            )
        case NotAllowed():
            return problem(request, 403, "Resource not available for your tier", required_tier=error.required_tier)
        case QuotaExceeded():
            return problem(request, 429, "Rate limit exceeded. Try again tomorrow.", _retry_after(error.retry_after))
        case TooManyRequests():
            return problem(request, 429, "Too many requests. Slow down.", _retry_after(error.retry_after))
        case Conflict():
            return problem(request, 409, str(error))
        case Gone():
            return problem(request, 410, str(error))
        case NotAcceptable():
            return problem(request, 406, str(error))
        case Unavailable():
            _tell_of(error)
            return _unavailable(request, error.retry_after)
        case DataError():
            log.error("market_data_unavailable", reason=str(error))
            return _unavailable(request, 5)
    raise error


_told: dict[str, float] = {}


def _tell_of(error: Unavailable) -> None:
    """In the log, once a second for each part: during an outage every request fails."""
    now = monotonic()
    if now - _told.get(error.part, -inf) >= 1:
        _told[error.part] = now
        log.warning("part_unavailable", part=error.part)


def _unavailable(request: Request, retry_after: int) -> Response:
    return problem(request, 503, "Service temporarily unavailable", _retry_after(retry_after))


def _retry_after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def _shortened(name: str) -> str:
    return name if len(name) <= 64 else f"{name[:64]}…"  # noqa: PLR2004 - enough to recognise it


def install(app: FastAPI) -> None:
    """Makes every error of `app` a problem document, but for faults of ours: those end at `api.middleware`."""

    @app.exception_handler(KalpiError)
    async def ours(request: Request, error: KalpiError) -> Response:
        return respond(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        field = getattr(request.scope.get("route"), "body_field", None)
        model = field.field_info.annotation if field is not None else BaseModel
        errors = [
            {"loc": [_shortened(p) if isinstance(p, str) else p for p in e["loc"]], "msg": message(e, model)}
            for e in error.errors()[:MAX_ERRORS]
        ]
        return problem(request, 422, "Invalid parameters", errors=errors)

    @app.exception_handler(HTTPException)
    async def of_the_framework(request: Request, error: HTTPException) -> Response:
        if error.status_code in _BAD_BODY:
            errors = [{"loc": ["body"], "msg": str(error.detail)}]
            return problem(request, 422, "Invalid parameters", errors=errors)
        return problem(request, error.status_code, _detail(request, error), error.headers)


def _detail(request: Request, error: HTTPException) -> str:
    if error.status_code == 404:  # noqa: PLR2004 - HTTP
        return f"Path {_shortened(request.url.path)!r} not found"
    return str(error.detail)
