"""Jobs over HTTP, from the body to the bytes."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import orjson
import pyarrow.csv
import pyarrow.parquet
import pytest
from sqlalchemy import create_engine, text

from cli.backends import sqlalchemy_url
from tests.integration.job_kit import wait_until
from tests.stack import Account, Stack

BODY: dict[str, Any] = {
    "symbols": ["SYN001", "SYN002"],
    "indicators": [{"name": "sma", "params": {"period": [10, 20]}}, {"name": "ema", "as": "trend"}],
    "format": "csv",
}
COST = 6
WAIT = {"Prefer": "wait=30"}

MakeClient = Callable[[str], httpx.Client]


@pytest.fixture(scope="module")
def client_for(stack: Stack) -> Iterator[MakeClient]:
    """`client_for("free")`: a client signed in as a new user."""
    opened: list[httpx.Client] = []

    def open_client(tier: str) -> httpx.Client:
        account: Account = stack.create_user(tier)
        opened.append(stack.client(account))
        return opened[-1]

    yield open_client
    for client in opened:
        client.close()


@pytest.fixture(scope="module")
def client(client_for: MakeClient) -> httpx.Client:
    """Signed in as a premium user."""
    return client_for("premium")


def change(stack: Stack, statement: str, **values: object) -> None:
    """What time would do."""
    engine = create_engine(sqlalchemy_url(stack.up["database_url"]))
    try:
        with engine.begin() as connection:
            connection.execute(text(statement), values)
    finally:
        engine.dispose()


def used(client: httpx.Client) -> int:
    answer: int = client.get("/v1/me").json()["usage"]["used"]
    return answer


def completed(client: httpx.Client, **changes: object) -> dict[str, Any]:
    answer = client.post("/v1/jobs", json=BODY | changes, headers=WAIT)
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    assert job["status"] == "completed"
    return job


def test_a_job_from_submission_to_bytes(client: httpx.Client) -> None:
    answer = client.post("/v1/jobs", json=BODY)
    assert answer.status_code == 202
    job = answer.json()
    here = f"/v1/jobs/{job['id']}"
    assert answer.headers["Location"] == here
    assert int(answer.headers["Retry-After"]) >= 1
    assert list(job) == [
        "id", "status", "created_at", "started_at", "completed_at", "expires_at", "format", "series", "cost",
        "progress", "errors", "urls",
    ]  # fmt: skip
    paths = {"cancel": f"{here}/cancel", "events": f"{here}/events", "result": f"{here}/result"}
    assert job["urls"] == {"self": here, **paths}
    assert (job["series"]["total"], job["cost"], job["errors"]) == (COST, COST, [])
    ended = client.get(here, params={"wait": 30}).json()
    assert (ended["status"], ended["progress"]) == ("completed", 1.0)
    assert ended["series"] == {"total": COST, "completed": COST, "failed": 0}
    assert ended["created_at"] <= ended["started_at"] <= ended["completed_at"] < ended["expires_at"]
    assert ended["created_at"].endswith("Z")
    result = client.get(ended["urls"]["result"])
    assert result.status_code == 200
    assert result.headers["Content-Type"].startswith("text/csv")
    assert result.headers["Content-Disposition"] == f'attachment; filename="kalpi-{job["id"]}.csv"'
    assert int(result.headers["Content-Length"]) == len(result.content)
    assert result.text.splitlines()[0] == "symbol,date,sma_10,sma_20,trend"


def test_the_formats_hold_the_same_table(client: httpx.Client) -> None:
    got = {
        form: client.get(completed(client, format=form)["urls"]["result"]).content
        for form in ("csv", "json", "parquet")
    }
    table = pyarrow.parquet.read_table(io.BytesIO(got["parquet"]))
    assert table.column_names == ["symbol", "date", "sma_10", "sma_20", "trend"]
    keys = list(zip(table["symbol"].to_pylist(), table["date"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    as_csv = pyarrow.csv.read_csv(io.BytesIO(got["csv"]))
    as_json = orjson.loads(got["json"])
    assert len(as_json) == table.num_rows
    for name in ("sma_10", "sma_20", "trend"):
        assert as_csv[name].to_pylist() == table[name].to_pylist() == [row[name] for row in as_json]


def test_a_job_and_the_fast_path_say_the_same(client: httpx.Client) -> None:
    job = completed(client, format="json", indicators=[{"name": "rsi"}], start_date="2025-01-01", symbols=["SYN003"])
    rows = client.get(job["urls"]["result"]).json()
    values = client.get("/v1/indicators/rsi/values", params={"symbol": "SYN003", "start_date": "2025-01-01"}).json()
    assert [row["date"] for row in rows] == values["dates"]
    assert [row["rsi_14"] for row in rows] == values["values"]["rsi"]


def test_the_whole_universe(client: httpx.Client) -> None:
    job = completed(client, symbols="*", include_ohlcv=True, indicators=[{"name": "macd"}, {"name": "bbands"}])
    assert job["cost"] == 20 * 2
    header = client.get(job["urls"]["result"]).text.partition("\n")[0]
    assert header == (
        "symbol,date,open,high,low,close,volume,macd_12_26_9.macd,macd_12_26_9.signal,macd_12_26_9.histogram,"
        "bbands_20_2.upper,bbands_20_2.middle,bbands_20_2.lower"
    )


def test_equal_jobs_have_equal_bytes(client: httpx.Client) -> None:
    first, second = (client.get(completed(client)["urls"]["result"]) for _ in range(2))
    assert first.content == second.content
    assert first.headers["ETag"] == second.headers["ETag"]


def test_results_can_be_had_in_pieces_and_only_when_new(client: httpx.Client) -> None:
    url = completed(client)["urls"]["result"]
    whole = client.get(url)
    etag = whole.headers["ETag"]
    same = client.get(url, headers={"If-None-Match": f'"other", {etag}'})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", etag)
    piece = client.get(url, headers={"Range": "bytes=7-10"})
    assert (piece.status_code, piece.content) == (206, whole.content[7:11])
    assert piece.headers["Content-Range"] == f"bytes 7-10/{len(whole.content)}"
    tail = client.get(url, headers={"Range": "bytes=-5", "If-Range": etag})
    assert (tail.status_code, tail.content) == (206, whole.content[-5:])
    changed = client.get(url, headers={"Range": "bytes=-5", "If-Range": '"other"'})
    assert (changed.status_code, changed.content) == (200, whole.content)
    assert client.get(url, headers={"Range": f"bytes={len(whole.content)}-"}).status_code == 416


def test_a_job_is_charged_by_its_series_and_headers_say_so(client_for: MakeClient) -> None:
    client = client_for("free")
    answer = client.post("/v1/jobs", json=BODY, headers=WAIT)
    assert answer.headers["X-RateLimit-Remaining"] == str(50 - COST)
    job = answer.json()
    client.get(job["urls"]["self"])
    client.get(job["urls"]["result"])
    client.get("/v1/jobs")
    assert used(client) == COST


def test_a_job_beyond_the_limit_costs_nothing(client_for: MakeClient) -> None:
    client = client_for("free")
    wide = BODY | {"symbols": "*"}
    answer = client.post("/v1/jobs", json=wide)
    assert answer.status_code == 429
    assert answer.json()["detail"] == "Rate limit exceeded. Try again tomorrow."
    assert int(answer.headers["Retry-After"]) > 0
    assert client.post("/v1/jobs", json=wide, params={"validate_only": True}).status_code == 429
    assert used(client) == 0
    assert client.get("/v1/jobs").json() == {"jobs": [], "next_page_token": None}


def test_parallel_jobs_are_charged_exactly(client_for: MakeClient) -> None:
    client = client_for("free")
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: client.post("/v1/jobs", json=BODY).status_code, range(24)))
    assert sorted(answers) == [202] * (50 // COST) + [429] * (24 - 50 // COST)
    assert used(client) == 50 // COST * COST


def test_validating_starts_and_costs_nothing(client_for: MakeClient) -> None:
    client = client_for("free")
    answer = client.post("/v1/jobs", json=BODY, params={"validate_only": True})
    assert answer.status_code == 200
    estimate = answer.json()
    assert {k: estimate[k] for k in ("cost", "series", "remaining_after")} == {
        "cost": COST,
        "series": 3,
        "remaining_after": 50 - COST,
    }
    assert 100 <= estimate["rows"] <= 140
    assert used(client) == 0
    assert client.get("/v1/jobs").json()["jobs"] == []


@pytest.mark.parametrize(
    ("changes", "required"),
    [
        ({"indicators": [{"name": "rsi"}]}, "pro"),
        ({"indicators": [{"name": "sma"}, {"name": "bbands"}]}, "premium"),
        ({"start_date": "2000-01-01"}, None),
    ],
)
def test_what_the_tier_does_not_include(client_for: MakeClient, changes: dict[str, Any], required: str | None) -> None:
    client = client_for("free")
    answer = client.post("/v1/jobs", json=BODY | changes)
    assert answer.status_code == 403
    assert answer.json()["detail"] == "Resource not available for your tier"
    assert answer.json().get("required_tier") == required
    assert used(client) == 0


def test_what_is_not_there_and_what_is_wrong(client: httpx.Client) -> None:
    before = used(client)
    answer = client.post("/v1/jobs", json=BODY | {"symbols": ["SYN01"]})
    assert (answer.status_code, answer.json()["detail"]) == (404, "Symbol 'SYN01' not found")
    assert answer.json()["did_you_mean"]
    answer = client.post("/v1/jobs", json=BODY | {"format": "xls"})
    assert answer.status_code == 422
    formats = "parquet, csv, json, arrow, xlsx"
    assert answer.json()["errors"] == [{"loc": ["body", "format"], "msg": f"'xls' is not one of {formats}"}]
    answer = client.post("/v1/jobs", json=BODY, params={"validate": "true"})
    assert "did you mean 'validate_only'" in answer.json()["errors"][0]["msg"]
    answer = client.post("/v1/jobs", content=b"[" + b" " * 2**20 + b"]")
    assert answer.status_code == 422
    assert "longer than 1,048,576 bytes" in answer.json()["errors"][0]["msg"]
    assert client.post("/v1/jobs", json=BODY, headers={"Prefer": "wait=61"}).status_code == 422
    for unknown in ("nonsense", "00000000-0000-0000-0000-000000000000", "%00"):
        assert client.get(f"/v1/jobs/{unknown}").status_code == 404
    assert used(client) == before


def test_no_credentials_no_job(stack: Stack) -> None:
    with stack.client() as client:
        for answer in (client.post("/v1/jobs", content=b"{"), client.get("/v1/jobs"), client.get("/v1/jobs/x/result")):
            assert answer.status_code == 401


def test_the_jobs_of_others_are_not_there(client: httpx.Client, client_for: MakeClient) -> None:
    job = completed(client)
    stranger = client_for("premium")
    for answer in (
        stranger.get(job["urls"]["self"]),
        stranger.get(job["urls"]["result"]),
        stranger.post(job["urls"]["cancel"]),
    ):
        assert (answer.status_code, answer.json()["detail"]) == (404, f"Job '{job['id']}' not found")
    assert stranger.get("/v1/jobs").json()["jobs"] == []


def test_the_list_goes_from_newest_to_oldest_in_pages(client_for: MakeClient) -> None:
    client = client_for("premium")
    made = [completed(client, symbols=["SYN001"], indicators=[{"name": "sma"}])["id"] for _ in range(5)]
    cancelled = client.post("/v1/jobs", json=BODY).json()
    seen: list[str] = []
    token: str | None = None
    while True:
        page = client.get("/v1/jobs", params={"page_size": 2} | ({"page_token": token} if token else {})).json()
        seen += [job["id"] for job in page["jobs"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert seen == [cancelled["id"], *reversed(made)]
    client.get(cancelled["urls"]["self"], params={"wait": 30})
    only = client.get("/v1/jobs", params={"status": "completed", "page_size": 100}).json()["jobs"]
    assert [job["id"] for job in only] == seen
    assert client.get("/v1/jobs", params={"status": "cancelled"}).json()["jobs"] == []
    for wrong in ({"page_token": "x"}, {"page_size": 0}, {"page_size": 101}, {"status": "done"}):
        assert client.get("/v1/jobs", params=wrong).status_code == 422


def test_an_ended_job_has_a_result_until_it_expires(stack: Stack, client: httpx.Client) -> None:
    job = completed(client)
    assert client.post(job["urls"]["cancel"]).status_code == 409
    change(stack, "UPDATE jobs SET expires_at = now() WHERE id = :id", id=job["id"])
    wait_until(lambda: client.get(job["urls"]["self"]).json()["status"] == "expired")
    gone = client.get(job["urls"]["result"])
    assert (gone.status_code, gone.json()["detail"]) == (410, f"Job {job['id']} has expired")


def test_a_cancelled_job_gives_back_what_it_has_not_done(stack: Stack, client_for: MakeClient) -> None:
    """All of it, had no worker come by yet: the job is put back to that."""
    client = client_for("pro")
    job = client.post("/v1/jobs", json=BODY).json()
    client.get(job["urls"]["self"], params={"wait": 30})
    before = used(client)
    change(
        stack,
        """UPDATE jobs SET status = 'queued', series_completed = 0, parts_ended = 0, completed_at = NULL,
                  expires_at = NULL, result_file = NULL WHERE id = :id""",
        id=job["id"],
    )
    waiting = client.get(job["urls"]["result"])
    assert (waiting.status_code, waiting.json()["detail"]) == (
        409,
        f"Job {job['id']} is queued; its result is not there yet",
    )
    for _ in range(2):
        answer = client.post(job["urls"]["cancel"])
        assert answer.status_code == 202
        assert (answer.json()["status"], answer.json()["cost"]) == ("cancelled", 0)
    assert used(client) == before - COST
    assert client.get(job["urls"]["result"]).status_code == 409


def test_a_value_nobody_waits_for_becomes_a_job(client: httpx.Client) -> None:
    before = used(client)
    query = {"symbol": "SYN004", "period": 37, "start_date": "2025-01-01"}
    answer = client.get("/v1/indicators/sma/values", params=query, headers={"Prefer": "wait=0"})
    assert answer.status_code == 202
    job = client.get(answer.headers["Location"], params={"wait": 30}).json()
    assert (job["status"], job["cost"], job["format"]) == ("completed", 1, "json")
    rows = client.get(job["urls"]["result"]).json()
    assert list(rows[0]) == ["symbol", "date", "sma_37"]
    assert used(client) == before + 1
