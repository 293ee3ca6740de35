"""What operators see: health, metrics, logs, Flower, the OpenAPI document, and how large a process is."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from common.catalogue import CATALOGUE
from tests.integration.job_kit import wait_until
from tests.stack import ROOT, Stack

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
        ("postgresql", "redis", "worker", "batch", "data"), "ok"
    )


def _samples(url: str) -> list[Sample]:
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=30).text)
    return [sample for family in families for sample in family.samples]


def test_metrics_show_the_queues_of_the_whole_service(stack: Stack, premium: httpx.Client) -> None:
    def figures() -> dict[str, float]:
        found = {" ".join([s.name, *s.labels.values()]): s.value for s in _samples(stack.url)}
        return {name: value for name, value in found.items() if name.startswith(("kalpi_queue", "kalpi_work"))}

    before = figures()
    assert (before["kalpi_workers"], before["kalpi_worker_processes"]) == (1, 2)
    job = premium.post(
        "/v1/jobs",
        json={"symbols": [_symbol(premium)], "indicators": [{"name": "sma"}], "format": "csv"},
        headers={"Prefer": "wait=30"},
    ).json()
    assert job["status"] == "completed"
    wait_until(lambda: figures()["kalpi_queue_depth batch"] == figures()["kalpi_queue_running batch"] == 0)
    wait_until(
        lambda: figures()["kalpi_queue_work_seconds_total batch"] > before["kalpi_queue_work_seconds_total batch"]
    )
    after = figures()
    name = "kalpi_queue_done_total completed batch"
    assert after[name] == before[name] + 1
    for same in ("kalpi_queue_done_total failed batch", "kalpi_queue_retries_total batch"):
        assert after[same] == before[same]


def test_the_documents_name_every_metric_there_is_and_no_other(stack: Stack) -> None:
    there: dict[str, set[str]] = {}
    for sample in _samples(stack.url):
        if not sample.name.endswith("_created"):
            there.setdefault(re.sub("_(bucket|count|sum)$", "", sample.name), set()).update(sample.labels)
    manual = (ROOT / "docs" / "monitoring.md").read_text()
    board = json.loads((ROOT / "docs" / "grafana.json").read_text())
    shown = " ".join(target["expr"] for panel in board["panels"] for target in panel["targets"])
    for document in (manual, shown):
        for name, labels in re.findall(r"\b(kalpi_\w+)\b(?:{([^}]*)})?", document):
            known = there[re.sub("_(bucket|count|sum)$", "", name)]
            assert set(re.findall(r"(\w+)(?:$|,|=)", labels)) <= known, name
    assert set(re.findall(r"^\| `(kalpi_\w+)", manual, re.MULTILINE)) == set(there)
    of_flower = {sample.name for sample in _samples(stack.flower_url)}
    for name in re.findall(r"`(flower_\w+)`", manual):
        assert of_flower & {name, f"{name}_count"}, name


def test_no_figure_is_shown_twice(stack: Stack) -> None:
    seen = [(sample.name, *sample.labels.items()) for sample in _samples(stack.url)]
    assert len(seen) == len(set(seen))


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

        def ended() -> list[dict[str, Any]]:
            tasks = flower.get("/api/tasks").json().values()
            return [task for task in tasks if job["id"] in (task["kwargs"] or "") and task["state"] == "SUCCESS"]

        [task] = wait_until(ended)  # events reach Flower a moment later
        assert (task["name"], task["uuid"]) == ("kalpi.part", f"{job['id']}:0")
        assert re.fullmatch(rf"'completed in [\d.]+ s: part 0 of {job['id']}'", task["result"])
        wait_until(lambda: {"batch", "interactive"} <= set(re.findall(r"\w+", flower.get("/broker").text)))


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
