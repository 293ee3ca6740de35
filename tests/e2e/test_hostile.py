"""Requests nobody should send: each is told what is wrong, costs little, and harms nobody."""

import base64
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from tests.stack import Stack

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def pro(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(stack.create_user("pro")) as client:
        yield client


def _is_invalid(answer: httpx.Response, *loc: object) -> bool:
    body = answer.json()
    return (answer.status_code, body["detail"], body["errors"][0]["loc"]) == (422, "Invalid parameters", list(loc))


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (b'{"username": "' + b"a" * 3_000_000 + b'"}', JSON),
        (b"{" + b",".join(b'"k%d": 1' % n for n in range(200_000)) + b"}", JSON),
        (b"[" * 100_000, JSON),
        (b'{"username": "\xff\xfe"}', JSON),
        (b"[" * 10_000, JSON),
        (b'{"username": ' + b"9" * 5_000 + b"}", JSON),
        (b"username=a&password=" + b"b" * 3_000_000, FORM),
    ],
    ids=["long name", "many fields", "long", "not utf-8", "deep", "long number", "long form"],
)
@pytest.mark.parametrize("path", ["/v1/auth/register", "/v1/auth/token", "/v1/auth/refresh"])
def test_bodies_that_cannot_be_are_422_and_cost_no_memory(
    stack: Stack, path: str, body: bytes, headers: dict[str, str]
) -> None:
    api = psutil.Process(stack.pid("api"))
    before = api.memory_info().rss
    with stack.client() as client:
        answer = client.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert answer.json()["detail"] == "Invalid parameters"
    assert len(answer.content) < 20_000
    assert api.memory_info().rss - before < 10 * 2**20


def test_a_missing_boundary_is_422(stack: Stack) -> None:
    with stack.client() as client:
        answer = client.post("/v1/auth/token", content=b"x", headers={"Content-Type": "multipart/form-data"})
    assert _is_invalid(answer, "body")


def test_a_body_of_many_unknown_fields_is_answered_with_the_first(stack: Stack) -> None:
    with stack.client() as client:
        answer = client.post("/v1/auth/register", json={f"field_{n}": n for n in range(900)})
    assert len(answer.json()["errors"]) == 50


@pytest.mark.parametrize(
    "form", ["username=abc&password=x&foo=1", "username=a&username=b&password=c", "username=a&password=b&tier=premium"]
)
def test_a_sign_in_form_has_its_fields_once_and_no_others(stack: Stack, form: str) -> None:
    with stack.client() as client:
        answer = client.post("/v1/auth/token", content=form, headers=FORM)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["loc"][0] == "body"


@pytest.mark.parametrize("path", ["/v1/auth/password", "/v1/jobs"])
@pytest.mark.parametrize("body", [b"{", b"\xff", b"{}", b"[" * 2_000_000])
def test_who_may_not_come_in_is_told_so_before_the_body_is_looked_at(stack: Stack, path: str, body: bytes) -> None:
    with stack.client() as client:
        answer = client.post(path, content=body, headers=JSON)
    assert answer.status_code == 401


def test_a_long_job_is_refused_at_its_bound(pro: httpx.Client) -> None:
    answer = pro.post("/v1/jobs", content=b" " * 1_100_000, headers=JSON)
    assert _is_invalid(answer, "body")
    assert "1,048,576" in answer.json()["errors"][0]["msg"]


@pytest.mark.parametrize(
    "key",
    [
        "0001-01-01T00:00:00+23:59 00000000-0000-0000-0000-000000000000",
        "9999-12-31T23:59:59-23:59 00000000-0000-0000-0000-000000000000",
        "now 1",
        "",
    ],
)
def test_forged_page_tokens_are_422(pro: httpx.Client, key: str) -> None:
    token = base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")
    assert _is_invalid(pro.get("/v1/jobs", params={"page_token": token}), "query", "page_token")


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [
        ("GET", "/v1/symbols?prefix=A&prefix=B", "prefix"),
        ("GET", "/v1/jobs?page_size=1&page_size=2", "page_size"),
        ("POST", "/v1/jobs?validate_only=true&validate_only=false", "validate_only"),
        ("GET", "/health/live?x=1", "x"),
    ],
)
def test_query_parameters_come_once_and_are_known(pro: httpx.Client, method: str, path: str, name: str) -> None:
    assert _is_invalid(pro.request(method, path), "query", name)


def test_a_client_that_hangs_up_is_no_fault_of_ours(stack: Stack, pro: httpx.Client) -> None:
    address = urlsplit(stack.url)
    lines = ["POST /v1/jobs HTTP/1.1", "Host: x", "Content-Length: 100"]
    head = "\r\n".join([*lines, f"Authorization: {pro.headers['authorization']}", "", ""])
    with socket.create_connection((address.hostname, address.port)) as client:
        client.sendall(head.encode() + b"{}")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1000) == b""  # the server has noticed
    deadline = time.monotonic() + 10
    while 'route="/v1/jobs",status="499"' not in (metrics := pro.get("/metrics").text):
        assert time.monotonic() < deadline, metrics
    assert 'status="500"' not in metrics


def test_revalidation_takes_nothing_from_the_day(stack: Stack) -> None:
    with stack.client(stack.create_user("free")) as client:
        symbol = client.get("/v1/symbols").json()["symbols"][2]["symbol"]
        path = f"/v1/indicators/sma/values?symbol={symbol}"
        etag = client.get(path).headers["etag"]
        for _ in range(48):
            assert client.get(path).status_code == 200
        with ThreadPoolExecutor(12) as threads:
            same = list(threads.map(lambda _: client.get(path, headers={"If-None-Match": etag}), range(60)))
        assert {a.status_code for a in same} == {304}
        assert client.get(path).status_code == 200  # the fiftieth
        assert client.get(path).status_code == 429
        assert client.get(path, headers={"If-None-Match": etag}).status_code == 304


def test_head_is_get_without_the_body(pro: httpx.Client) -> None:
    for path in ("/health/live", "/v1/me", "/v1/indicators"):
        full, head = pro.get(path), pro.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == full.headers["content-length"]


def test_ranges_of_a_result(pro: httpx.Client) -> None:
    symbol = pro.get("/v1/symbols").json()["symbols"][0]["symbol"]
    order = {"symbols": [symbol], "indicators": [{"name": "sma"}], "format": "csv"}
    job = pro.post("/v1/jobs", json=order, headers={"Prefer": "wait=30"}).json()
    path = job["urls"]["result"]
    whole = pro.get(path).content

    def ask(value: str) -> httpx.Response:
        return pro.get(path, headers={"Range": value})

    for void in ("items=0-5", "bytes=abc", "bytes=5-2", "bytes=0-" + "9" * 2000):
        assert (ask(void).status_code, ask(void).content) == (200, whole)
    assert (ask("bytes=3-7").status_code, ask("bytes=3-7").content) == (206, whole[3:8])
    assert (ask("bytes=-4").status_code, ask("bytes=-4").content) == (206, whole[-4:])
    assert ask(f"bytes=0-9,{len(whole)}-").content == whole[:10]
    beyond = ask(f"bytes={len(whole)}-")
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(whole)}")
    assert beyond.headers["content-type"] == "application/problem+json"


def test_cancelling_shows_what_is_left_after_the_refund(stack: Stack) -> None:
    with stack.client(stack.create_user("pro")) as client:
        order = {"symbols": "*", "indicators": [{"name": "sma", "params": {"period": list(range(2, 22))}}]}
        job = client.post("/v1/jobs", json=order).json()
        answer = client.post(job["urls"]["cancel"])
        if answer.status_code == 202:
            left = client.get("/v1/me").headers["x-ratelimit-remaining"]
            assert answer.headers["x-ratelimit-remaining"] == left
        else:
            assert (answer.status_code, client.get(job["urls"]["self"]).json()["status"]) == (409, "completed")


def test_accepted_jobs_are_counted(pro: httpx.Client) -> None:
    def counted() -> float:
        lines = pro.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("kalpi_series_submitted_total"))

    symbol = pro.get("/v1/symbols").json()["symbols"][0]["symbol"]
    before = counted()
    order = {"symbols": [symbol], "indicators": [{"name": "sma", "params": {"period": [3, 4]}}]}
    assert pro.post("/v1/jobs", json=order).status_code == 202
    assert counted() - before == 2
