"""A job followed by Server-Sent Events."""

from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from tests.e2e.events_kit import Desk, ended, follow, names, stream, submit
from tests.integration.job_kit import wait_until
from tests.stack import Stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(stack.create_user("premium")) as client:
        yield client


@pytest.fixture(scope="module")
def desk(stack: Stack) -> Iterator[Desk]:
    desk = Desk(stack)
    yield desk
    desk.close()


def test_a_job_is_followed_to_its_end(client: httpx.Client) -> None:
    job_id = submit(client)
    with stream(client, job_id) as (answer, events):
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
        assert "Content-Length" not in answer.headers
        assert "Content-Encoding" not in answer.headers
        assert "RateLimit-Policy" not in answer.headers  # unlimited
        *progress, last = events
    assert set(names(progress)) <= {"progress"}
    assert last[0] == "completed"
    assert last[2] == client.get(f"/v1/jobs/{job_id}").json()
    shares = [job["progress"] for _, _, job in (*progress, last)]
    assert shares == sorted(shares)
    ids = [int(key) for _, key, _ in (*progress, last)]
    assert ids == sorted(set(ids))


def test_an_ended_job_is_one_event_and_then_nothing(client: httpx.Client, desk: Desk) -> None:
    job_id = ended(client)
    [(name, key, job)] = follow(client, job_id)
    assert (name, job["status"]) == ("completed", "completed")
    for garbage in ("nonsense", "", "-1", "9" * 400, f"{key}.0"):
        assert names(follow(client, job_id, garbage)) == [name]
    again = {"url": f"/v1/jobs/{job_id}/events", "headers": {"Last-Event-ID": key}}
    answer = client.get(**again)  # type: ignore[arg-type]
    assert (answer.status_code, answer.content) == (204, b"")
    desk.change(job_id, "expires_at = now()")
    assert names(follow(client, job_id)) == ["expired"]
    assert client.get(**again).status_code == 204  # type: ignore[arg-type]  # it has had its end


def test_it_is_resumed_after_the_event_seen_last(client: httpx.Client, desk: Desk) -> None:
    job_id = ended(client)
    desk.put_back(job_id)
    with stream(client, job_id) as (_, events):
        first = next(events)
        assert (first[0], first[2]["status"], first[2]["progress"]) == ("progress", "running", 0.4)
        desk.end_part(job_id)
        second = next(events)
        assert second[2]["progress"] == 0.6
    with stream(client, job_id, first[1]) as (_, events):
        assert next(events) == second  # what was missed comes at once
    with stream(client, job_id, second[1]) as (_, events):
        desk.end(job_id, "failed")
        assert names(events) == ["failed"]  # what was seen is not told again


def test_cancelling_is_seen(client: httpx.Client, desk: Desk) -> None:
    job_id = ended(client)
    desk.put_back(job_id)
    with stream(client, job_id) as (_, events):
        assert next(events)[0] == "progress"
        assert client.post(f"/v1/jobs/{job_id}/cancel").status_code == 202
        assert names(events) == ["cancelled"]


def test_what_is_no_stream_is_a_problem(client: httpx.Client, stack: Stack) -> None:
    job_id = ended(client)
    path = f"/v1/jobs/{job_id}/events"
    for accept in ("application/json", "text/event-stream;q=0"):
        refused = client.get(path, headers={"Accept": accept})
        assert (refused.status_code, refused.headers["Content-Type"]) == (406, "application/problem+json")
    assert client.get(path, params={"wait": 1}).status_code == 422
    assert client.get("/v1/jobs/none/events").status_code == 404
    with stack.client() as nobody:
        assert nobody.get(path).status_code == 401
    with stack.client(stack.create_user("free")) as other:
        assert other.get(path).status_code == 404
    for accept in ("text/event-stream", "*/*", "text/*", ""):
        assert client.get(path, headers={"Accept": accept}).status_code == 200


def test_following_costs_nothing(stack: Stack) -> None:
    with stack.client(stack.create_user("pro")) as client:
        job_id = ended(client)
        used = client.get("/v1/me").json()["usage"]["used"]
        with stream(client, job_id) as (answer, events):
            assert int(answer.headers["X-RateLimit-Remaining"]) == 500 - used
            assert names(events) == ["completed"]
        assert client.get("/v1/me").json()["usage"]["used"] == used


def test_streams_of_a_user_are_bounded_and_one_whose_client_left_is_noticed(client: httpx.Client, desk: Desk) -> None:
    job_id = ended(client)
    desk.put_back(job_id)
    with ExitStack() as opened:

        def one_more() -> httpx.Response:
            request = client.build_request("GET", f"/v1/jobs/{job_id}/events")
            answer = client.send(request, stream=True)
            opened.callback(answer.close)
            return answer

        answers = [one_more() for _ in range(20)]
        assert {answer.status_code for answer in answers} == {200}
        refused = one_more()
        refused.read()
        assert (refused.status_code, refused.json()["detail"]) == (429, "Too many requests. Slow down.")
        assert int(refused.headers["Retry-After"]) >= 1
        for answer in answers[:5]:
            answer.close()
        for _ in range(5):
            wait_until(lambda: one_more().status_code == 200)
        assert one_more().status_code == 429
    desk.end(job_id, "completed")
