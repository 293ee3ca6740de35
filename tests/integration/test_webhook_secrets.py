"""Secrets of webhooks: one that is current, a few on their way out."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest
from sqlalchemy import Engine, text

from common.webhook_secrets import rotate_secret
from tests.integration.webhook_kit import Subscriber

T = TypeVar("T")


@pytest.fixture
def user(engine: Engine) -> Subscriber:
    return Subscriber.new(engine)


def rotate(user: Subscriber) -> str:
    with user.engine.begin() as connection:
        return rotate_secret(connection, user.user_id).text


def at_once(times: int, work: Callable[[], T]) -> list[T]:
    gate = Barrier(times)

    def run(_: int) -> T:
        gate.wait(20)
        return work()

    with ThreadPoolExecutor(times) as threads:
        return list(threads.map(run, range(times)))


def test_a_secret_that_was_replaced_signs_for_a_day(user: Subscriber) -> None:
    [old] = user.secrets()
    new = rotate(user)
    assert user.secrets() == [new, old]
    user.change("UPDATE webhook_secrets SET retires_at = retires_at - interval '23 hours 59 minutes'")
    assert user.secrets() == [new, old]
    user.change("UPDATE webhook_secrets SET retires_at = retires_at - interval '1 minute'")
    assert user.secrets() == [new]


def test_secrets_are_each_users_own(engine: Engine, user: Subscriber) -> None:
    other = Subscriber.new(engine)
    [secret] = other.secrets()
    rotate(user)
    assert other.secrets() == [secret]
    assert secret not in user.secrets()


def test_rotations_at_once_leave_one_that_is_current_and_the_last_three_before_it(user: Subscriber) -> None:
    made = at_once(6, lambda: rotate(user))
    left = user.secrets()
    assert (len(set(made)), len(left)) == (6, 4)
    assert set(left) < set(made)
    with user.engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM webhook_secrets WHERE retires_at IS NULL")).scalar() == 1


def test_whoever_asks_first_at_once_gets_the_same(user: Subscriber) -> None:
    first, *others = at_once(6, user.secrets)
    assert len(first) == 1
    assert all(secrets == first for secrets in others)
