"""The conversation of `kalpi jobs` with an API that breaks off, is busy or is away."""

import io
import threading
from collections.abc import Iterator
from itertools import islice
from typing import Any

import httpx
import orjson
import pytest

from cli.client import Away, Client, Patience, Refused
from cli.credentials import SignIn, Token
from cli.download import Result, copy, find_result
from cli.job_events import follow
from cli.jobs import list_of
from common.jobs import JobState
from tests.integration.far_end import Asked, FarEnd, Reply, far_end, in_json

PATH = "/v1/jobs/one"
STREAM = {"Content-Type": "text/event-stream"}


def job(status: str, completed: int) -> dict[str, Any]:
    return {"id": "one", "status": status, "series": {"total": 9, "completed": completed, "failed": 0}}


def events(*jobs: tuple[str, dict[str, Any]]) -> bytes:
    return b"".join(b"id: %s\nevent: x\ndata: %s\n\n" % (key.encode(), orjson.dumps(one)) for key, one in jobs)


def client_of(there: FarEnd, seconds: float = 30, told: list[str] | None = None) -> Client:
    return Client(there.url, Token("abc"), Patience(seconds, ([] if told is None else told).append))


def test_a_stream_that_breaks_is_gone_on_with_after_the_last_event_heard() -> None:
    def answer(asked: Asked) -> Reply:
        if not asked.path.endswith("/events"):
            return in_json(job("running", 4))
        if "Last-Event-ID" not in asked.headers:
            body = events(("a", job("queued", 0)), ("b", job("running", 3)))
            return Reply(body=body + b"id: c\ndata: {", headers=STREAM, length=10_000)
        return Reply(body=events(("z", job("completed", 9))), headers=STREAM)

    with far_end(answer) as there, client_of(there) as client:
        assert [one["series"]["completed"] for one in islice(follow(client, PATH), 9)] == [0, 3, 4, 9]
    assert there.paths() == [f"GET {PATH}/events", f"GET {PATH}?wait=2", f"GET {PATH}/events"]
    assert there.asked[-1].headers["Last-Event-ID"] == "b"


@pytest.mark.parametrize("status", [404, 406])
def test_a_server_without_events_is_asked_until_the_end(status: int) -> None:
    states = iter([job("queued", 0), job("running", 5), job("failed", 9)])

    def answer(asked: Asked) -> Reply:
        return in_json({"detail": "no"}, status) if asked.path.endswith("/events") else in_json(next(states))

    with far_end(answer) as there, client_of(there) as client:
        assert [one["status"] for one in islice(follow(client, PATH), 9)] == ["queued", "running", "failed"]
    assert there.paths() == [f"GET {PATH}/events", *[f"GET {PATH}?wait=2"] * 3]


def test_a_stream_that_has_said_all_is_not_asked_for_more() -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(204) if asked.path.endswith("/events") else in_json(job("completed", 9))

    with far_end(answer) as there, client_of(there) as client:
        assert [one["status"] for one in islice(follow(client, PATH), 9)] == ["completed"]


def test_a_busy_service_is_waited_for_as_long_as_it_asks() -> None:
    answers = iter(
        [
            in_json({"detail": "Too many requests. Slow down."}, 429, Retry_After="0"),
            in_json({"detail": "Service temporarily unavailable"}, 503, Retry_After="0"),
            Reply(502),
            Reply(length=10),
            in_json(job("running", 1)),
            Reply(502),
            in_json(job("running", 2)),
        ]
    )
    told: list[str] = []
    with far_end(lambda _: next(answers)) as there, client_of(there, told=told) as client:
        assert [client.ask("GET", PATH).json() for _ in range(2)] == [job("running", 1), job("running", 2)]
    assert told == [  # each outage once
        "Too many requests. Slow down.; trying again for 30 s",
        f"{there.url}{PATH} answered 502 Bad Gateway; trying again for 30 s",
    ]


def test_a_submission_that_is_still_being_accepted_is_waited_for() -> None:
    answers = iter([in_json({"detail": "still being accepted"}, 409), in_json({"id": "one"}, 202)])
    with far_end(lambda _: next(answers)) as there, client_of(there) as client:
        assert client.ask("POST", "/v1/jobs", again={409}).json() == {"id": "one"}
    with far_end(lambda _: in_json({"detail": "no"}, 409)) as there, client_of(there) as client, pytest.raises(Refused):
        client.ask("POST", "/v1/jobs")


def test_a_page_is_no_bound_of_a_list() -> None:
    def answer(asked: Asked) -> Reply:
        query = httpx.URL(asked.path).params
        page = int(query.get("page_token", 0))
        jobs = [{"id": str(100 * page + n)} for n in range(int(query["page_size"]))]
        return in_json({"jobs": jobs, "next_page_token": None if page == 2 else str(page + 1)})

    with far_end(answer) as there, client_of(there) as client:
        found = list(list_of(client, JobState.FAILED, 120))
        assert [job["id"] for job in found] == [str(n) for n in range(120)]
        assert len(list(list_of(client, None, 1000))) == 300
    assert there.paths()[:2] == [
        "GET /v1/jobs?status=failed&page_size=100",
        "GET /v1/jobs?status=failed&page_token=1&page_size=20",
    ]


def test_what_will_not_change_today_is_not_waited_for() -> None:
    limit = in_json({"detail": "Rate limit exceeded. Try again tomorrow."}, 429, Retry_After="30211")
    refused = pytest.raises(Refused, match=r"Try again tomorrow\.$")
    with far_end(lambda _: limit) as there, client_of(there) as client, refused:
        client.ask("POST", "/v1/jobs")
    assert len(there.asked) == 1


def test_patience_has_an_end() -> None:
    away = in_json({"detail": "Service temporarily unavailable", "request_id": "r1"}, 503)
    given_up = pytest.raises(Away, match=r"^Service temporarily unavailable \(request r1\); gave up after 0 s$")
    with far_end(lambda _: away) as there, client_of(there, seconds=0.3) as client, given_up:
        client.ask("GET", PATH)
    assert len(there.asked) > 1


def test_a_fault_of_the_service_is_not_asked_for_again() -> None:
    fault = in_json({"detail": "Internal server error", "request_id": "r1"}, 500)
    failed = pytest.raises(Away, match=r"^Internal server error \(request r1\)$")
    with far_end(lambda _: fault) as there, client_of(there) as client, failed:
        client.ask("GET", PATH)
    assert len(there.asked) == 1


# --- signing in


class Accounts:
    """Gives out tokens by number; those up to `expired` are refused."""

    def __init__(self) -> None:
        self.given = 0
        self.expired = 0
        self.refreshing = 200

    def __call__(self, asked: Asked) -> Reply:
        match asked.path:
            case "/v1/auth/token" | "/v1/auth/refresh":
                if asked.path.endswith("refresh") and self.refreshing != 200:
                    return in_json({"detail": "no"}, self.refreshing, Retry_After="0")
                self.given += 1
                return in_json({"access_token": f"a{self.given}", "refresh_token": f"r{self.given}"})
            case "/v1/auth/logout":
                return Reply(204)
        if int(asked.headers["Authorization"].removeprefix("Bearer a")) <= self.expired:
            return in_json({"detail": "Invalid authentication credentials"}, 401)
        return in_json(job("running", 1))


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def there(accounts: Accounts) -> Iterator[FarEnd]:
    with far_end(accounts) as there:
        yield there


def signed_in(there: FarEnd) -> Client:
    return Client(there.url, SignIn(there.url, "ada", lambda: "pa ss"), Patience(30, [].append))


def test_a_sign_in_is_refreshed_when_it_has_expired_and_ended_at_the_end(accounts: Accounts, there: FarEnd) -> None:
    with signed_in(there) as client:
        client.ask("GET", PATH)
        accounts.expired = 1
        with client.stream(PATH) as response:  # streams are signed as everything is
            assert response.status_code == 200
    assert there.paths() == [
        "POST /v1/auth/token",
        f"GET {PATH}",
        f"GET {PATH}",
        "POST /v1/auth/refresh",
        f"GET {PATH}",
        "POST /v1/auth/logout",
    ]
    assert there.asked[0].body == b"username=ada&password=pa+ss"
    assert [orjson.loads(there.asked[n].body) for n in (3, 5)] == [{"refresh_token": "r1"}, {"refresh_token": "r2"}]
    assert "Authorization" not in there.asked[5].headers


def test_a_refresh_token_that_is_spent_is_no_end(accounts: Accounts, there: FarEnd) -> None:
    with signed_in(there) as client:
        client.ask("GET", PATH)
        accounts.expired, accounts.refreshing = 1, 401
        assert client.ask("GET", PATH).json() == job("running", 1)
    assert there.paths()[3:6] == ["POST /v1/auth/refresh", "POST /v1/auth/token", f"GET {PATH}"]


def test_a_refresh_is_as_patient_as_any_question(accounts: Accounts, there: FarEnd) -> None:
    def tell(_: str) -> None:
        accounts.refreshing = 200

    with Client(there.url, SignIn(there.url, "ada", lambda: "x"), Patience(30, tell)) as client:
        client.ask("GET", PATH)
        accounts.expired, accounts.refreshing = 1, 503
        client.ask("GET", PATH)
    assert there.paths().count("POST /v1/auth/refresh") == 2
    assert there.paths().count("POST /v1/auth/token") == 1


def test_a_sign_out_that_fails_is_not_the_commands_fault(accounts: Accounts) -> None:
    with far_end(accounts) as there:
        client = signed_in(there)
        client.ask("GET", PATH)
    with client:
        pass


def test_credentials_that_are_wrong_are_named() -> None:
    with far_end(lambda _: in_json({"detail": "Invalid authentication credentials"}, 401)) as there:
        with client_of(there) as client, pytest.raises(Refused, match=r"^the access token in KALPI_TOKEN is not valid"):
            client.ask("GET", PATH)
        with signed_in(there) as client, pytest.raises(Refused, match=r"^the user 'ada' or the password is wrong$"):
            client.ask("GET", PATH)
    assert there.paths() == [f"GET {PATH}", "POST /v1/auth/token"]


# --- downloads


class Stored:
    """Serves `content` by ranges, and ends the first `breaks` connections halfway through what is left."""

    def __init__(self, content: bytes, breaks: int = 0) -> None:
        self.content = content
        self.breaks = breaks
        self.etag = '"one"'

    def __call__(self, asked: Asked) -> Reply:
        first, _, last = asked.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        if "Range" not in asked.headers or asked.headers.get("If-Range", self.etag) != self.etag:
            return self._broken(self.content, 200, {"ETag": self.etag})
        part = self.content[int(first) : int(last) + 1 if last else None]
        where = {"Content-Range": f"bytes {first}-{int(first) + len(part) - 1}/{len(self.content)}", "ETag": self.etag}
        return Reply(206, part, where) if last else self._broken(part, 206, where)

    def _broken(self, part: bytes, status: int, headers: dict[str, str]) -> Reply:
        if self.breaks == 0:
            return Reply(status, part, headers)
        self.breaks -= 1
        return Reply(status, part[: len(part) // 2], headers, length=len(part))


CONTENT = bytes(range(256)) * 4000


def test_a_download_goes_on_wherever_it_breaks() -> None:
    shown: list[int] = []
    told: list[str] = []
    sink = io.BytesIO()
    with far_end(Stored(CONTENT, breaks=3)) as there, client_of(there, told=told) as client:
        result = find_result(client, PATH)
        copy(client, result, sink, 0, shown.append)
    assert (result.size, result.etag) == (len(CONTENT), '"one"')
    assert sink.getvalue() == CONTENT
    assert len(told) == 3  # whatever has come renews the patience
    assert shown == sorted(shown)
    assert shown[-1] == len(CONTENT)
    sizes = [len(CONTENT) // parts for parts in (2, 4, 8)]
    starts = [sum(sizes[:n]) for n in range(1, 4)]
    assert [one.headers.get("Range") for one in there.asked[1:]] == [None, *(f"bytes={n}-" for n in starts)]
    assert {one.headers["If-Range"] for one in there.asked[2:]} == {'"one"'}


def test_bytes_of_two_results_are_never_mixed() -> None:
    stored = Stored(CONTENT)
    with far_end(stored) as there, client_of(there) as client:
        result = find_result(client, PATH)
        stored.etag = '"two"'
        with pytest.raises(Refused, match="has changed meanwhile"):
            copy(client, result, io.BytesIO(), 10, lambda _: None)


def test_a_download_that_does_not_move_is_given_up() -> None:
    silent = Reply(200, b"", length=5)
    with far_end(lambda _: silent) as there, client_of(there, seconds=0.3) as client, pytest.raises(Away):
        copy(client, Result(PATH, "x", 5, '"one"'), io.BytesIO(), 0, lambda _: None)


def test_an_answer_that_never_comes_is_no_answer() -> None:
    never = threading.Event()
    with far_end(lambda _: Reply(length=5, until=never)) as there, client_of(there, seconds=0) as client:
        with pytest.raises(Away, match=r"no answer from .* \(timed out\)"):
            client.ask("GET", PATH, timeout=httpx.Timeout(0.2))
        never.set()
