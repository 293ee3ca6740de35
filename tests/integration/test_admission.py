"""Admissions over a real PostgreSQL: what is said to be charged is what is counted, whoever waits beside it."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, insert, select

from api.admission import Admission, Admissions, insist
from api.database import Database
from common import quota
from common.accounts import create_user
from common.db.session import make_counting_engine, make_engine
from common.db.tables import sessions, users
from common.errors import NotAllowed, QuotaExceeded, Unauthenticated
from common.quota import Standing
from common.tiers import OUT_OF_REACH, TierName

NOW = datetime(2031, 5, 6, 12, tzinfo=UTC)


def _sign_in(url: str, name: str, tier: TierName, count: int) -> list[UUID]:
    """`count` sessions of one new user."""
    ids = [uuid4() for _ in range(count)]
    engine = make_engine(url)
    with engine.begin() as connection:
        user = create_user(connection, name, "-", tier)
        expires_at = func.now() + timedelta(days=1)
        for session_id in ids:
            connection.execute(insert(sessions).values(id=session_id, user_id=user.id, expires_at=expires_at))
    engine.dispose()
    return ids


def _counts(url: str) -> dict[str, int]:
    engine = make_engine(url)
    with engine.begin() as connection:
        counts = {row.username: row.requests_today for row in connection.execute(select(users))}
    engine.dispose()
    return counts


@asynccontextmanager
async def _admissions(url: str) -> AsyncIterator[Admissions]:
    engine = make_counting_engine(url, timeout=5, name="test")
    quota.prepare(engine)
    counting = Database(engine, threads=1, patience=None)
    admissions = Admissions(counting, lambda: NOW, 5)
    try:
        yield admissions
    finally:
        await admissions.settled()
        await counting.close()


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

            async def one(session_id: UUID, rank: int, kind: str) -> None:
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
    [session] = _sign_in(database, "ada", TierName.FREE, 1)

    async def scenario() -> list[Admission]:
        async with _admissions(database) as admissions:
            return await asyncio.gather(*(admissions.claim(session, 0) for _ in range(53)))

    admissions = asyncio.run(scenario())
    assert [a.charged for a in admissions] == [True] * 50 + [False] * 3
    assert [a.standing.remaining for a in admissions] == [*range(49, -1, -1), 0, 0, 0]
    assert admissions[0].before.remaining == 50


def test_refusals_say_why(database: str) -> None:
    [session] = _sign_in(database, "ada", TierName.FREE, 1)

    async def scenario() -> tuple[Admission, Admission, Standing]:
        async with _admissions(database) as admissions:
            above = await admissions.claim(session, 1)
            beyond = await admissions.claim(session, OUT_OF_REACH)
            with pytest.raises(Unauthenticated):
                await admissions.claim(uuid4(), 0)
            return above, beyond, await admissions.standing(session)

    above, beyond, standing = asyncio.run(scenario())
    with pytest.raises(NotAllowed) as refused:
        insist(above, 1, NOW)
    assert refused.value.required_tier == "pro"
    with pytest.raises(NotAllowed) as refused:
        insist(beyond, OUT_OF_REACH, NOW)
    assert refused.value.required_tier is None
    assert standing.used == 0
    with pytest.raises(QuotaExceeded) as late:
        insist(Admission(standing, charged=False), 0, NOW)
    assert late.value.retry_after == 12 * 3600 + 1
