"""Takes messages to their receivers, beside the sweeping: a slow receiver holds up nobody but its own user.

Any number of couriers may run. A message whose courier dies is sent again when its claim is over, under the same id.
"""

import ssl
import threading
from collections import Counter
from collections.abc import Sequence
from time import monotonic

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from common.db.session import make_engine
from common.settings import Settings
from common.webhooks import message_id
from worker.webhooks.deliveries import Delivery, claim_due, record
from worker.webhooks.sending import send
from worker.webhooks.verdict import judge

log = structlog.get_logger()

_LOOK_SECONDS = 0.5
"""Between two looks for what is due, while nothing is."""

_AT_ONCE = 8
_AT_ONCE_OF_A_USER = 2

_RECORDING_SECONDS = 30.0
"""Of a claim, beyond what a receiver may take: time to record, for a database that is slow."""


class Courier:
    """Threads that send what is due: one that claims, and one for each message under way."""

    def __init__(self, settings: Settings, engine: Engine) -> None:
        self._settings = settings
        self._engine = engine
        self._tls = ssl.create_default_context()
        self._claiming = threading.Thread(target=self._run, name="courier", daemon=True)
        self._sending: dict[threading.Thread, int] = {}  # for which user
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._wake = threading.Event()

    def start(self) -> None:
        self._claiming.start()

    def stop(self, seconds: float) -> bool:
        """Claims nothing more. Whether what was under way has ended; it is waited for so long."""
        self._stopped.set()
        self._wake.set()
        end = monotonic() + seconds
        self._claiming.join(seconds)
        with self._lock:
            threads = [self._claiming, *self._sending]
        for thread in threads:
            thread.join(max(0.0, end - monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _run(self) -> None:
        while True:
            self._wake.clear()  # before all looks: what happens after them is looked at in the next round
            if self._stopped.is_set():
                return
            if not self._send_next():
                self._wake.wait(_LOOK_SECONDS)

    def _send_next(self) -> bool:
        """Whether there is one to send, and room to."""
        with self._lock:
            under_way = Counter(self._sending.values())
        if under_way.total() >= _AT_ONCE:
            return False
        delivery = self._claim([user_id for user_id, count in under_way.items() if count >= _AT_ONCE_OF_A_USER])
        if delivery is None:
            return False
        thread = threading.Thread(target=self._deliver, args=(delivery,), name="webhook", daemon=True)
        with self._lock:
            self._sending[thread] = delivery.user_id
        thread.start()
        return True

    def _claim(self, busy: Sequence[int]) -> Delivery | None:
        lease = self._settings.webhook_timeout_seconds + _RECORDING_SECONDS
        try:
            with self._engine.begin() as connection:
                return claim_due(connection, lease=lease, busy=busy)
        except SQLAlchemyError as error:
            log.warning("webhooks_not_claimed", error=type(error).__name__)
        except Exception:
            log.exception("webhooks_not_claimed")
        return None

    def _deliver(self, delivery: Delivery) -> None:
        try:
            self._send_and_record(delivery)
        except SQLAlchemyError as error:
            log.warning("webhook_not_recorded", delivery=message_id(delivery.id), error=type(error).__name__)
        except Exception:
            log.exception("webhook_not_recorded", delivery=message_id(delivery.id))
        finally:
            with self._lock:
                del self._sending[threading.current_thread()]
            self._wake.set()

    def _send_and_record(self, delivery: Delivery) -> None:
        attempt = send(delivery, self._settings, self._tls)
        made = len(delivery.attempts) + 1
        verdict = judge(
            attempt, made, most=self._settings.webhook_attempts, first_pause=self._settings.webhook_pause_seconds
        )
        with self._engine.begin() as connection:
            recorded = record(connection, delivery, attempt, verdict)
        log.info(
            "webhook_sent",
            delivery=message_id(delivery.id),
            job_id=str(delivery.job_id),
            attempt=made,
            status=attempt.status,
            detail=attempt.detail,
            milliseconds=attempt.milliseconds,
            state=verdict.state,
            recorded=recorded,
        )


def make_courier(settings: Settings) -> Courier:
    """Connects when it has started."""
    engine = make_engine(settings.database, timeout=settings.database_timeout_seconds, name="kalpi-courier")
    return Courier(settings, engine)
