"""The daily count in PostgreSQL: exact under concurrency, over midnight, and when it is given back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import count
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, event, func, insert, select, update
from sqlalchemy.engine.interfaces import DBAPIConnection

from common import quota
from common.accounts import create_user, set_tier
from common.db.session import make_engine
from common.db.tables import sessions, users
from common.quota import Claim, Refund, Standing, Statement
from common.tiers import OUT_OF_REACH, TierName

TODAY = date(2026, 3, 1)
TOMORROW = TODAY + timedelta(days=1)


@pytest.fixture
def engine(database: str) -> Iterator[Engine]:
    engine = make_engine(database, pool_size=16)

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _record: object) -> None:
        connection.cursor().execute(quota.PREPARE)
        connection.commit()

    yield engine
    engine.dispose()


def _sign_in(engine: Engine, name: str, tier: TierName = TierName.FREE) -> str:
    session_id = str(uuid4())
    with engine.begin() as connection:
        user = create_user(connection, name, "-", tier)
        connection.execute(update(users).values(last_request_reset=TODAY))
        connection.execute(
            insert(sessions).values(id=UUID(session_id), user_id=user.id, expires_at=func.now() + timedelta(days=1))
        )
    return session_id


_numbers = count(1)


def _run(engine: Engine, statement: Statement) -> dict[str, Standing]:
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(*statement)
        # psycopg2 has been told by SQLAlchemy to make UUIDs of them.
        return quota.standings([(str(row[0]), *row[1:]) for row in cursor.fetchall()])


def _charge(engine: Engine, *claims: Claim, today: date = TODAY) -> dict[str, Standing]:
    """By a process that is heard of no more."""
    return _run(engine, quota.charge(claims, today, str(uuid4()), next(_numbers)))


def _used(engine: Engine, session_id: str, today: date = TODAY) -> int:
    return _run(engine, quota.peek([session_id], today))[session_id].used


def _carry_out(engine: Engine, statement: Statement) -> int:
    """How many users it changed."""
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(*statement)
        return len(cursor.fetchall())


def test_concurrent_claims_of_one_user_are_granted_up_to_the_limit_and_not_once_more(engine: Engine) -> None:
    session = _sign_in(engine, "ada")
    with ThreadPoolExecutor(16) as threads:
        granted = list(threads.map(lambda _: _charge(engine, Claim(session, 0, 3))[session].granted, range(40)))
    assert sum(granted) == 50
    assert sorted(set(granted)) == [0, 2, 3]
    assert _used(engine, session) == 50


def test_statements_over_the_same_users_in_any_order_do_not_deadlock(engine: Engine) -> None:
    pair = [_sign_in(engine, f"user-{n}", TierName.PREMIUM) for n in range(6)]
    with ThreadPoolExecutor(12) as threads:
        list(
            threads.map(
                lambda n: _charge(engine, *(Claim(s, 0, 1) for s in (pair if n % 2 else reversed(pair)))), range(60)
            )
        )
    assert [_used(engine, s) for s in pair] == [60] * 6


def test_claims_above_the_tier_are_not_charged_and_take_nothing_from_the_others(engine: Engine) -> None:
    session = _sign_in(engine, "ada")
    standing = _charge(engine, Claim(session, 0, 2), Claim(session, 1, 5), Claim(session, OUT_OF_REACH, 5))[session]
    assert (standing.granted, standing.used, standing.remaining) == (2, 2, 48)


def test_unlimited_is_counted_all_the_same(engine: Engine) -> None:
    session = _sign_in(engine, "ada", TierName.PREMIUM)
    standing = _charge(engine, Claim(session, 2, 1234))[session]
    assert (standing.granted, standing.used, standing.remaining) == (1234, 1234, None)


def test_a_change_of_tier_holds_from_the_next_statement(engine: Engine) -> None:
    session = _sign_in(engine, "ada")
    assert _charge(engine, Claim(session, 0, 60))[session].granted == 50
    with engine.begin() as connection:
        set_tier(connection, "ADA", TierName.PRO)
    standing = _charge(engine, Claim(session, 1, 60))[session]
    assert (standing.granted, standing.used, standing.tier.name) == (60, 110, TierName.PRO)


def test_the_count_starts_over_with_the_day_and_never_goes_back(engine: Engine) -> None:
    session = _sign_in(engine, "ada")
    assert _charge(engine, Claim(session, 0, 50))[session].granted == 50
    assert _used(engine, session, TOMORROW) == 0
    assert _charge(engine, Claim(session, 0, 20), today=TOMORROW)[session].granted == 20
    # Another process whose clock lags behind counts on the day that has begun.
    late = _charge(engine, Claim(session, 0, 40), today=TODAY)[session]
    assert (late.granted, late.used, late.day) == (30, 50, TOMORROW)


def test_a_refund_goes_to_the_day_that_paid(engine: Engine) -> None:
    session = _sign_in(engine, "ada")
    user_id = _charge(engine, Claim(session, 0, 10))[session].user_id
    with engine.begin() as connection:
        quota.refund(connection, user_id, 4, TODAY)
    assert _used(engine, session) == 6
    _charge(engine, Claim(session, 0, 3), today=TOMORROW)
    with engine.begin() as connection:
        quota.refund(connection, user_id, 6, TODAY)  # that day is over
    assert _used(engine, session, TOMORROW) == 3


def test_a_claim_with_a_ceiling_is_not_charged_to_a_higher_tier(engine: Engine) -> None:
    session = _sign_in(engine, "ada", TierName.PRO)
    free_only, pro_only = Claim(session, 0, 3, ceiling=0), Claim(session, 1, 2, ceiling=1)
    assert _charge(engine, free_only)[session].granted == 0
    assert _charge(engine, free_only, pro_only)[session].granted == 2
    assert _used(engine, session) == 2


def test_a_charge_is_taken_back_once_and_only_while_it_is_the_last(engine: Engine) -> None:
    free, premium = _sign_in(engine, "ada"), _sign_in(engine, "eve", TierName.PREMIUM)
    process = str(uuid4())
    _run(engine, quota.charge([Claim(free, 0, 60), Claim(premium, 0, 7)], TODAY, process, 1))
    assert _carry_out(engine, quota.undo(process, 2)) == 0  # that one never came here
    assert _carry_out(engine, quota.undo(str(uuid4()), 1)) == 0
    assert _carry_out(engine, quota.undo(process, 1)) == 2
    assert _carry_out(engine, quota.undo(process, 1)) == 0
    assert (_used(engine, free), _used(engine, premium)) == (0, 0)
    _run(engine, quota.charge([Claim(premium, 0, 7)], TODAY, process, 2))
    _run(engine, quota.charge([Claim(premium, 0, 1)], TODAY, process, 3))
    assert _carry_out(engine, quota.undo(process, 2)) == 0
    assert _used(engine, premium) == 8


def test_refunds_are_carried_out_once_however_often_they_are_sent(engine: Engine) -> None:
    free, premium = _sign_in(engine, "ada"), _sign_in(engine, "eve", TierName.PREMIUM)
    process = str(uuid4())
    standings = _run(engine, quota.charge([Claim(free, 0, 10), Claim(premium, 0, 7)], TODAY, process, 1))
    refunds = [Refund(standings[free].user_id, 4, TODAY), Refund(standings[premium].user_id, 7, TODAY - timedelta(1))]
    for changed in (1, 0, 0):  # of the other the day is over
        assert _carry_out(engine, quota.refund_all(refunds, process, 2)) == changed
    assert (_used(engine, free), _used(engine, premium)) == (6, 7)


def test_a_job_is_charged_whole_or_not_at_all(engine: Engine) -> None:
    session = _sign_in(engine, "ada")
    user_id = _charge(engine, Claim(session, 0, 20))[session].user_id
    with engine.begin() as connection:
        assert quota.charge_whole(connection, user_id, 31, TODAY) is None
        assert quota.charge_whole(connection, user_id, 30, TODAY) == (TODAY, 50)
        assert quota.charge_whole(connection, user_id, 1, TODAY) is None
        assert quota.charge_whole(connection, user_id, 50, TOMORROW) == (TOMORROW, 50)
    assert _used(engine, session, TOMORROW) == 50


@pytest.mark.parametrize("end", [{"revoked_at": func.now()}, {"expires_at": func.now()}])
def test_an_ended_session_has_no_standing_and_is_not_charged(engine: Engine, end: dict[str, object]) -> None:
    session = _sign_in(engine, "ada")
    with engine.begin() as connection:
        connection.execute(update(sessions).values(**end))
    assert _charge(engine, Claim(session, 0, 1), Claim(str(uuid4()), 0, 1)) == {}
    assert _run(engine, quota.peek([session, str(uuid4())], TODAY)) == {}
    with engine.begin() as connection:
        assert connection.execute(select(users.c.requests_today)).scalar_one() == 0
