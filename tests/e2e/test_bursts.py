"""The burst limit over HTTP, of a stack of its own with two API processes."""

import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.stack import PASSWORD, Account, Stack

BURST_SECONDS = 50
PER_SECOND, BURST = 0.2, 10
ADDRESS_PER_SECOND, ADDRESS_BURST = 2, 100


def _at_once(stack: Stack, account: Account, path: str, count: int) -> list[httpx.Response]:
    """Each on a connection of its own, so that both processes have their share."""
    limits = httpx.Limits(max_keepalive_connections=0)
    with (
        httpx.Client(base_url=stack.url, headers=account.headers, limits=limits, timeout=30) as client,
        ThreadPoolExecutor(8) as threads,
    ):
        return list(threads.map(lambda _: client.get(path), range(count)))


def test_a_burst_is_cut_to_the_token_over_all_processes(started_stack: Callable[..., Stack]) -> None:
    stack = started_stack(
        *("--api-processes", "2", "--workers", "1", "--no-flower"),
        env={
            "KALPI_FREE_PER_SECOND": str(PER_SECOND),
            "KALPI_PRO_PER_SECOND": "0",
            "KALPI_ADDRESS_PER_SECOND": str(ADDRESS_PER_SECOND),
            "KALPI_BURST_SECONDS": str(BURST_SECONDS),
        },
    )
    account = stack.create_user("free")
    before = time.monotonic()
    answers = _at_once(stack, account, "/v1/me", 24)
    passed = time.monotonic() - before
    counts = Counter(answer.status_code for answer in answers)
    assert set(counts) == {200, 429}
    assert BURST <= counts[200] <= BURST + int(passed * PER_SECOND)
    used = {answer.json()["usage"]["used"] for answer in answers if answer.status_code == 200}
    assert used == {0}

    with stack.client(account) as client:
        while (refused := client.get("/v1/symbols")).status_code != 429:
            assert refused.status_code == 200  # a token has come meanwhile
        assert refused.headers["Content-Type"] == "application/problem+json"
        assert refused.json()["detail"] == "Too many requests. Slow down."
        assert refused.headers["X-RateLimit-Limit"] == refused.headers["X-RateLimit-Remaining"] == "50"
        assert refused.headers["RateLimit"].startswith('"daily";r=50;')
        # Who sent it, and what is wrong with it, is told before how many came.
        assert client.get("/v1/symbols", headers={"Authorization": "Bearer wrong"}).status_code == 401
        assert client.get("/v1/symbols", params={"pagesize": 1}).status_code == 422
        # Machines ask these.
        assert client.get("/health/live").status_code == 200
        assert client.get("/metrics").status_code == 200
        time.sleep(int(refused.headers["Retry-After"]))  # as told
        assert client.get("/v1/symbols").status_code == 200

    # A tier without a bound of its own is held up by its address's alone, and so is who signs in.
    pro = stack.create_user("pro")
    before = time.monotonic()
    answers = _at_once(stack, pro, "/v1/symbols", ADDRESS_BURST + 20)
    passed = time.monotonic() - before
    allowed = sum(answer.status_code == 200 for answer in answers)
    assert {answer.status_code for answer in answers} == {200, 429}
    assert ADDRESS_BURST / 2 < allowed <= ADDRESS_BURST + int(passed * ADDRESS_PER_SECOND)
    with stack.client(pro) as client:
        # What the proxy in front says counts, if the server trusts it.
        assert client.get("/v1/symbols", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 200
    with stack.client() as client:
        form = {"username": pro.username, "password": PASSWORD}
        assert 429 in {client.post("/v1/auth/token", data=form).status_code for _ in range(20)}
        assert client.post("/v1/auth/token", data={}).status_code == 422
