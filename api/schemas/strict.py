"""Request bodies: what is not declared is refused; `api.problems` names the nearest declared field."""

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
