"""Wire model of errors."""

from pydantic import BaseModel, Field


class Fault(BaseModel):
    loc: list[str | int] = Field(examples=[["query", "period"]])
    msg: str = Field(examples=["'0' is not between 2 and 100000"])


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["Invalid parameters"])
    request_id: str = Field(examples=["5b6c3dc92fde4fcebf87999c9bf2cbf8"])
    errors: list[Fault] | None = None
    required_tier: str | None = None
    did_you_mean: list[str] | None = None
