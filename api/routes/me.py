"""The caller's own account."""

from fastapi import APIRouter

from api.caller import Caller
from api.schemas.accounts import Allowed, Me, Usage
from api.state import ServicesDep
from common.accounts import user_by_id
from common.catalogue import CATALOGUE
from common.tiers import TIERS

router = APIRouter(tags=["accounts"])


@router.get("/v1/me")
async def me(caller: Caller, services: ServicesDep) -> Me:
    """Who the token belongs to, what they have used today and what they may ask for."""
    as_of = services.manifest.current().as_of
    user = await services.database.run(lambda c: user_by_id(c, caller.user_id))
    return Me(
        id=user.id,
        username=user.username,
        tier=caller.tier.name,
        created_at=user.created_at,
        usage=Usage(
            limit=caller.tier.series_a_day,
            used=caller.used,
            remaining=caller.remaining,
            resets_at=caller.resets_at,
        ),
        allowed=Allowed(
            indicators=[s.name for s in CATALOGUE.values() if TIERS[s.tier].rank <= caller.tier.rank],
            start_date=caller.tier.window_start(as_of),
            end_date=as_of,
        ),
    )
