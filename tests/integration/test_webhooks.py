"""Messages of jobs that have ended: written, sent, signed, sent again, given up."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any
from uuid import UUID

import orjson
import pytest
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from api.jobs import cancel_job
from common.settings import Settings
from common.webhook_secrets import rotate_secret
from common.webhooks import announce_end, message_id
from tests.integration.job_kit import Desk, wait_until
from tests.integration.webhook_kit import Subscriber, Target, receiving, status
from worker.resources import Resources
from worker.transitions import fail_part
from worker.webhooks.courier import Courier
from worker.webhooks.deliveries import Delivery, claim_due, record
from worker.webhooks.verdict import Attempt, Verdict

OpenCourier = Callable[..., Courier]


@pytest.fixture
def open_courier(engine: Engine, settings: Settings) -> Iterator[OpenCourier]:
    """`open_courier(webhook_attempts=2)`: a courier that has started, to private receivers unless told otherwise."""
    with ExitStack() as running:

        def start(**changes: Any) -> Courier:  # noqa: ANN401
            changes = {"webhook_private": True, "webhook_timeout_seconds": 20} | changes
            courier = Courier(settings.model_copy(update=changes), engine)
            courier.start()
            running.callback(courier.stop, 10)
            return courier

        yield start


@pytest.fixture
def user(engine: Engine) -> Subscriber:
    return Subscriber.new(engine)


@pytest.fixture
def target() -> Iterator[Target]:
    """It takes every message."""
    with receiving() as opened:
        yield opened


def is_pending_after(user: Subscriber, job_id: UUID, attempts: int) -> bool:
    delivery = user.delivery(job_id)
    return delivery.state == "pending" and len(delivery.attempts) == attempts


def in_state(user: Subscriber, job_id: UUID, state: str) -> bool:
    return user.delivery(job_id).state == state


# --- what is sent


def test_a_message_says_how_the_job_ended_and_is_signed(
    user: Subscriber, target: Target, open_courier: OpenCourier
) -> None:
    job_id = user.end_job(target.url)
    open_courier()
    wait_until(lambda: in_state(user, job_id, "delivered"))
    delivery = user.delivery(job_id)
    [message] = target.received
    assert (message.path, message.id) == ("/hook?a=b", message_id(delivery.id))
    assert message.headers["content-type"] == "application/json"
    assert message.headers["user-agent"] == "Kalpi-Webhooks/1"
    [secret] = user.secrets()  # made when it was first needed
    assert message.is_signed_with(secret)
    said = orjson.loads(message.body)
    assert list(said) == ["type", "timestamp", "data"]
    assert (said["type"], said["timestamp"]) == ("job.completed", said["data"]["completed_at"])
    assert said["timestamp"].endswith("Z")
    assert said["data"] == {
        "id": str(job_id),
        "status": "completed",
        "created_at": said["data"]["created_at"],
        "started_at": None,
        "completed_at": said["timestamp"],
        "expires_at": said["data"]["expires_at"],
        "format": "csv",
        "series": {"total": 6, "completed": 5, "failed": 1},
        "cost": 5,
        "urls": {"self": f"/v1/jobs/{job_id}", "result": f"/v1/jobs/{job_id}/result"},
    }
    [attempt] = delivery.attempts
    assert (attempt["status"], attempt["detail"], delivery.due_at) == (204, "answered 204 No Content", None)


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
def test_every_end_has_its_event_and_keeps_it(
    state: str, user: Subscriber, target: Target, open_courier: OpenCourier
) -> None:
    job_id = user.end_job(target.url, state)
    user.change("UPDATE jobs SET status = 'expired' WHERE id = :id", id=job_id)
    open_courier()
    wait_until(lambda: in_state(user, job_id, "delivered"))
    said = orjson.loads(target.received[0].body)
    assert (said["type"], said["data"]["status"]) == (f"job.{state}", state)


def announced(desk: Desk) -> list[str]:
    with desk.engine.connect() as connection:
        return list(connection.execute(text("SELECT event FROM webhook_deliveries ORDER BY created_at")).scalars())


def test_every_way_a_job_ends_leaves_one_message(desk: Desk, resources: Resources) -> None:
    completed, failed, cancelled = (desk.submit(symbols=1) for _ in range(3))
    desk.change("UPDATE jobs SET webhook_url = 'https://example.com/'")
    desk.run_all(resources, completed)
    claim = desk.claim(failed, 0)
    assert claim is not None
    with desk.engine.begin() as connection:
        fail_part(connection, claim, "for a test", 60)
    for _ in range(2):
        with desk.engine.begin() as connection:
            cancel_job(connection, desk.user_id, UUID(cancelled), 60)
    assert announced(desk) == ["job.completed", "job.failed", "job.cancelled"]


def test_a_job_without_a_webhook_has_no_message(user: Subscriber) -> None:
    job_id = user.end_job(None)
    with user.engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM webhook_deliveries WHERE job_id = :id"), {"id": job_id})
        assert found.scalar_one() == 0


def test_there_is_no_message_where_the_end_is_taken_back(user: Subscriber, target: Target) -> None:
    job_id = user.end_job(target.url)
    with user.engine.connect() as connection:
        announce_end(connection, str(job_id))
        connection.rollback()
    assert user.delivery(job_id).state == "pending"  # the one, and no other


# --- again, and no more


def test_what_fails_is_sent_again_later_the_same(user: Subscriber, open_courier: OpenCourier) -> None:
    with receiving(status(500), status(204)) as target:
        job_id = user.end_job(target.url)
        open_courier(webhook_pause_seconds=1000)
        wait_until(lambda: is_pending_after(user, job_id, 1))
        assert timedelta(seconds=900) < user.delivery(job_id).pause <= timedelta(seconds=1200)
        user.make_due(job_id)
        wait_until(lambda: in_state(user, job_id, "delivered"))
    first, second = target.received
    assert (first.id, first.body) == (second.id, second.body)
    assert all(message.is_signed_with(*user.secrets()) for message in target.received)
    attempts = user.delivery(job_id).attempts
    assert [(a["status"], a["detail"]) for a in attempts] == [
        (500, "answered 500 Internal Server Error"),
        (204, "answered 204 No Content"),
    ]


def test_a_redirect_is_a_failure_and_is_not_followed(
    user: Subscriber, target: Target, open_courier: OpenCourier
) -> None:
    with receiving(status(302, Location=target.url)) as elsewhere:
        job_id = user.end_job(elsewhere.url)
        open_courier(webhook_attempts=1)
        wait_until(lambda: in_state(user, job_id, "failed"))
    [attempt] = user.delivery(job_id).attempts
    assert (attempt["status"], attempt["detail"]) == (302, "answered 302 Found; redirects are not followed")
    assert target.received == []


def test_after_the_last_attempt_it_is_given_up(user: Subscriber, open_courier: OpenCourier) -> None:
    with receiving(status(599)) as target:
        job_id = user.end_job(target.url)
        open_courier(webhook_attempts=3, webhook_pause_seconds=0.01)
        wait_until(lambda: in_state(user, job_id, "failed"))
    delivery = user.delivery(job_id)
    assert (len(delivery.attempts), len(target.received), delivery.due_at) == (3, 3, None)
    assert delivery.attempts[0]["detail"] == "answered 599"


def test_a_receiver_that_is_gone_is_not_asked_again(user: Subscriber, open_courier: OpenCourier) -> None:
    with receiving(status(410)) as target:
        job_id = user.end_job(target.url)
        open_courier()
        wait_until(lambda: in_state(user, job_id, "failed"))
    [attempt] = user.delivery(job_id).attempts
    assert attempt["detail"] == "answered 410 Gone; it is not asked again"


def test_a_receiver_may_ask_for_a_pause(user: Subscriber, open_courier: OpenCourier) -> None:
    with receiving(status(429, Retry_After="5000")) as target:
        job_id = user.end_job(target.url)
        open_courier()
        wait_until(lambda: is_pending_after(user, job_id, 1))
    assert timedelta(seconds=4900) < user.delivery(job_id).pause <= timedelta(seconds=5000)


def test_of_very_many_attempts_the_latest_are_kept(user: Subscriber, target: Target, open_courier: OpenCourier) -> None:
    job_id = user.end_job(target.url)
    user.change(
        """UPDATE webhook_deliveries SET attempts = (
               SELECT jsonb_agg(jsonb_build_object('at', '', 'status', n, 'detail', '', 'milliseconds', 0))
               FROM generate_series(1, 100) n
           ) WHERE job_id = :id""",
        id=job_id,
    )
    open_courier()
    wait_until(lambda: in_state(user, job_id, "delivered"))
    assert [a["status"] for a in user.delivery(job_id).attempts] == [*range(2, 101), 204]


# --- where it may not go


@pytest.mark.parametrize(
    ("host", "why"),
    [
        ("localhost", "its host has an address that webhooks may not go to"),
        ("127.0.0.1", "its URL goes to 127.0.0.1, which is no public address"),
    ],
)
def test_nothing_goes_to_private_addresses_unless_the_operator_allows_it(
    host: str, why: str, user: Subscriber, target: Target, open_courier: OpenCourier
) -> None:
    job_id = user.end_job(f"https://{host}:{target.port}/")
    open_courier(webhook_private=False, webhook_attempts=1)
    wait_until(lambda: in_state(user, job_id, "failed"))
    [attempt] = user.delivery(job_id).attempts
    assert (attempt["status"], attempt["detail"]) == (None, why)
    assert target.received == []


# --- whatever dies, and many at once


def claim(engine: Engine, lease: float = 60) -> Delivery | None:
    with engine.begin() as connection:
        return claim_due(connection, lease=lease, busy=[])


def note(engine: Engine, delivery: Delivery) -> bool:
    attempt = Attempt(delivery.lost_at, 204, "answered 204 No Content", 1)
    with engine.begin() as connection:
        return record(connection, delivery, attempt, Verdict("delivered"))


def test_a_courier_that_dies_between_sending_and_recording_repeats_the_message(
    engine: Engine, user: Subscriber, target: Target, open_courier: OpenCourier
) -> None:
    job_id = user.end_job(target.url)
    dead = claim(engine)
    assert dead is not None
    assert claim(engine) is None  # nobody else has it meanwhile
    user.make_due(job_id)
    open_courier()
    wait_until(lambda: in_state(user, job_id, "delivered"))
    [message] = target.received
    assert (message.id, message.body) == (message_id(dead.id), dead.body)
    assert not note(engine, dead)
    assert len(user.delivery(job_id).attempts) == 1


def test_who_has_lost_a_claim_records_nothing(engine: Engine, user: Subscriber, target: Target) -> None:
    job_id = user.end_job(target.url)
    late = claim(engine)
    user.make_due(job_id)
    holder = claim(engine)
    assert late is not None
    assert holder is not None
    assert not note(engine, late)
    assert is_pending_after(user, job_id, 0)
    assert note(engine, holder)


def test_a_message_whose_user_has_gone_ends_with_the_job(engine: Engine, user: Subscriber, target: Target) -> None:
    user.end_job(target.url)
    held = claim(engine)
    user.change("DELETE FROM users WHERE id = :id", id=user.user_id)
    assert held is not None
    assert not note(engine, held)


def test_two_couriers_send_each_message_once(engine: Engine, target: Target, open_courier: OpenCourier) -> None:
    users = [Subscriber.new(engine) for _ in range(5)]
    jobs = [(user, user.end_job(target.url)) for user in users for _ in range(8)]
    open_courier()
    open_courier()
    wait_until(lambda: all(in_state(user, job_id, "delivered") for user, job_id in jobs))
    counts = Counter(message.id for message in target.received)
    assert (len(counts), set(counts.values())) == (40, {1})


def test_a_slow_receiver_holds_up_its_own_user_alone(
    engine: Engine, user: Subscriber, target: Target, open_courier: OpenCourier
) -> None:
    """Eight are sent at once, two of a user."""
    goes_on = threading.Event()

    def hang(request: BaseHTTPRequestHandler) -> None:
        goes_on.wait(30)
        status(204)(request)

    with receiving(hang) as slow:
        stuck = [user.end_job(slow.url) for _ in range(10)]
        courier = open_courier()
        wait_until(lambda: len(slow.received) == 2)
        other = Subscriber.new(engine)
        prompt = [other.end_job(target.url) for _ in range(10)]
        wait_until(lambda: all(in_state(other, job_id, "delivered") for job_id in prompt))
        assert len(slow.received) == 2
        goes_on.set()
        wait_until(lambda: all(in_state(user, job_id, "delivered") for job_id in stuck))
        assert courier.stop(10)


def test_a_courier_that_is_told_to_stop_ends_what_it_has_begun(
    user: Subscriber, target: Target, open_courier: OpenCourier
) -> None:
    goes_on = threading.Event()

    def hang(request: BaseHTTPRequestHandler) -> None:
        goes_on.wait(30)
        status(204)(request)

    with receiving(hang) as slow:
        begun = user.end_job(slow.url)
        courier = open_courier()
        wait_until(lambda: slow.received)
        assert not courier.stop(0.05)
        later = user.end_job(target.url)
        goes_on.set()
        wait_until(lambda: in_state(user, begun, "delivered"))
        assert is_pending_after(user, later, 0)
    assert target.received == []


def test_a_courier_outlives_a_database_that_is_away(
    user: Subscriber, target: Target, open_courier: OpenCourier
) -> None:
    user.change("ALTER TABLE webhook_deliveries RENAME TO away")
    with capture_logs() as logs:
        open_courier()
        wait_until(lambda: [log for log in logs if log["event"] == "webhooks_not_claimed"])
    user.change("ALTER TABLE away RENAME TO webhook_deliveries")
    job_id = user.end_job(target.url)
    wait_until(lambda: in_state(user, job_id, "delivered"))


# --- secrets


def test_after_a_rotation_old_and_new_secret_sign(
    engine: Engine, user: Subscriber, target: Target, open_courier: OpenCourier
) -> None:
    [old] = user.secrets()
    with engine.begin() as connection:
        new = rotate_secret(connection, user.user_id).text
    job_id = user.end_job(target.url)
    open_courier()
    wait_until(lambda: in_state(user, job_id, "delivered"))
    [message] = target.received
    assert message.headers["webhook-signature"].count("v1,") == 2
    assert message.is_signed_with(old)
    assert message.is_signed_with(new)
