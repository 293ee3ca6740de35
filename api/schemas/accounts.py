"""Wire models of accounts and tokens."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.schemas.strict import Body
from common.accounts import username_problem
from common.passwords import password_problem
from common.tiers import TierName


def _checked(problem: Callable[[str], str | None]) -> AfterValidator:
    def check(value: str) -> str:
        found = problem(value)
        if found is not None:
            raise ValueError(found)
        return value

    return AfterValidator(check)


NewPassword = Annotated[
    str, _checked(password_problem), Field(description="10 characters to 72 bytes of UTF-8, printable.")
]
NewUsername = Annotated[
    str, _checked(username_problem), Field(description="3 to 64 of A-Z a-z 0-9 . _ -, unique whatever the case.")
]


class Registration(Body):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"username": "ada", "password": "correct horse battery"}]}
    )

    username: NewUsername
    password: NewPassword


class RefreshToken(Body):
    refresh_token: str = Field(max_length=256)


class PasswordChange(Body):
    current_password: str
    new_password: NewPassword


class Account(BaseModel):
    id: int
    username: str
    tier: TierName
    created_at: datetime


class TokenPair(BaseModel):
    access_token: str
    token_type: str = "bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="Seconds the access token is good for.", examples=[1800])
    refresh_token: str
    refresh_expires_in: int = Field(description="Seconds the refresh token is good for.")


class Usage(BaseModel):
    limit: int | None = Field(description="Series a day; null when unlimited.", examples=[50])
    used: int
    remaining: int | None
    resets_at: datetime


class Allowed(BaseModel):
    indicators: list[str]
    start_date: date
    end_date: date


class Me(Account):
    usage: Usage
    allowed: Allowed
