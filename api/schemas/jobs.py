"""Wire models of jobs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Row

from api.accepted import Accepted
from api.bounds import MAX_SERIES, MAX_SYMBOLS
from api.idempotency import MAX_KEY
from common.catalogue import ALIASES
from common.jobs import JobState, TableFormat
from common.query import Interval, Warmup

_ID = "0b0c3d39-8f0e-4f0f-9d3f-3b6e1c1f0a51"


class SeriesCount(BaseModel):
    total: int = Field(description="Symbols × series per symbol.")
    completed: int
    failed: int


class SeriesFault(BaseModel):
    symbol: str | None = Field(description="Null where the fault is the whole job's.")
    indicator: str | None = Field(description="The series, as its columns are named.")
    detail: str


class Urls(BaseModel):
    self: str
    cancel: str
    events: str
    result: str

    @classmethod
    def of(cls, job_id: UUID) -> "Urls":
        here = f"/v1/jobs/{job_id}"
        return cls(self=here, cancel=f"{here}/cancel", events=f"{here}/events", result=f"{here}/result")


class Job(BaseModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "status": "running",
                    "created_at": "2025-10-01T09:00:00.000000Z",
                    "started_at": "2025-10-01T09:00:00.050000Z",
                    "completed_at": None,
                    "expires_at": None,
                    "format": "parquet",
                    "series": {"total": 8, "completed": 4, "failed": 0},
                    "cost": 8,
                    "progress": 0.333,
                    "errors": [],
                    "urls": {
                        "self": f"/v1/jobs/{_ID}",
                        "cancel": f"/v1/jobs/{_ID}/cancel",
                        "events": f"/v1/jobs/{_ID}/events",
                        "result": f"/v1/jobs/{_ID}/result",
                    },
                }
            ]
        }
    )

    id: str
    status: JobState
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None = Field(description="When it ended, however it ended.")
    expires_at: datetime | None
    format: TableFormat
    series: SeriesCount
    cost: int = Field(description="Series counted against the daily limit, without those given back.")
    progress: float = Field(description="From 0 to 1.")
    errors: list[SeriesFault] = Field(description="Series that failed; the first 1,000, in a list of jobs 100.")
    urls: Urls
    warnings: list[str] = Field(
        default=[], description="What is no error and yet may surprise; left out when there is nothing."
    )

    @classmethod
    def of(cls, row: Row[Any] | Accepted) -> "Job":
        return cls(
            id=str(row.id),
            status=row.status,
            created_at=row.created_at,
            started_at=row.started_at,
            completed_at=row.completed_at,
            expires_at=row.expires_at,
            format=TableFormat(row.format),
            series=SeriesCount(total=row.cost, completed=row.series_completed, failed=row.series_failed),
            cost=row.cost - row.refunded,
            progress=_progress(row),
            errors=row.errors or [],
            urls=Urls.of(row.id),
            **({"warnings": list(row.warnings)} if row.warnings else {}),
        )


class Jobs(BaseModel):
    jobs: list[Job]
    next_page_token: str | None


class Estimate(BaseModel):
    cost: int = Field(description="Series the job would be charged.", examples=[8])
    series: int = Field(description="Per symbol.", examples=[4])
    rows: int = Field(description="Of the result; an estimate when a window cuts the data.", examples=[1512])
    remaining_after: int | None = Field(description="Null when unlimited.", examples=[42])


def _progress(row: Row[Any] | Accepted) -> float:
    """Share of the parts that have ended, the joining of their pieces counted as one."""
    if row.status in (JobState.COMPLETED, JobState.FAILED, JobState.EXPIRED):
        return 1.0
    share: float = row.parts_ended / (row.parts_total + (row.parts_total > 1))
    return round(share, 3)


_VALUE = {"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "string"}, {"type": "boolean"}]}

_BODY: dict[str, Any] = {
    "type": "object",
    "required": ["symbols", "indicators"],
    "additionalProperties": False,
    "properties": {
        "symbols": {
            "description": f'Up to {MAX_SYMBOLS:,} symbols of GET /v1/symbols, or "*" for all.',
            "oneOf": [
                {"type": "array", "items": {"type": "string"}, "minItems": 1},
                {"type": "string", "enum": ["*"]},
            ],
        },
        "indicators": {
            "description": f"Up to {MAX_SERIES} series per symbol.",
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string", "enum": list(ALIASES)},
                    "params": {
                        "description": "A list as a value is a grid: every combination becomes a series.",
                        "type": "object",
                        "additionalProperties": {
                            "oneOf": [_VALUE, {"type": "array", "items": _VALUE, "minItems": 1}],
                        },
                    },
                    "as": {
                        "description": "Name of the column; a grid adds the values that differ.",
                        "type": "string",
                        "pattern": "^[A-Za-z0-9_.-]{1,64}$",
                    },
                },
            },
        },
        "start_date": {"type": "string", "format": "date", "description": "By default the tier's first day."},
        "end_date": {"type": "string", "format": "date", "description": "By default the data set's last day."},
        "interval": {"type": "string", "enum": list(Interval), "default": "1d"},
        "warmup": {"type": "string", "enum": list(Warmup), "default": "full"},
        "include_ohlcv": {"type": "boolean", "default": False},
        "format": {"type": "string", "enum": list(TableFormat), "default": "parquet"},
        "webhook_url": {
            "type": "string",
            "format": "uri",
            "description": "Is told of the end of the job, by Standard Webhooks.",
        },
    },
}

SUBMIT_OPENAPI: dict[str, Any] = {
    "parameters": [
        {
            "name": "Prefer",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "example": "wait=5"},
            "description": "`wait=N` waits N seconds (0 to 60) for the job to end.",
        },
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY, "example": "nightly-2025-10-01"},
            "description": "For 24 hours the same key with the same body is the same job, however often it is sent.",
        },
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _BODY,
                "example": {
                    "symbols": ["RELIANCE", "TCS"],
                    "indicators": [{"name": "sma", "params": {"period": [10, 20, 50]}}, {"name": "ema", "as": "trend"}],
                    "format": "parquet",
                },
            }
        },
    },
}

RESULT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The table, in the format the job asked for.",
        "content": {form.media_type: {"schema": {"type": "string", "format": "binary"}} for form in TableFormat},
        "headers": {
            "ETag": {"schema": {"type": "string"}},
            "Content-Disposition": {"schema": {"type": "string"}},
        },
    },
    206: {"description": "The part of it that `Range` asks for."},
    304: {"description": "`If-None-Match` names this result."},
    409: {"description": "The job has no result, or none yet."},
    410: {"description": "The job has expired."},
}
