"""Webhooks over HTTP: from a job to a message that its receiver verifies."""

import re
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import create_engine, text

from cli.backends import sqlalchemy_url
from tests.integration.job_kit import wait_until
from tests.integration.webhook_kit import Target, receiving, status
from tests.stack import ROOT, Stack

BODY: dict[str, Any] = {"symbols": ["SYN001"], "indicators": [{"name": "sma"}], "format": "csv"}
SECRET = "/v1/webhooks/secret"


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(stack.create_user()) as client:
        yield client


@pytest.fixture
def target() -> Iterator[Target]:
    with receiving() as opened:
        yield opened


def documented_verify() -> Callable[..., None]:
    """As docs/webhooks.md shows it."""
    [code] = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/webhooks.md").read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    verify: Callable[..., None] = names["verify"]
    return verify


def ended(client: httpx.Client, url: str) -> dict[str, Any]:
    """A job with that webhook."""
    answer = client.post("/v1/jobs", json=BODY | {"webhook_url": url}, headers={"Prefer": "wait=30"})
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    return job


def delivery(client: httpx.Client, job_id: str) -> dict[str, Any]:
    [only] = client.get(f"/v1/jobs/{job_id}/deliveries").json()["deliveries"]
    assert isinstance(only, dict)
    return only


def delivery_in(client: httpx.Client, job_id: str, state: str) -> dict[str, Any]:
    wait_until(lambda: delivery(client, job_id)["state"] == state)
    return delivery(client, job_id)


def test_a_job_tells_its_end_and_the_documented_receiver_believes_it(client: httpx.Client, target: Target) -> None:
    job = ended(client, target.url)
    [message] = wait_until(lambda: target.received)
    secret = client.get(SECRET).json()["secret"]
    verify = documented_verify()
    verify(secret, message.headers, message.body)
    for headers, body in (
        (message.headers, message.body + b" "),
        (message.headers | {"webhook-id": "msg_other"}, message.body),
        (message.headers | {"webhook-timestamp": str(int(message.headers["webhook-timestamp"]) - 301)}, message.body),
        (message.headers | {"webhook-signature": "v1,AAAA v1a,AAAA"}, message.body),
    ):
        with pytest.raises(ValueError, match=r"the (message|signature) is"):
            verify(secret, headers, body)
    assert message.is_signed_with(secret)
    said = httpx.Response(200, content=message.body).json()
    assert (said["type"], said["timestamp"]) == ("job.completed", job["completed_at"])
    assert said["data"] == {
        name: job[name] if name != "urls" else {"self": job["urls"]["self"], "result": job["urls"]["result"]}
        for name in ("id", "status", "created_at", "started_at", "completed_at", "expires_at", "format", "series",
                     "cost", "urls")
    }  # fmt: skip
    shown = delivery_in(client, job["id"], "delivered")
    assert list(shown) == ["id", "url", "event", "state", "created_at", "next_attempt_at", "attempts"]
    assert (shown["id"], shown["url"], shown["event"]) == (message.id, target.url, "job.completed")
    assert shown["next_attempt_at"] is None
    [attempt] = shown["attempts"]
    assert list(attempt) == ["at", "status", "detail", "milliseconds"]
    assert (attempt["status"], attempt["detail"]) == (204, "answered 204 No Content")


def test_a_message_that_was_given_up_is_sent_again_by_hand(client: httpx.Client) -> None:
    with receiving(status(410), status(204)) as target:
        job_id = ended(client, target.url)["id"]
        failed = delivery_in(client, job_id, "failed")
        answer = client.post(f"/v1/jobs/{job_id}/deliveries/{failed['id']}/retry")
        assert answer.status_code == 202
        assert (answer.json()["id"], answer.json()["state"]) == (failed["id"], "pending")
        assert answer.json()["next_attempt_at"] is not None
        again = delivery_in(client, job_id, "delivered")
    assert [attempt["status"] for attempt in again["attempts"]] == [410, 204]
    assert len({(message.id, message.body) for message in target.received}) == 1


def test_what_is_pending_is_not_sent_again_by_hand(stack: Stack, client: httpx.Client) -> None:
    with receiving(status(500), status(410)) as target:
        job_id = ended(client, target.url)["id"]
        wait_until(lambda: delivery(client, job_id)["attempts"])
        pending = delivery(client, job_id)
        assert pending["state"] == "pending"
        assert pending["next_attempt_at"] > pending["attempts"][0]["at"]
        answer = client.post(f"/v1/jobs/{job_id}/deliveries/{pending['id']}/retry")
        assert answer.status_code == 409
        assert answer.json()["detail"] == f"Delivery {pending['id']} is pending and will be sent anyway"
        make_due(stack, job_id)
        delivery_in(client, job_id, "failed")


def make_due(stack: Stack, job_id: str) -> None:
    engine = create_engine(sqlalchemy_url(stack.up["database_url"]))
    with engine.begin() as connection:
        connection.execute(text("UPDATE webhook_deliveries SET due_at = now() WHERE job_id = :id"), {"id": job_id})
    engine.dispose()


def test_secrets_are_each_users_own_and_rotate(stack: Stack, client: httpx.Client, target: Target) -> None:
    with stack.client(stack.create_user()) as other:
        first = other.get(SECRET)
        assert (first.status_code, first.headers["Cache-Control"]) == (200, "no-store")
        assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", first.json()["secret"])
        assert other.get(SECRET).json() == first.json()
        second = other.post(SECRET)
        assert (second.status_code, second.headers["Cache-Control"]) == (201, "no-store")
        assert other.get(SECRET).json() == second.json()
        assert second.json()["created_at"] > first.json()["created_at"]
        ended(other, target.url)
        [message] = wait_until(lambda: target.received)
        assert other.get("/v1/me").json()["usage"]["used"] == 1  # the job alone
    assert message.is_signed_with(first.json()["secret"])
    assert message.is_signed_with(second.json()["secret"])
    assert not message.is_signed_with(client.get(SECRET).json()["secret"])


def test_nobody_sees_the_deliveries_of_others(stack: Stack, client: httpx.Client, target: Target) -> None:
    job_id = ended(client, target.url)["id"]
    mine = delivery_in(client, job_id, "delivered")["id"]
    with stack.client(stack.create_user()) as other:
        for answer in (
            other.get(f"/v1/jobs/{job_id}/deliveries"),
            other.post(f"/v1/jobs/{job_id}/deliveries/{mine}/retry"),
        ):
            assert (answer.status_code, answer.json()["detail"]) == (404, f"Job {job_id!r} not found")
    assert len(target.received) == 1


@pytest.mark.parametrize("name", [f"msg_{uuid4().hex}", uuid4().hex, "msg_", "msg_x", "x" * 300])
def test_a_delivery_that_is_not_there(name: str, client: httpx.Client) -> None:
    job_id = client.post("/v1/jobs", json=BODY, headers={"Prefer": "wait=30"}).json()["id"]
    assert client.get(f"/v1/jobs/{job_id}/deliveries").json() == {"deliveries": []}
    answer = client.post(f"/v1/jobs/{job_id}/deliveries/{name}/retry")
    assert answer.status_code == 404
    assert answer.json()["detail"].startswith("Delivery ")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", SECRET),
        ("POST", SECRET),
        ("GET", f"/v1/jobs/{uuid4()}/deliveries"),
        ("POST", f"/v1/jobs/{uuid4()}/deliveries/msg_{uuid4().hex}/retry"),
    ],
)
def test_every_path_asks_who_is_there_and_knows_its_parameters(
    method: str, path: str, stack: Stack, client: httpx.Client
) -> None:
    with stack.client() as nobody:
        assert nobody.request(method, path).status_code == 401
    refused = client.request(method, path, params={"page": 1})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["loc"] == ["query", "page"]


def test_a_url_that_cannot_be_right_is_refused_with_the_job(client: httpx.Client) -> None:
    for url in ("ftp://example.com/", "https://user@example.com/", 7):
        answer = client.post("/v1/jobs", json=BODY | {"webhook_url": url})
        assert answer.status_code == 422
        assert [error["loc"] for error in answer.json()["errors"]] == [["body", "webhook_url"]]
