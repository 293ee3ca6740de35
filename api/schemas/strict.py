"""Request bodies: what is not declared is refused, with the nearest declared field."""

from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, ValidationError

from common.catalogue.spec import unknown_name


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


Model = TypeVar("Model", bound=Body)


async def read_body(request: Request, model: type[Model]) -> Model:
    """The request's body as `model`, for routes that check the caller before they read. Raises as FastAPI does."""
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError(
            [{"loc": ("body", *e["loc"]), "msg": message(e, model), "type": "value_error"} for e in error.errors()]
        ) from None


def message(error: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Pydantic's words, but for unknown fields: those are told the nearest known one."""
    if error["type"] == "extra_forbidden":
        return unknown_name(str(error["loc"][-1]), list(model.model_fields), "a field of this body")
    return str(error["msg"]).removeprefix("Value error, ")
