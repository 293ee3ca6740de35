"""What there is to ask for: indicators and symbols."""

from bisect import bisect_right
from functools import cache
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from api.caller import Caller
from api.paging import from_token, to_token
from api.schemas.catalogue import Indicator, Indicators, Symbol, Symbols
from api.state import ServicesDep
from common.catalogue import CATALOGUE, find
from common.version import ENGINE_VERSION

router = APIRouter(tags=["catalogue"])


@router.get("/v1/indicators", response_model=Indicators)
async def indicators(_caller: Caller) -> Response:
    """Every indicator there is, whatever the caller's tier."""
    return Response(_catalogue(), media_type="application/json")


@cache
def _catalogue() -> bytes:
    """Put into bytes once: it is large and never changes."""
    listed = [Indicator.of(spec) for spec in CATALOGUE.values()]
    whole = Indicators(count=len(listed), engine_version=ENGINE_VERSION, indicators=listed)
    return whole.model_dump_json().encode()


@router.get("/v1/indicators/{name}")
async def indicator(name: str, _caller: Caller) -> Indicator:
    """One indicator: its parameters with their bounds, its outputs, its formula's source."""
    return Indicator.of(find(name))


@router.get("/v1/symbols")
async def symbols(
    _caller: Caller,
    services: ServicesDep,
    prefix: Annotated[str, Query(max_length=32, description="Only symbols that start so, in any case.")] = "",
    page_size: Annotated[int, Query(ge=1, le=1000)] = 100,
    page_token: Annotated[str | None, Query(max_length=200)] = None,
) -> Symbols:
    """The symbols of the data set in alphabetical order."""
    manifest = services.manifest.current()
    wanted = prefix.upper()
    names = [name for name in manifest.symbols if name.upper().startswith(wanted)]
    start = 0 if page_token is None else bisect_right(names, from_token(page_token))
    page = names[start : start + page_size]
    more = start + page_size < len(names)
    return Symbols(
        data_version=manifest.data_version,
        as_of=manifest.as_of,
        count=len(names),
        symbols=[
            Symbol(symbol=s.symbol, first_date=s.first_date, last_date=s.last_date, rows=s.rows)
            for s in (manifest.symbols[name] for name in page)
        ],
        next_page_token=to_token(page[-1]) if more else None,
    )
