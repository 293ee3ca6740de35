"""What a client that follows a job sees while parts of a stack die: what it has missed, once, and the end."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import psutil
import pytest

from tests.e2e.events_kit import Desk, ended, follow, names, stream
from tests.integration.job_kit import wait_until
from tests.stack import Stack, started


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, sample_file: Path) -> Iterator[Stack]:
    """With two API processes."""
    folder = tmp_path_factory.mktemp("events") / "state"
    options = ("--data", str(sample_file), "--workers", "1", "--no-flower", "--api-processes", "2")
    with started(folder, *options) as running:
        yield running


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(stack.create_user("premium")) as client:
        yield client


@pytest.fixture
def desk(stack: Stack) -> Iterator[Desk]:
    desk = Desk(stack)
    yield desk
    desk.close()


@pytest.fixture
def job_id(client: httpx.Client, desk: Desk) -> str:
    """Two of its four parts have ended."""
    job_id = ended(client)
    desk.put_back(job_id)
    return job_id


def server_of(stack: Stack, answer: httpx.Response) -> int:
    """Id of the process at the other end."""
    port = answer.extensions["network_stream"].get_extra_info("client_addr")[1]
    pids: list[int] = stack.up["pids"]["api"]
    [pid] = [
        pid for pid in pids for c in psutil.Process(pid).net_connections("tcp") if c.raddr and c.raddr.port == port
    ]
    return pid


def until_replaced(stack: Stack, pid: int) -> None:
    wait_until(lambda: pid not in stack.up["pids"]["api"] and len(stack.up["pids"]["api"]) == 2)


def test_all_processes_tell_the_same(stack: Stack, client: httpx.Client, desk: Desk, job_id: str) -> None:
    with ExitStack() as opened:
        streams = {}
        while len(streams) < 2:
            answer, events = opened.enter_context(stream(client, job_id))
            streams[server_of(stack, answer)] = events
        first, second = streams.values()
        assert next(first) == next(second)
        desk.end_part(job_id)
        moved = next(first)
        assert next(second) == moved
        assert client.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
        assert names(first) == names(second) == ["cancelled"]


def test_the_process_that_serves_it_is_killed_and_any_other_goes_on(
    stack: Stack, client: httpx.Client, desk: Desk, job_id: str
) -> None:
    with stream(client, job_id) as (answer, events):
        _, seen, _ = next(events)
        killed = server_of(stack, answer)
        os.kill(killed, signal.SIGKILL)
        with pytest.raises(httpx.HTTPError):
            next(events)
    desk.end_part(job_id)
    with stream(client, job_id, seen) as (_, events):
        name, seen, job = next(events)
        assert (name, job["progress"]) == ("progress", 0.6)
    until_replaced(stack, killed)
    desk.end(job_id, "completed")
    [(name, seen, _)] = follow(client, job_id, seen)
    assert name == "completed"
    path = f"/v1/jobs/{job_id}/events"
    assert client.get(path, headers={"Last-Event-ID": seen}).status_code == 204


def test_a_process_that_is_to_end_ends_its_streams_whole(
    stack: Stack, client: httpx.Client, desk: Desk, job_id: str
) -> None:
    with stream(client, job_id) as (answer, events):
        _, seen, _ = next(events)
        stopped = server_of(stack, answer)
        os.kill(stopped, signal.SIGTERM)
        assert names(events) == []  # no error: the answer was complete
    desk.end(job_id, "completed")
    assert names(follow(client, job_id, seen)) == ["completed"]
    until_replaced(stack, stopped)
    assert "Exception in ASGI application" not in stack.logs


@pytest.fixture(params=["paused", "killed"])
def without_redis(request: pytest.FixtureRequest, stack: Stack, client: httpx.Client) -> Iterator[Callable[[], None]]:
    pid = stack.pid("redis")

    def away() -> None:
        os.kill(pid, signal.SIGSTOP if request.param == "paused" else signal.SIGKILL)

    yield away
    if request.param == "paused":
        os.kill(pid, signal.SIGCONT)
    else:
        wait_until(lambda: stack.pid("redis") != pid)
    wait_until(lambda: client.get("/health/ready").status_code == 200)


def test_without_redis_it_is_followed_all_the_same(
    client: httpx.Client, desk: Desk, job_id: str, without_redis: Callable[[], None]
) -> None:
    with stream(client, job_id) as (_, events):
        assert next(events)[0] == "progress"
        without_redis()
        desk.end_part(job_id)
        assert next(events)[2]["progress"] == 0.6
        desk.end(job_id, "completed")
        assert names(events) == ["completed"]
