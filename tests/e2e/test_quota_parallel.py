"""A thousand requests of one user at once, over four API processes: as many succeed as the day allows."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.load import Ask, Books, Outcome, Queries, all_at_once
from tests.stack import Account, Stack, started

PROCESSES = 4
REQUESTS = 1000
ROUNDS = 20


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, sample_file: Path) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("quota-parallel") / "state"
    options = ("--data", str(sample_file), "--workers", "2", "--no-flower", "--api-processes", str(PROCESSES))
    with started(folder, *options) as stack:
        yield stack


@pytest.fixture(scope="module")
def queries(own: Stack) -> Queries:
    [account] = Books(own).sign_up("premium")
    found = Queries(own, account)
    warm = [Ask(account, found.warm(place)) for place in range(len(found.symbols))]
    assert {o.status for o in asyncio.run(all_at_once(own.url, warm))} == {200}
    return found


def cached(queries: Queries, turn: int) -> Callable[[], str]:
    """The same for all, in Redis and perhaps in the process's memory."""
    return lambda: queries.warm(turn)


def cold(queries: Queries, _turn: int) -> Callable[[], str]:
    """The same for all; nobody has computed it."""
    target = queries.fresh()
    return lambda: target


def all_cold(queries: Queries, _turn: int) -> Callable[[], str]:
    """Each another one."""
    return queries.fresh


@pytest.mark.parametrize(("tier", "limit"), [("free", 50), ("pro", 500)])
def test_exactly_the_limit_succeeds(own: Stack, queries: Queries, tier: str, limit: int) -> None:
    books = Books(own)
    rounds = [cached, cold] * ((ROUNDS - 2) // 2) + [cached, all_cold]
    accounts = books.sign_up(*([tier] * len(rounds)))
    serving: set[str] = set()
    for turn, (kind, account) in enumerate(zip(rounds, accounts, strict=True)):
        asked = kind(queries, turn)
        asks = [Ask(account, asked()) for _ in range(REQUESTS)]
        outcomes = asyncio.run(all_at_once(own.url, asks))
        _check(outcomes, limit)
        assert books.used([account]) == {account.username: limit}
        serving |= {outcome.process for outcome in outcomes}
    assert len(serving) == PROCESSES
    assert books.used(accounts) == {account.username: limit for account in accounts}


def _check(outcomes: list[Outcome], limit: int) -> None:
    assert Counter(o.status for o in outcomes) == {200: limit, 429: REQUESTS - limit}
    refused = [o for o in outcomes if o.status == 429]
    assert {o.detail for o in refused} == {"Rate limit exceeded. Try again tomorrow."}
    assert all(1 <= int(o.headers["retry-after"]) <= 86400 for o in refused)
    # Each success is told another place in the row.
    assert sorted(int(o.headers["x-ratelimit-remaining"]) for o in outcomes if o.status == 200) == list(range(limit))


def test_users_at_once_are_counted_apart(own: Stack, queries: Queries) -> None:
    books = Books(own)
    limits: dict[str, int] = {"free": 50, "pro": 500, "premium": REQUESTS}
    accounts = books.sign_up("free", "pro", "premium", "free")
    by_name: dict[str, Account] = {account.username: account for account in accounts}
    asks = [Ask(account, queries.warm(n)) for n in range(600) for account in accounts]
    outcomes = asyncio.run(all_at_once(own.url, asks))
    assert {o.status for o in outcomes} == {200, 429}
    granted = Counter(o.ask.account.username for o in outcomes if o.status == 200)
    assert granted == {name: min(600, limits[name.partition("-")[0]]) for name in by_name}
    assert books.used(accounts) == granted
