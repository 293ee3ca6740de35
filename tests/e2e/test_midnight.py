"""The daily count over midnight, with a clock of the test's own in an API process of the test's own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import uvicorn

from api.main import create_app
from common.settings import Settings
from tests.stack import Stack

LAST_MOMENT = datetime(2031, 5, 6, 23, 59, 59, 999_000, UTC)


@dataclass
class Clock:
    now: datetime = field(default=LAST_MOMENT)

    def __call__(self) -> datetime:
        return self.now


@contextmanager
def _api(stack: Stack, clock: Clock) -> Iterator[httpx.Client]:
    """A real server over the stack's own databases and workers; only its clock is ours."""
    secret = "s" * 40
    up = stack.up
    settings = Settings(
        database_url=up["database_url"],
        redis_url=up["redis_url"],
        cache_url=up["cache_url"],
        state_dir=stack.state_dir,
        secret_key=secret,
    )
    server = uvicorn.Server(uvicorn.Config(create_app(settings, clock), port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


def test_the_count_starts_over_at_midnight_utc_and_not_a_millisecond_sooner(stack: Stack) -> None:
    account = stack.create_user("free")
    clock = Clock()
    with _api(stack, clock) as client:
        pair = client.post("/v1/auth/token", data={"username": account.username, "password": account.password})
        client.headers["Authorization"] = f"Bearer {pair.json()['access_token']}"
        symbol = client.get("/v1/symbols").json()["symbols"][0]["symbol"]

        def ask() -> httpx.Response:
            return client.get("/v1/indicators/sma/values", params={"symbol": symbol})

        assert [ask().status_code for _ in range(50)] == [200] * 50
        refused = ask()
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert client.get("/v1/me").json()["usage"]["resets_at"] == "2031-05-07T00:00:00Z"
        clock.now += timedelta(milliseconds=1)
        assert clock.now == datetime(2031, 5, 7, tzinfo=UTC)
        first = ask()
        assert first.status_code == 200
        assert first.headers["x-ratelimit-remaining"] == "49"
        usage = client.get("/v1/me").json()["usage"]
        assert (usage["used"], usage["resets_at"]) == (1, "2031-05-08T00:00:00Z")


def test_an_access_token_ends_with_its_half_hour(stack: Stack) -> None:
    account = stack.create_user("free")
    clock = Clock()
    with _api(stack, clock) as client:
        pair = client.post("/v1/auth/token", data={"username": account.username, "password": account.password})
        headers = {"Authorization": f"Bearer {pair.json()['access_token']}"}
        clock.now += timedelta(seconds=1799)
        assert client.get("/v1/me", headers=headers).status_code == 200
        clock.now += timedelta(seconds=1)
        assert client.get("/v1/me", headers=headers).status_code == 401
