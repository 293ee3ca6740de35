"""The authenticated caller of a request."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from fastapi.security import OAuth2PasswordBearer

from api.burst import address_of
from api.security import Credentials
from api.state import ServicesDep
from common.catalogue.spec import unknown_name
from common.errors import FieldError, InvalidParameters
from common.quota import Standing

# Only for the OpenAPI document and its "Authorize" button; `credentials` reads the header itself.
_scheme = OAuth2PasswordBearer(tokenUrl="/v1/auth/token", refreshUrl="/v1/auth/refresh", auto_error=False)


# async, though it awaits nothing: FastAPI would send a plain function to a thread.
async def credentials(
    request: Request, services: ServicesDep, _token: Annotated[str | None, Depends(_scheme)] = None
) -> Credentials:
    """What the request's token proves on its own. Raises Unauthenticated."""
    return services.tokens.read(request.headers.get("authorization"), services.clock())


CredentialsDep = Annotated[Credentials, Depends(credentials)]


async def standing(request: Request, services: ServicesDep, credentials: CredentialsDep) -> Standing:
    """The caller as PostgreSQL knows them now; nothing is charged. Their rate-limit headers are set.

    Raises Unauthenticated, InvalidParameters for the query, then TooManyRequests.
    """
    found = await services.admissions.standing(credentials.session_id)
    request.scope["state"]["standing"] = found
    await refuse_unknown_query(request)
    await services.bursts.spend(found.user_id, found.tier.rank, address_of(request.scope))
    return found


Caller = Annotated[Standing, Depends(standing)]


async def refuse_unknown_query(request: Request) -> None:
    """Raises InvalidParameters for query parameters the route does not declare, or that come twice."""
    route = request.scope["route"]
    known = [f.alias for f in route.dependant.query_params] if isinstance(route, APIRoute) else []
    refuse_unknown(request.query_params.multi_items(), known, "query", "a query parameter of this path")


def refuse_unknown(words: Iterable[tuple[str, object]], known: Sequence[str], loc: str, what: str) -> None:
    """Raises InvalidParameters for names that are not `known`, or that come twice."""
    counts = Counter(name for name, _ in words)
    errors = [FieldError((loc, name), unknown_name(name, list(known), what)) for name in counts if name not in known]
    errors += [FieldError((loc, name), "is given more than once") for name, count in counts.items() if count > 1]
    if errors:
        raise InvalidParameters(errors)
