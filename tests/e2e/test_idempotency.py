"""A job that is sent twice with one Idempotency-Key is one job."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.stack import Account, Stack

BODY: dict[str, Any] = {"symbols": ["SYN001", "SYN002"], "indicators": [{"name": "sma"}], "format": "csv"}
COST = 2


@pytest.fixture
def account(stack: Stack) -> Account:
    return stack.create_user("pro")


@pytest.fixture
def client(stack: Stack, account: Account) -> Iterator[httpx.Client]:
    with stack.client(account) as client:
        yield client


def submit(client: httpx.Client, key: str, body: dict[str, Any] = BODY, **headers: str) -> httpx.Response:
    return client.post("/v1/jobs", json=body, headers={"Idempotency-Key": key, **headers})


def used(client: httpx.Client) -> int:
    answer: int = client.get("/v1/me").json()["usage"]["used"]
    return answer


def test_the_first_answer_is_given_again(client: httpx.Client) -> None:
    key = str(uuid4())
    first = submit(client, key)
    client.get(first.headers["Location"], params={"wait": 30})
    again = submit(client, key)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert used(client) == COST
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1


def test_whoever_waits_is_told_of_the_end(client: httpx.Client) -> None:
    key = str(uuid4())
    first = submit(client, key)
    again = submit(client, key, Prefer="wait=30")
    assert again.status_code == 200
    assert (again.json()["id"], again.json()["status"]) == (first.json()["id"], "completed")


def test_the_same_body_may_be_written_differently(client: httpx.Client) -> None:
    key = str(uuid4())
    first = submit(client, key)
    text = '{ "format":"csv",  "indicators":[{"name":"sma"}], "symbols":["SYN001","SYN002"] }'
    again = client.post("/v1/jobs", content=text, headers={"Idempotency-Key": key})
    assert again.json()["id"] == first.json()["id"]


def test_another_body_is_refused(client: httpx.Client) -> None:
    key = str(uuid4())
    submit(client, key)
    for body in (BODY | {"format": "json"}, BODY | {"symbols": ["SYN001"]}, {"symbols": 1}):
        answer = submit(client, key, body)
        assert answer.status_code == 422
        [error] = answer.json()["errors"]
        assert error["loc"] == ["header", "Idempotency-Key"]
        assert "another body" in error["msg"]
    assert used(client) == COST


def test_what_was_refused_keeps_no_key(client: httpx.Client) -> None:
    key = str(uuid4())
    assert submit(client, key, BODY | {"symbols": ["NONE"]}).status_code == 404
    assert submit(client, key, BODY | {"indicators": [{"name": "bbands"}]}).status_code == 403
    periods = list(range(2, 202))
    many = BODY | {
        "symbols": ["SYN001", "SYN002", "SYN003"],
        "indicators": [{"name": "sma", "params": {"period": periods}}],
    }
    assert submit(client, key, many).status_code == 429
    assert submit(client, key).status_code == 202


def test_a_key_is_its_users_own(client: httpx.Client, stack: Stack) -> None:
    key = str(uuid4())
    first = submit(client, key)
    with stack.client(stack.create_user("pro")) as other:
        theirs = submit(other, key, BODY | {"format": "json"})
    assert theirs.status_code == 202
    assert theirs.json()["id"] != first.json()["id"]


@pytest.mark.parametrize("key", ["", "k" * 256, "tab\tin it"])
def test_a_key_that_is_none_is_refused(client: httpx.Client, key: str) -> None:
    answer = submit(client, key)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"] == ["header", "Idempotency-Key"]
    assert used(client) == 0


def test_validating_takes_no_key(client: httpx.Client) -> None:
    key = str(uuid4())
    answer = client.post("/v1/jobs", json=BODY, params={"validate_only": True}, headers={"Idempotency-Key": key})
    assert answer.status_code == 200
    assert submit(client, key, BODY | {"format": "json"}).status_code == 202


def test_sent_at_the_same_moment_it_is_one_job(client: httpx.Client) -> None:
    key = str(uuid4())
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(lambda _: submit(client, key), range(48)))
    assert {a.status_code for a in answers} <= {202, 409}
    assert len({a.json()["id"] for a in answers if a.status_code == 202}) == 1
    assert all("still being accepted" in a.json()["detail"] for a in answers if a.status_code == 409)
    assert used(client) == COST
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1
