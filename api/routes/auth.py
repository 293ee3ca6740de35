"""Accounts: register, sign in, go on, sign out, change the password."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import OAuth2PasswordRequestForm

from api.accounts import Session, close_session, open_session, replace_password, rotate
from api.burst import address_of
from api.caller import Caller, CredentialsDep, refuse_unknown, refuse_unknown_query
from api.document import body_of, problem_response
from api.schemas.accounts import Account, PasswordChange, RefreshToken, Registration, TokenPair
from api.schemas.strict import read_body
from api.state import Services, ServicesDep
from common.accounts import create_user, find_user, user_by_id, username_problem
from common.errors import Unauthenticated, Unavailable
from common.passwords import hash_password, password_matches

log = structlog.get_logger()
router = APIRouter(prefix="/v1/auth", tags=["accounts"])

T = TypeVar("T")

_PUBLIC = [Depends(refuse_unknown_query)]
_TAKEN: dict[int | str, dict[str, Any]] = {409: problem_response("The name is taken, in this or another case.")}
_FORM_FIELDS = ("grant_type", "username", "password", "scope", "client_id", "client_secret")
_MOST_WAITING_PER_THREAD = 32


@router.post("/register", status_code=201, dependencies=_PUBLIC, responses=_TAKEN)
async def register(request: Request, body: Registration, services: ServicesDep) -> Account:
    """Makes a free account; an operator may move it to another tier."""
    await services.bursts.spend_address(address_of(request.scope))
    hashed = await _hashing(services, lambda: hash_password(body.password, services.settings.bcrypt_rounds))
    user = await services.database.run(lambda c: create_user(c, body.username, hashed))
    log.info("user_registered", user_id=user.id, username=user.username)
    return Account(id=user.id, username=user.username, tier=user.tier, created_at=user.created_at)


@router.post("/token", dependencies=_PUBLIC)
async def token(
    request: Request,
    response: Response,
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    services: ServicesDep,
) -> TokenPair:
    """Signs in (OAuth2 password form)."""
    refuse_unknown((await request.form()).multi_items(), _FORM_FIELDS, "body", "a field of this form")
    await services.bursts.spend_address(address_of(request.scope))
    possible = username_problem(form.username) is None
    user = await services.database.run(lambda c: find_user(c, form.username)) if possible else None
    # An unknown user costs the same work, so the time of the answer tells nobody who exists.
    hashed = services.decoy_hash if user is None else user.hashed_password
    matches = await _hashing(services, lambda: password_matches(form.password, hashed))
    if user is None or not matches:
        log.info("sign_in_refused", username=form.username[:64])
        raise Unauthenticated("wrong username or password")
    life = services.settings.refresh_token_seconds
    session = await services.database.run(lambda c: open_session(c, user.id, life))
    log.info("signed_in", user_id=user.id)
    return _pair(services, session, response)


@router.post("/refresh", dependencies=_PUBLIC)
async def refresh(request: Request, body: RefreshToken, response: Response, services: ServicesDep) -> TokenPair:
    """A new pair for a refresh token, which is spent by it. A spent one ends the whole family."""
    await services.bursts.spend_address(address_of(request.scope))
    life = services.settings.refresh_token_seconds
    session = await services.database.run(lambda c: rotate(c, body.refresh_token, life))
    if session is None:
        log.info("refresh_refused")
        raise Unauthenticated("refresh token unknown, spent, expired or revoked")
    return _pair(services, session, response)


@router.post("/logout", status_code=204, dependencies=_PUBLIC)
async def logout(request: Request, body: RefreshToken, services: ServicesDep) -> None:
    """Ends the session the refresh token belongs to."""
    await services.bursts.spend_address(address_of(request.scope))
    session_id = await services.database.run(lambda c: close_session(c, body.refresh_token))
    if session_id is None:
        raise Unauthenticated("refresh token unknown")
    log.info("signed_out", session_id=str(session_id))


@router.post("/password", status_code=204, openapi_extra=body_of(PasswordChange))
async def password(request: Request, caller: Caller, credentials: CredentialsDep, services: ServicesDep) -> None:
    """Changes the password; every other session ends."""
    body = await read_body(request, PasswordChange)  # here, not by FastAPI: who may not come in is told so first
    user = await services.database.run(lambda c: user_by_id(c, caller.user_id))
    if not await _hashing(services, lambda: password_matches(body.current_password, user.hashed_password)):
        log.info("password_change_refused", user_id=caller.user_id)
        raise Unauthenticated("wrong current password")
    hashed = await _hashing(services, lambda: hash_password(body.new_password, services.settings.bcrypt_rounds))
    await services.database.run(lambda c: replace_password(c, user.id, hashed, UUID(credentials.session_id)))
    log.info("password_changed", user_id=user.id)


def _pair(services: Services, session: Session, response: Response) -> TokenPair:
    settings = services.settings
    response.headers["Cache-Control"] = "no-store"
    return TokenPair(
        access_token=services.tokens.issue(session.user_id, session.id, services.clock()),
        expires_in=settings.access_token_seconds,
        refresh_token=session.refresh_token,
        refresh_expires_in=settings.refresh_token_seconds,
    )


async def _hashing(services: Services, work: Callable[[], T]) -> T:
    """`work` on the bounded threads for bcrypt; Unavailable when too many wait already."""
    if services.hashing._work_queue.qsize() > _MOST_WAITING_PER_THREAD * services.settings.bcrypt_threads:  # noqa: SLF001 - the queue has no public name
        raise Unavailable("password hashing", retry_after=5)
    return await asyncio.get_running_loop().run_in_executor(services.hashing, work)
