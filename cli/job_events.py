"""Follows a job: by its events where they are to be had, else by asking how it stands."""

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from cli.client import Client
from common.jobs import ENDED

Job = dict[str, Any]
"""As the API has it."""

_LOOK_SECONDS = 2
"""How long a question waits for the end, and so what is known may lag behind without events."""

_SILENCE = httpx.Timeout(10, read=45)
"""Three times the longest pause between two signs of life in a stream."""

_NO_EVENTS = frozenset({404, 405, 406, 501})
"""What a server without events answers. Whether it is the job that is not there, the question tells."""


def settled(job: Job) -> int:
    """The series that will not change any more."""
    completed, failed = job["series"]["completed"], job["series"]["failed"]
    return int(completed + failed)


def follow(client: Client, path: str) -> Iterator[Job]:
    """The job at `path` whenever there is news of it, at the last its end."""
    with closing(_news(client, path)) as news:
        for job in news:
            yield job
            if job["status"] in ENDED:
                return


def _news(client: Client, path: str) -> Generator[Job]:
    """Without an end. Between two streams is a question, which is as patient as any."""
    stream = _Stream(client, path)
    while True:
        yield from stream.jobs()
        yield client.ask("GET", path, params={"wait": _LOOK_SECONDS}).json()


class _Stream:
    """The job's events; the next connection goes on where the last one broke."""

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = f"{path}/events"
        self._heard = ""
        self._there = True

    def jobs(self) -> Iterator[Job]:
        """Ends with the connection, at once where there are no events."""
        if not self._there:
            return
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if self._heard:
            headers["Last-Event-ID"] = self._heard
        try:
            with self._client.stream(self._path, headers=headers, timeout=_SILENCE) as response:
                self._there = response.status_code not in _NO_EVENTS
                if response.headers.get("Content-Type", "").startswith("text/event-stream"):
                    for event in read_events(response.iter_lines()):
                        self._heard = event.id or self._heard
                        yield orjson.loads(event.data)
        except httpx.RequestError:
            return


@dataclass(frozen=True, slots=True)
class Event:
    """One of a stream of Server-Sent Events; `id` is empty where none was sent."""

    name: str
    data: str
    id: str


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """The events of a stream, by the rules of HTML, 9.2.6; one that breaks off is none."""
    name, data, key = "message", list[str](), ""
    for line in lines:
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                name = value
            case "data":
                data.append(value)
            case "id":
                key = value
        if not line:
            if data:
                yield Event(name, "\n".join(data), key)
            name, data, key = "message", [], ""
