"""Wire models of webhooks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row

from common.webhook_secrets import WebhookSecret
from common.webhooks import message_id


class Secret(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDazf1QvXEM/8=",
                    "created_at": "2025-10-01T08:59:00.000000Z",
                }
            ]
        }
    )

    secret: str = Field(description="What messages are signed with, as libraries for Standard Webhooks take it.")
    created_at: datetime

    @classmethod
    def of(cls, secret: WebhookSecret) -> "Secret":
        return cls(secret=secret.text, created_at=secret.created_at)


class Attempt(BaseModel):
    at: datetime
    status: int | None = Field(description="Of the receiver's answer; null when there was none.")
    detail: str
    milliseconds: int


class Delivery(BaseModel):
    id: str = Field(description="`webhook-id` of the message, in every attempt.")
    url: str
    event: Literal["job.completed", "job.failed", "job.cancelled"]
    state: Literal["pending", "delivered", "failed"]
    created_at: datetime
    next_attempt_at: datetime | None = Field(description="Null when there will be none.")
    attempts: list[Attempt] = Field(description="Oldest first; of very many the latest 100.")

    @classmethod
    def of(cls, row: Row[Any]) -> "Delivery":
        return cls(
            id=message_id(row.id),
            url=row.url,
            event=row.event,
            state=row.state,
            created_at=row.created_at,
            next_attempt_at=row.due_at,
            attempts=row.attempts,
        )


class Deliveries(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "deliveries": [
                        {
                            "id": "msg_5f3f0a5b1f6b4c53a9f2a6a7cf0f0d0e",
                            "url": "https://example.com/kalpi",
                            "event": "job.completed",
                            "state": "delivered",
                            "created_at": "2025-10-01T09:00:02.100000Z",
                            "next_attempt_at": None,
                            "attempts": [
                                {
                                    "at": "2025-10-01T09:00:03.000000Z",
                                    "status": 503,
                                    "detail": "answered 503 Service Unavailable",
                                    "milliseconds": 41,
                                },
                                {
                                    "at": "2025-10-01T09:00:08.600000Z",
                                    "status": 204,
                                    "detail": "answered 204 No Content",
                                    "milliseconds": 38,
                                },
                            ],
                        }
                    ]
                }
            ]
        }
    )

    deliveries: list[Delivery]

    @classmethod
    def of(cls, rows: Sequence[Row[Any]]) -> "Deliveries":
        return cls(deliveries=[Delivery.of(row) for row in rows])
