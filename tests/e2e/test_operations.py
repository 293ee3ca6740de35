"""What operators see: health, metrics, logs, Flower, the OpenAPI document, and how large a process is."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from common.catalogue import CATALOGUE
from tests.stack import Stack

NUMERICS = ("pandas", "numpy", "numba", "llvmlite", "pyarrow", "talib")


@pytest.fixture
def premium(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(stack.create_user("premium")) as client:
        yield client


def _symbol(client: httpx.Client) -> str:
    return client.get("/v1/symbols").json()["symbols"][0]["symbol"]


def test_health_names_every_part(stack: Stack) -> None:
    with stack.client() as client:
        assert client.get("/health/live").json() == {"status": "ok"}
        ready = client.get("/health/ready")
    assert ready.status_code == 200
    assert ready.json()["status"] == "ready"
    assert {name: part["status"] for name, part in ready.json()["checks"].items()} == dict.fromkeys(
        ("postgresql", "redis", "worker", "data"), "ok"
    )


def test_metrics_count_requests_by_route_and_answers_by_origin(stack: Stack, premium: httpx.Client) -> None:
    def value(line: str) -> float:
        with stack.client() as client:
            text = client.get("/metrics").text
        return sum(float(row.rpartition(" ")[2]) for row in text.splitlines() if row.startswith(line))

    values = 'kalpi_request_seconds_count{method="GET",route="/v1/indicators/{name}/values",status="200"}'
    before = [value(line) for line in (values, 'kalpi_values_total{cache="miss"}', 'kalpi_values_total{cache="hit"}')]
    for _ in range(3):
        answer = premium.get("/v1/indicators/ema/values", params={"symbol": _symbol(premium), "period": 131})
        assert answer.status_code == 200
    after = [value(line) for line in (values, 'kalpi_values_total{cache="miss"}', 'kalpi_values_total{cache="hit"}')]
    assert [a - b for a, b in zip(after, before, strict=True)] == [3, 1, 2]


def _log(stack: Stack, name: str) -> list[dict[str, Any]]:
    text = (stack.state_dir / "logs" / f"{name}.log").read_text()
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def _api_log(stack: Stack) -> list[dict[str, Any]]:
    [name] = [p.stem for p in (stack.state_dir / "logs").glob("api*.log")]
    return _log(stack, name)


def test_requests_sign_ins_and_refusals_are_logged_and_secrets_are_not(stack: Stack) -> None:
    account = stack.create_user("free")
    with stack.client(account) as client:
        me = client.get("/v1/me")
        client.post("/v1/auth/token", data={"username": account.username, "password": "wrong password"})
    log: list[dict[str, Any]] = []
    while not (ours := [e for e in log if e.get("request_id") == me.headers["x-request-id"]]):
        log = _api_log(stack)  # lines are written some at a time
    [request] = ours
    assert (request["event"], request["method"], request["path"], request["status"]) == (
        "request",
        "GET",
        "/v1/me",
        200,
    )
    assert request["milliseconds"] > 0
    assert request["user_id"] == me.json()["id"]
    assert [e for e in log if e["event"] == "signed_in" and e["user_id"] == me.json()["id"]]
    assert [e for e in log if e["event"] == "sign_in_refused" and e["username"] == account.username]
    everything = "".join(p.read_text(errors="replace") for p in (stack.state_dir / "logs").glob("*.log"))
    for secret in (account.password, "wrong password", account.token):
        assert secret not in everything


def test_the_api_holds_no_numerics_and_stays_small(stack: Stack, premium: httpx.Client) -> None:
    assert premium.get("/v1/indicators/rsi/values", params={"symbol": _symbol(premium)}).status_code == 200
    process = psutil.Process(stack.pid("api"))
    loaded = [m.path for m in process.memory_maps() if any(f"/{name}" in m.path for name in NUMERICS)]
    assert loaded == []
    assert process.memory_info().rss < 150 * 10**6


def test_flower_wants_its_login_and_shows_tasks_under_readable_names(stack: Stack, premium: httpx.Client) -> None:
    job = premium.post(
        "/v1/jobs",
        json={"symbols": [_symbol(premium)], "indicators": [{"name": "sma"}], "format": "csv"},
        headers={"Prefer": "wait=30"},
    ).json()
    assert job["status"] == "completed"
    assert httpx.get(stack.flower_url).status_code == 401
    user, _, password = stack.up["flower_auth"].partition(":")
    with httpx.Client(base_url=stack.flower_url, auth=(user, password), timeout=30) as flower:
        assert flower.get("/").status_code == 200
        for _ in range(100):  # events reach Flower a moment later
            tasks = flower.get("/api/tasks").json()
            ours = {task["uuid"]: task for task in tasks.values() if job["id"] in (task["kwargs"] or "")}
            if ours:
                break
    assert {task["name"] for task in ours.values()} == {"kalpi.part"}
    assert all(uuid.startswith(job["id"]) for uuid in ours)


def test_every_path_of_the_document_is_served_and_every_error_is_a_problem(stack: Stack) -> None:
    with stack.client() as client:
        document = client.get("/openapi.json").json()
        assert client.get("/docs").status_code == 200
        contract = {
            "/v1/auth/register": {"post"},
            "/v1/auth/token": {"post"},
            "/v1/auth/refresh": {"post"},
            "/v1/auth/logout": {"post"},
            "/v1/auth/password": {"post"},
            "/v1/me": {"get"},
            "/v1/indicators": {"get"},
            "/v1/indicators/{name}": {"get"},
            "/v1/indicators/{name}/values": {"get"},
            "/v1/symbols": {"get"},
            "/v1/symbols/{symbol}/ohlcv": {"get"},
            "/v1/jobs": {"get", "post"},
            "/v1/jobs/{job_id}": {"get"},
            "/v1/jobs/{job_id}/cancel": {"post"},
            "/v1/jobs/{job_id}/deliveries": {"get"},
            "/v1/jobs/{job_id}/events": {"get"},
            "/v1/jobs/{job_id}/deliveries/{delivery_id}/retry": {"post"},
            "/v1/webhooks/secret": {"get", "post"},
            "/v1/jobs/{job_id}/result": {"get"},
            "/health/live": {"get"},
            "/health/ready": {"get"},
            "/metrics": {"get"},
        }
        contract |= {f"/v1/indicators/{name}/values": {"get"} for name in CATALOGUE}
        assert {path: set(methods) for path, methods in document["paths"].items()} == contract
        for path, methods in contract.items():
            concrete = path.replace("{name}", "sma").replace("{symbol}", "SYN001").replace("{job_id}", "0" * 8)
            for method in methods:
                answer = client.request(method, concrete)
                assert answer.status_code != 500
                if answer.status_code >= 400:
                    assert answer.headers["content-type"] == "application/problem+json", concrete
                    assert {"type", "title", "status", "detail", "request_id"} <= set(answer.json())
        for method, path in (("GET", "/nowhere"), ("DELETE", "/v1/me")):
            answer = client.request(method, path)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
