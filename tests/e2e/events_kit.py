"""What tests of events share: jobs that are put where a test wants them, and streams that are read event by event."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import httpx
import orjson
from sqlalchemy import create_engine, text

from cli.backends import sqlalchemy_url
from tests.stack import Stack

BODY: dict[str, Any] = {"symbols": "*", "indicators": [{"name": "sma"}, {"name": "ema"}], "format": "csv"}

Event = tuple[str, str, dict[str, Any]]
"""Name, id and job."""


def submit(client: httpx.Client) -> str:
    job_id: str = client.post("/v1/jobs", json=BODY).json()["id"]
    return job_id


def ended(client: httpx.Client) -> str:
    job_id = submit(client)
    assert client.get(f"/v1/jobs/{job_id}", params={"wait": 30}).json()["status"] == "completed"
    return job_id


class Desk:
    """Does what workers would do, one statement at a time."""

    def __init__(self, stack: Stack) -> None:
        self._engine = create_engine(sqlalchemy_url(stack.up["database_url"]))

    def close(self) -> None:
        self._engine.dispose()

    def change(self, job_id: str, changes: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(f"UPDATE jobs SET {changes} WHERE id = :id"), {"id": UUID(job_id)})

    def put_back(self, job_id: str) -> None:
        """An ended job: two of its four parts have ended now, and nobody works at the others."""
        self.change(
            job_id,
            "status = 'running', parts_total = 4, parts_ended = 2, completed_at = NULL, expires_at = NULL",
        )

    def end_part(self, job_id: str) -> None:
        self.change(job_id, "parts_ended = parts_ended + 1")

    def end(self, job_id: str, status: str) -> None:
        self.change(job_id, f"status = '{status}', completed_at = now(), expires_at = now() + interval '1 day'")


@contextmanager
def stream(
    client: httpx.Client, job_id: str, seen: str | None = None
) -> Iterator[tuple[httpx.Response, Iterator[Event]]]:
    """An open stream: its answer, and its events as they come."""
    headers = {} if seen is None else {"Last-Event-ID": seen}
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        yield answer, events(answer)


def follow(client: httpx.Client, job_id: str, seen: str | None = None) -> list[Event]:
    with stream(client, job_id, seen) as (_, found):
        return list(found)


def names(found: Iterator[Event] | list[Event]) -> list[str]:
    return [name for name, _, _ in found]


def events(answer: httpx.Response) -> Iterator[Event]:
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if not line:
            if "data" in fields:
                yield fields["event"], fields["id"], orjson.loads(fields["data"])
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value
