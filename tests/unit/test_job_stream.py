"""The events of a job, as they are sent to a client that takes them in its own time, or leaves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
import redis.asyncio
from starlette.types import Message

from api import job_stream
from api.accepted import Accepted
from api.job_stream import JobStream, Scene, job_events
from api.job_watch import JobWatch, Moment
from api.open_streams import MAX_STREAMS, OpenStreams
from api.schemas.jobs import Job
from common.errors import KalpiError, NotFound, TooManyRequests, Unavailable
from common.jobs import JobState

ID = uuid4()
JOB = Job.of(Accepted(ID, datetime.now(UTC), "csv", 3, ()))
USER = 7


class Play:
    """A job that goes on from scene to scene, and a watch that sees it."""

    def __init__(self) -> None:
        self.go_to(1)
        self.faults: list[KalpiError] = []
        self.shown = 0
        self.watch = JobWatch(self._look, redis.asyncio.Redis())
        self.open = OpenStreams()

    def go_to(self, step: int, status: JobState = JobState.RUNNING) -> None:
        moment = Moment(step, has_ended=status != JobState.RUNNING)
        self.now = Scene(ID, moment, JOB.model_copy(update={"status": status, "progress": step / 100}))

    async def _look(self, _ids: object) -> dict[Any, Moment]:
        return {ID: self.now.moment}

    async def show(self) -> Scene:
        self.shown += 1
        if self.faults:
            raise self.faults.pop()
        return self.now

    def stream(self, seen: str | None = None, keep_alive: float = 60.0) -> JobStream:
        events = job_events(self.watch, self.show, self.now, seen, keep_alive=keep_alive)
        return JobStream(events, self.open.one(USER))

    def places_left(self) -> int:
        try:
            with self.open.one(USER):
                return 1 + self.places_left()
        except TooManyRequests:
            return 0


class Client:
    """Takes what is sent while it is willing, and may leave."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.sending = asyncio.Event()  # something is on its way
        self.willing = asyncio.Event()
        self.willing.set()
        self.left = asyncio.Event()
        self.status = 0

    async def send(self, message: Message) -> None:
        self.sending.set()
        await self.willing.wait()
        self.sending.clear()
        self.status = message.get("status", self.status)
        self.bodies.append(message.get("body", b""))

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    @property
    def names(self) -> list[str]:
        """Of the events, with their ids."""
        blocks = [dict(line.split(": ", 1) for line in body.decode().splitlines() if line) for body in self.bodies]
        return [f"{block['event']} {block['id']}" for block in blocks if "event" in block]

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(10):
            while self.names != list(names):  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)


@asynccontextmanager
async def served(stream: JobStream) -> AsyncIterator[tuple[Client, asyncio.Task[None]]]:
    client = Client()
    serving = asyncio.create_task(stream({"type": "http", "asgi": {}}, client.receive, client.send))
    try:
        async with asyncio.timeout(30):
            yield client, serving
    finally:
        serving.cancel()
        await asyncio.wait([serving])


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(job_stream, "_PACE_SECONDS", 0.001)


def test_each_move_is_an_event_and_the_end_the_last() -> None:
    async def scenario() -> None:
        play = Play()
        async with served(play.stream()) as (client, serving):
            await client.until("progress 1")
            play.go_to(2)
            await client.until("progress 1", "progress 2")
            play.go_to(9, JobState.FAILED)
            await serving
            assert client.names == ["progress 1", "progress 2", "failed 9"]
            assert client.bodies[1] == b"retry: 2000\n\n"
            expected = play.now.job.model_dump_json(exclude_unset=True)
            assert client.bodies[-2] == f"event: failed\nid: 9\ndata: {expected}\n\n".encode()

    asyncio.run(scenario())


def test_what_a_slow_client_misses_is_not_kept_for_it() -> None:
    async def scenario() -> None:
        play = Play()
        async with served(play.stream()) as (client, serving):
            await client.until("progress 1")
            client.willing.clear()
            play.go_to(2)
            await client.sending.wait()
            shown = play.shown
            for step in range(3, 50):
                play.go_to(step)
                await asyncio.sleep(0.001)
            assert play.shown == shown  # nothing is made that nobody takes
            client.willing.set()
            await client.until("progress 1", "progress 2", "progress 49")
            play.go_to(99, JobState.COMPLETED)
            await serving
        assert client.names == ["progress 1", "progress 2", "progress 49", "completed 99"]

    asyncio.run(scenario())


@pytest.mark.parametrize("willing", [True, False])
def test_the_work_ends_when_the_client_leaves_be_it_in_the_middle_of_sending(willing: bool) -> None:
    async def scenario() -> None:
        play = Play()
        stream = play.stream()
        assert play.places_left() == MAX_STREAMS
        async with served(stream) as (client, serving):
            await client.until("progress 1")
            assert play.places_left() == MAX_STREAMS - 1
            if not willing:
                client.willing.clear()
                play.go_to(2)
                await client.sending.wait()
            client.left.set()
            await serving
        assert play.places_left() == MAX_STREAMS
        assert not play.watch._waiting
        with pytest.raises(StopAsyncIteration):
            await anext(stream.body_iterator.__aiter__())

    asyncio.run(scenario())


def test_a_stream_too_many_is_refused_before_it_begins() -> None:
    async def scenario() -> None:
        play = Play()
        places = [play.open.one(USER) for _ in range(MAX_STREAMS)]
        for place in places:
            place.__enter__()
        async with served(play.stream()) as (client, serving):
            with pytest.raises(TooManyRequests):
                await serving
            assert client.bodies == []
        with play.open.one(USER + 1):
            places.pop().__exit__(None, None, None)
        assert play.places_left() == 1

    asyncio.run(scenario())


def test_where_nothing_happens_comments_keep_the_connection_alive() -> None:
    async def scenario() -> None:
        play = Play()
        async with served(play.stream(seen="1", keep_alive=0.001)) as (client, _):
            while len(client.bodies) < 5:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)
            assert client.names == []
            assert all(body.startswith(b":") and body.endswith(b"\n\n") for body in client.bodies[2:])

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("fault", "then"),
    [(Unavailable("postgresql"), ["progress 1", "completed 9"]), (NotFound("job", str(ID)), ["progress 1"])],
)
def test_it_outlives_postgresql_but_not_the_job(fault: KalpiError, then: list[str]) -> None:
    async def scenario() -> None:
        play = Play()
        play.faults = [fault]
        async with served(play.stream()) as (client, serving):
            await client.until("progress 1")
            play.go_to(9, JobState.COMPLETED)
            await serving
        assert client.names == then
        assert play.faults == []

    asyncio.run(scenario())


def test_it_ends_whole_when_the_process_is_about_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(close: bool) -> list[bytes]:
        play = Play()
        async with served(play.stream()) as (client, serving):
            await client.until("progress 1")
            if close:
                play.watch.let_go()
            else:
                play.go_to(2)
            await serving
        return client.bodies

    assert asyncio.run(scenario(close=True))[3:] == [b""]
    monkeypatch.setattr(job_stream, "_LONGEST_SECONDS", 0.0)
    assert asyncio.run(scenario(close=False))[3:] == [b""]
