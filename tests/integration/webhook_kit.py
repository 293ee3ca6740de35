"""What tests of webhooks share: receivers that do as they are told, and messages for them."""

import hashlib
import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Engine, Row, insert, text

from common.accounts import create_user
from common.db.tables import jobs
from common.webhook_secrets import signing_secrets
from common.webhooks import announce_end

Behaviour = Callable[[BaseHTTPRequestHandler], None]


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def is_signed_with(self, secret: str) -> bool:
        """By Standard Webhooks, as a receiver would look at it; the message is no older than a minute."""
        if abs(time.time() - int(self.headers["webhook-timestamp"])) > 60:
            return False
        signed = b".".join([self.id.encode(), self.headers["webhook-timestamp"].encode(), self.body])
        key = b64decode(secret.removeprefix("whsec_"), validate=True)
        signature = b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{signature}" in self.headers["webhook-signature"].split(" ")


@dataclass
class Target:
    """A receiver on this machine. It answers with `behaviours` in turn, then with the last of them."""

    port: int
    behaviours: Sequence[Behaviour]
    received: list[Received] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?a=b"


def status(code: int, **headers: str) -> Behaviour:
    """Answers with a status and nothing else."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


@contextmanager
def receiving(*behaviours: Behaviour, wrap: Callable[[Any], Any] | None = None) -> Iterator[Target]:
    """A receiver for the length of the block; `wrap` makes its socket another, such as one with TLS."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            turn = min(len(target.received), len(target.behaviours) - 1)
            target.received.append(Received(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            target.behaviours[turn](self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            pass  # a sender that has heard enough hangs up

    server = Server(("127.0.0.1", 0), Handler)
    if wrap is not None:
        server.socket = wrap(server.socket)
    target = Target(server.server_port, behaviours or (status(204),))
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield target
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class Subscriber:
    """A user whose jobs end."""

    engine: Engine
    user_id: int

    @classmethod
    def new(cls, engine: Engine) -> "Subscriber":
        with engine.begin() as connection:
            return cls(engine, create_user(connection, f"user-{uuid4().hex[:12]}", "-").id)

    def end_job(self, url: str | None, state: str = "completed") -> UUID:
        """A job that has ended, with its message. Returns the job's id."""
        job_id = uuid4()
        with self.engine.begin() as connection:
            values = {
                "id": job_id,
                "user_id": self.user_id,
                "status": state,
                "request": {},
                "format": "csv",
                "data_version": "v",
                "cost": 6,
                "refunded": 1,
                "charged_on": date(2025, 10, 1),
                "series_completed": 5,
                "series_failed": 1,
                "parts_total": 1,
                "webhook_url": url,
                "completed_at": text("now()"),
                "expires_at": text("now() + interval '1 day'"),
            }
            connection.execute(insert(jobs).values(**values))
            announce_end(connection, str(job_id))
        return job_id

    def delivery(self, job_id: UUID) -> Row[Any]:
        with self.engine.connect() as connection:
            return connection.execute(
                text("SELECT *, due_at - now() AS pause FROM webhook_deliveries WHERE job_id = :id"), {"id": job_id}
            ).one()

    def secrets(self) -> list[str]:
        with self.engine.begin() as connection:
            return [secret.text for secret in signing_secrets(connection, self.user_id)]

    def change(self, statement: str, **values: object) -> None:
        """What time or misfortune would do."""
        with self.engine.begin() as connection:
            connection.execute(text(statement), values)

    def make_due(self, job_id: UUID) -> None:
        self.change("UPDATE webhook_deliveries SET due_at = now() WHERE job_id = :id", id=job_id)
