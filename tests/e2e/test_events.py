"""A job followed by Server-Sent Events."""

from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import create_engine, text

from cli.backends import sqlalchemy_url
from tests.stack import Stack

BODY: dict[str, Any] = {"symbols": "*", "indicators": [{"name": "sma"}, {"name": "ema"}], "format": "csv"}
FINAL = {"completed", "failed", "cancelled", "expired"}

Event = tuple[str, str, dict[str, Any]]


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(stack.create_user("premium")) as client:
        yield client


@pytest.fixture
def change(stack: Stack) -> Iterator[Any]:
    """What workers would do, one statement at a time."""
    engine = create_engine(sqlalchemy_url(stack.up["database_url"]))

    def run(statement: str, **values: object) -> None:
        with engine.begin() as connection:
            connection.execute(text(statement), values)

    yield run
    engine.dispose()


def events(answer: httpx.Response) -> Iterator[Event]:
    """Name, id and job of each."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        if not line:
            if "data" in fields:
                yield fields["event"], fields["id"], orjson.loads(fields["data"])
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            fields[name] = value


def submit(client: httpx.Client) -> str:
    job_id: str = client.post("/v1/jobs", json=BODY).json()["id"]
    return job_id


def ended(client: httpx.Client) -> str:
    job_id = submit(client)
    assert client.get(f"/v1/jobs/{job_id}", params={"wait": 30}).json()["status"] == "completed"
    return job_id


def follow(client: httpx.Client, job_id: str, seen: str | None = None) -> list[Event]:
    headers = {} if seen is None else {"Last-Event-ID": seen}
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        return list(events(answer))


def test_a_job_is_followed_to_its_end(client: httpx.Client) -> None:
    job_id = submit(client)
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
        seen = list(events(answer))
    *progress, last = seen
    assert {name for name, _, _ in progress} <= {"progress"}
    assert last[0] == "completed"
    assert last[2] == client.get(f"/v1/jobs/{job_id}").json()
    shares = [job["progress"] for _, _, job in seen]
    assert shares == sorted(shares)
    assert len({key for _, key, _ in seen}) == len(seen)


def test_an_ended_job_is_one_event_and_then_nothing(client: httpx.Client) -> None:
    job_id = ended(client)
    [(name, key, job)] = follow(client, job_id)
    assert (name, job["status"]) == ("completed", "completed")
    again = client.get(f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": key})
    assert (again.status_code, again.content) == (204, b"")
    assert [name for name, _, _ in follow(client, job_id, "nonsense")] == [name]


def test_it_is_resumed_after_the_event_seen_last(client: httpx.Client, change: Any) -> None:  # noqa: ANN401
    """The job is put back, and moved on by hand: two of four parts, three, the end."""
    job_id = ended(client)
    back = "UPDATE jobs SET status = 'running', parts_total = 4, parts_ended = 2, completed_at = NULL WHERE id = :id"
    change(back, id=job_id)
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        stream = events(answer)
        first = next(stream)
        assert (first[0], first[2]["status"], first[2]["progress"]) == ("progress", "running", 0.4)
        change("UPDATE jobs SET parts_ended = 3 WHERE id = :id", id=job_id)
        second = next(stream)
        assert second[2]["progress"] == 0.6
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": first[1]}) as answer:
        assert next(events(answer))[:2] == second[:2]  # what has been missed comes at once
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers={"Last-Event-ID": second[1]}) as answer:
        stream = events(answer)
        change("UPDATE jobs SET status = 'failed', completed_at = now() WHERE id = :id", id=job_id)
        assert [name for name, _, _ in stream] == ["failed"]  # what was seen is not told again


def test_cancelling_is_seen(client: httpx.Client, change: Any) -> None:  # noqa: ANN401
    job_id = ended(client)
    change("UPDATE jobs SET status = 'running', completed_at = NULL, expires_at = NULL WHERE id = :id", id=job_id)
    with client.stream("GET", f"/v1/jobs/{job_id}/events") as answer:
        stream = events(answer)
        assert next(stream)[0] == "progress"
        assert client.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
        assert [name for name, _, _ in stream] == ["cancelled"]


def test_an_expired_job_says_so(client: httpx.Client, change: Any) -> None:  # noqa: ANN401
    job_id = ended(client)
    change("UPDATE jobs SET expires_at = now() WHERE id = :id", id=job_id)
    assert [name for name, _, _ in follow(client, job_id)] == ["expired"]


def test_what_is_no_stream_is_a_problem(client: httpx.Client, stack: Stack) -> None:
    job_id = ended(client)
    path = f"/v1/jobs/{job_id}/events"
    assert client.get(path, headers={"Accept": "application/json"}).status_code == 406
    assert client.get(path, params={"wait": 1}).status_code == 422
    assert client.get("/v1/jobs/none/events").status_code == 404
    with stack.client() as nobody:
        assert nobody.get(path).status_code == 401
    with stack.client(stack.create_user("free")) as other:
        assert other.get(path).status_code == 404
    for accept in ("text/event-stream", "*/*", "text/*"):
        with client.stream("GET", path, headers={"Accept": accept}) as answer:
            assert answer.status_code == 200


def test_streams_of_a_user_are_bounded_and_given_back(client: httpx.Client, change: Any) -> None:  # noqa: ANN401
    job_id = ended(client)
    change("UPDATE jobs SET status = 'running', completed_at = NULL, expires_at = NULL WHERE id = :id", id=job_id)
    path = f"/v1/jobs/{job_id}/events"
    opened = []
    try:
        for _ in range(20):
            answer = client.send(client.build_request("GET", path), stream=True)
            assert answer.status_code == 200
            opened.append((answer, events(answer)))
            next(opened[-1][1])
        refused = client.get(path)
        assert (refused.status_code, refused.json()["detail"]) == (429, "Too many requests. Slow down.")
        change("UPDATE jobs SET status = 'completed', completed_at = now() WHERE id = :id", id=job_id)
        assert [[name for name, _, _ in stream] for _, stream in opened] == [["completed"]] * 20
    finally:
        for answer, _ in opened:
            answer.close()
    assert [name for name, _, _ in follow(client, job_id)] == ["completed"]
