"""Admissions over a real PostgreSQL: what is said to be charged is what is counted, whatever happens on the way."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import psycopg2
import pytest
from sqlalchemy import func, insert, select

from api.admission import Admission, Admissions
from api.counting import CountingConnection, connector
from cli.backends import plain_url
from common.accounts import create_user, set_tier
from common.db.session import counting_arguments, make_engine
from common.db.tables import sessions, users
from common.errors import QuotaExceeded, Unauthenticated, Unavailable
from common.quota import PREPARE, Standing
from common.tiers import OUT_OF_REACH, TIERS, TierName
from tests.wire import Loss, wire_to

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)


def _sign_in(url: str, name: str, tier: TierName, count: int = 1) -> list[str]:
    """`count` sessions of one new user."""
    ids = [uuid4() for _ in range(count)]
    engine = make_engine(url)
    with engine.begin() as connection:
        user = create_user(connection, name, "-", tier)
        expires_at = func.now() + timedelta(days=1)
        for session_id in ids:
            connection.execute(insert(sessions).values(id=session_id, user_id=user.id, expires_at=expires_at))
    engine.dispose()
    return [str(UUID(hex=i.hex)) for i in ids]


def _counts(url: str) -> dict[str, int]:
    engine = make_engine(url)
    with engine.begin() as connection:
        counts = {row.username: row.requests_today for row in connection.execute(select(users))}
    engine.dispose()
    return counts


@asynccontextmanager
async def _admissions(url: str, patience: float = 5) -> AsyncIterator[Admissions]:
    counting = CountingConnection(
        connector(counting_arguments(url, timeout=patience, name="test-counting"), patience, PREPARE)
    )
    admissions = Admissions(counting, lambda: NOW, patience)
    try:
        yield admissions
    finally:
        await admissions.settled()
        counting.close()


def test_what_is_said_to_be_charged_is_counted_whoever_only_looks(database: str) -> None:
    free = _sign_in(database, "ada", TierName.FREE, 3)
    pro = _sign_in(database, "bob", TierName.PRO, 3)
    premium = _sign_in(database, "eve", TierName.PREMIUM, 2)
    choose = random.Random(7)
    owner = {s: name for name, ids in (("ada", free), ("bob", pro), ("eve", premium)) for s in ids}

    async def scenario() -> dict[str, int]:
        charged = dict.fromkeys(("ada", "bob", "eve"), 0)
        kinds = ["claim", "claim", "fail", "look"]
        async with _admissions(database) as admissions:

            async def one(session_id: str, rank: int, kind: str) -> None:
                if kind == "look":
                    await admissions.standing(session_id)
                    return
                admission = await admissions.claim(session_id, rank)
                if admission.charged and kind == "fail":
                    admissions.give_back(admission)
                elif admission.charged:
                    charged[owner[session_id]] += 1

            # Of each user's sessions one only looks, so that it shares statements with the others that pay.
            lookers = {free[0], pro[0], premium[0]}
            asked = [
                (session_id, choose.choice([0, 0, 1]), "look" if session_id in lookers else choose.choice(kinds))
                for session_id in choose.choices([*free, *pro, *premium], k=600)
            ]
            await asyncio.gather(*(one(*words) for words in asked))
        return charged

    charged = asyncio.run(scenario())
    assert _counts(database) == charged
    assert 0 < charged["ada"] <= 50
    assert charged["bob"] > 50


def test_each_answer_counts_those_before_it(database: str) -> None:
    [session] = _sign_in(database, "ada", TierName.FREE)

    async def scenario() -> list[Admission]:
        async with _admissions(database) as admissions:
            return await asyncio.gather(*(admissions.claim(session, 0) for _ in range(53)))

    admissions = asyncio.run(scenario())
    assert [a.charged for a in admissions] == [True] * 50 + [False] * 3
    assert [a.standing.remaining for a in admissions] == [*range(49, -1, -1), 0, 0, 0]


def test_what_is_outside_the_tier_is_not_charged(database: str) -> None:
    [session] = _sign_in(database, "ada", TierName.FREE)

    async def scenario() -> list[Admission]:
        async with _admissions(database) as admissions:
            assert admissions.last_tier(session) is None
            refused = [await admissions.claim(session, rank) for rank in (1, OUT_OF_REACH)]
            with pytest.raises(Unauthenticated):
                await admissions.claim(str(uuid4()), 0)
            assert admissions.last_tier(session) is TIERS[TierName.FREE]
            return refused

    assert [(a.charged, a.standing.used) for a in asyncio.run(scenario())] == [(False, 0)] * 2


def test_a_claim_for_the_last_known_tier_is_not_charged_to_another(database: str) -> None:
    [session] = _sign_in(database, "ada", TierName.FREE)

    async def scenario() -> tuple[Admission, Admission]:
        async with _admissions(database) as admissions:
            await admissions.standing(session)
            engine = make_engine(database)
            with engine.begin() as connection:
                set_tier(connection, "ada", TierName.PRO)
            engine.dispose()
            as_free = await admissions.claim(session, 0, ceiling=0)
            as_pro = await admissions.claim(session, 1, ceiling=1)
            return as_free, as_pro

    as_free, as_pro = asyncio.run(scenario())
    assert (as_free.charged, as_free.standing.tier.name) == (False, TierName.PRO)
    assert (as_pro.charged, as_pro.standing.used) == (True, 1)


def test_what_is_expected_leaves_room_for_no_more_than_the_day(database: str) -> None:
    [session] = _sign_in(database, "ada", TierName.FREE)

    async def scenario() -> None:
        async with _admissions(database) as admissions:
            for _ in range(49):
                await admissions.claim(session, 0)
            standing = await admissions.standing(session)
            with admissions.expecting(standing):
                with pytest.raises(QuotaExceeded) as refused, admissions.expecting(standing):
                    pass
                assert refused.value.retry_after == 12 * 3600 + 1
            with admissions.expecting(standing):  # what was expected and did not come leaves its room again
                pass

    asyncio.run(scenario())


def test_a_charge_whose_reply_is_lost_is_counted_once(database: str) -> None:
    [ada] = _sign_in(database, "ada", TierName.FREE)
    [eve] = _sign_in(database, "eve", TierName.PREMIUM)

    async def scenario() -> int:
        charged = 0
        async with wire_to(database) as wire, _admissions(wire.url(database)) as admissions:
            await admissions.standing(ada)
            for _ in range(10):
                lost = wire.lose_next_reply()
                answers = await asyncio.gather(*(admissions.claim(s, 0) for s in (ada, eve, eve)))
                assert lost.is_set()
                charged += sum(a.charged for a in answers)
            assert wire.connections == 11
        return charged

    assert asyncio.run(scenario()) == 30
    assert _counts(database) == {"ada": 10, "eve": 20}


def test_a_charge_that_is_still_under_way_on_a_broken_connection_is_counted_once(database: str) -> None:
    [ada] = _sign_in(database, "ada", TierName.FREE)

    async def scenario() -> int:
        charged = 0
        async with wire_to(database) as wire, _admissions(wire.url(database)) as admissions:
            await admissions.standing(ada)
            for _ in range(4):
                with _users_locked(database):  # PostgreSQL does not notice meanwhile that nobody is there any more
                    claim = asyncio.create_task(admissions.claim(ada, 0))
                    await asyncio.to_thread(_until_blocked, database)
                    wire.cut()
                charged += (await claim).charged
        return charged

    assert asyncio.run(scenario()) == 4
    assert _counts(database) == {"ada": 4}


def test_a_charge_is_taken_back_though_nobody_asks_again(database: str) -> None:
    [ada] = _sign_in(database, "ada", TierName.FREE)

    async def scenario() -> None:
        async with wire_to(database) as wire, _admissions(wire.url(database)) as admissions:
            await admissions.standing(ada)
            lost = [wire.lose(Loss(b"EXECUTE charge")) for _ in range(2)]
            with pytest.raises(Unavailable):
                await admissions.claim(ada, 0)
            assert all(each.is_set() for each in lost)
            await admissions.settled()

    asyncio.run(scenario())
    assert _counts(database) == {"ada": 0}


def test_who_only_looks_sees_what_another_session_pays_at_that_moment(database: str) -> None:
    looks, pays = _sign_in(database, "ada", TierName.FREE, 2)

    async def scenario() -> list[int]:
        async with _admissions(database) as admissions:
            seen = await asyncio.gather(
                admissions.standing(looks),
                admissions.claim(pays, 0),
                admissions.standing(looks),
                admissions.claim(pays, 0),
                admissions.standing(looks),
            )
            return [each.used if isinstance(each, Standing) else each.standing.used for each in seen]

    assert asyncio.run(scenario()) == [0, 1, 1, 2, 2]


def test_a_refund_whose_reply_is_lost_is_made_once(database: str) -> None:
    [eve] = _sign_in(database, "eve", TierName.PREMIUM)

    async def scenario() -> None:
        async with wire_to(database) as wire, _admissions(wire.url(database)) as admissions:
            admissions_made = [await admissions.claim(eve, 0) for _ in range(10)]
            for admission in admissions_made[:4]:
                lost = wire.lose_next_reply()
                admissions.give_back(admission)
                await admissions.settled()
                assert lost.is_set()

    asyncio.run(scenario())
    assert _counts(database) == {"eve": 6}


def test_a_connection_that_was_ended_while_idle_costs_nobody_anything(database: str) -> None:
    [ada] = _sign_in(database, "ada", TierName.FREE)

    async def scenario() -> list[bool]:
        async with _admissions(database) as admissions:
            charged = [(await admissions.claim(ada, 0)).charged]
            for _ in range(3):
                await asyncio.to_thread(_end_counting, database)
                charged.append((await admissions.claim(ada, 0)).charged)
            return charged

    assert asyncio.run(scenario()) == [True] * 4
    assert _counts(database) == {"ada": 4}


def test_what_is_charged_to_callers_who_have_given_up_is_given_back(database: str) -> None:
    [ada] = _sign_in(database, "ada", TierName.FREE)

    async def scenario() -> None:
        async with _admissions(database) as admissions:
            await admissions.standing(ada)
            with _users_locked(database):
                waiting = [asyncio.create_task(admissions.claim(ada, 0)) for _ in range(3)]
                await asyncio.to_thread(_until_blocked, database)
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
            assert (await admissions.claim(ada, 0)).standing.used <= 4

    asyncio.run(scenario())
    assert _counts(database) == {"ada": 1}


def test_nobody_queues_behind_a_statement_that_is_overdue(database: str) -> None:
    [ada] = _sign_in(database, "ada", TierName.FREE)

    async def scenario() -> None:
        async with _admissions(database, patience=1) as admissions:
            await admissions.standing(ada)
            with _users_locked(database):
                for _ in range(3):
                    with pytest.raises(Unavailable):
                        await admissions.claim(ada, 0)
            assert await _first_charged(admissions, ada)

    asyncio.run(scenario())
    assert _counts(database) == {"ada": 1}


@contextmanager
def _users_locked(url: str) -> Iterator[None]:
    """Whoever counts must wait."""
    connection = psycopg2.connect(plain_url(url))
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM users FOR UPDATE")
        yield
    finally:
        connection.close()


async def _first_charged(admissions: Admissions, session: str) -> bool:
    """Asks until PostgreSQL is there again."""
    while True:
        try:
            return (await admissions.claim(session, 0)).charged
        except Unavailable:
            await asyncio.sleep(0.01)


def _end_counting(url: str) -> None:
    with psycopg2.connect(plain_url(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'test-counting'"
        )
        assert cursor.fetchall() == [(True,)]
    connection.close()


def _until_blocked(url: str) -> None:
    connection = psycopg2.connect(plain_url(url))
    connection.autocommit = True
    with connection.cursor() as cursor:
        while True:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test-counting'"
                " AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone() == (1,):
                break
    connection.close()
