"""Request bodies: what is not declared is refused, with the nearest declared name."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from common.catalogue.spec import unknown_name


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _known_fields_only(cls, raw: Any) -> Any:  # noqa: ANN401 - not validated yet
        if isinstance(raw, dict):
            known = list(cls.model_fields)
            for name in raw:
                if name not in known:
                    raise ValueError(unknown_name(str(name), known, "a field of this body"))
        return raw
