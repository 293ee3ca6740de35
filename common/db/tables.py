"""The tables, as SQLAlchemy Core. Migrations in `migrations/` bring a database to exactly this."""

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from common.jobs import JobState, PartState
from common.tiers import TierName

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _one_of(column: str, values: type[TierName | JobState | PartState]) -> CheckConstraint:
    listed = ", ".join(f"'{v}'" for v in values)
    return CheckConstraint(f"{column} IN ({listed})", name=f"{column}_known")


def _moment(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _created_at() -> Column[object]:
    return Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now())


users = Table(
    "users",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("username", Text, nullable=False),
    Column("hashed_password", Text, nullable=False),
    Column("tier", Text, nullable=False, server_default=TierName.FREE.value),
    # The count belongs to the UTC day in last_request_reset; on any other day it stands for 0.
    Column("requests_today", Integer, nullable=False, server_default=text("0")),
    Column("last_request_reset", Date, nullable=False, server_default=text("(now() AT TIME ZONE 'utc')::date")),
    _created_at(),
    _one_of("tier", TierName),
    CheckConstraint("requests_today >= 0", name="requests_today_counted"),
)
Index("uq_users_username_folded", func.lower(users.c.username), unique=True)

sessions = Table(  # a sign-in: the family of refresh tokens that descend from it
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    _created_at(),
    _moment("expires_at", nullable=False),
    _moment("revoked_at"),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("digest", LargeBinary, primary_key=True),  # SHA-256 of the token; the token itself is nowhere
    Column("session_id", ForeignKey("sessions.id", ondelete="CASCADE"), nullable=False, index=True),
    _created_at(),
    _moment("expires_at", nullable=False),
    _moment("spent_at"),
)

counting_trips = Table(  # the last statement each API process has charged with, and whom (common.quota)
    "counting_trips",
    metadata,
    Column("process", Uuid, primary_key=True),
    Column("number", BigInteger, nullable=False),
    # What it charged: series[i] to users[i], who paid on days[i].
    Column("users", ARRAY(Integer), nullable=False),
    Column("series", ARRAY(Integer), nullable=False),
    Column("days", ARRAY(Date), nullable=False),
    Column("made_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    postgresql_with={"fillfactor": 10},  # its rows are written again and again
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("status", Text, nullable=False, server_default=JobState.QUEUED.value),
    Column("request", JSON, nullable=False),  # common.jobs.JobRequest; not JSONB: parameters keep their order
    Column("format", Text, nullable=False),
    Column("data_version", Text, nullable=False),
    Column("cost", Integer, nullable=False),  # series charged
    Column("refunded", Integer, nullable=False, server_default=text("0")),  # series given back
    Column("charged_on", Date, nullable=False),  # the UTC day that paid
    Column("series_completed", Integer, nullable=False, server_default=text("0")),
    Column("series_failed", Integer, nullable=False, server_default=text("0")),
    Column("parts_total", Integer, nullable=False),  # without the assembly
    Column("parts_ended", Integer, nullable=False, server_default=text("0")),
    _created_at(),
    _moment("started_at"),
    _moment("completed_at"),  # when it ended, however it ended
    _moment("expires_at"),
    Column("result_file", Text),  # relative to the result store
    Column("result_bytes", BigInteger),
    Column("result_etag", Text),
    Column("webhook_url", Text),  # told of the end
    _one_of("status", JobState),
    Index("ix_jobs_user_id_created_at_id", "user_id", "created_at", "id"),
    Index("ix_jobs_live", "user_id", postgresql_where=text("status IN ('queued', 'running')")),
    Index(
        "ix_jobs_expires_at",
        "expires_at",
        postgresql_where=text("expires_at IS NOT NULL AND status <> 'expired'"),
    ),
)

job_parts = Table(
    "job_parts",
    metadata,
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),  # 0 … parts_total - 1; parts_total is the assembly, if there is one
    Column("user_id", Integer, nullable=False),  # of the job, as is accepted_at: parts are claimed in turns of users
    _moment("accepted_at", nullable=False),
    Column("symbols", ARRAY(Text), nullable=False),  # empty for the assembly
    Column("state", Text, nullable=False),
    Column("attempt", SmallInteger, nullable=False, server_default=text("0")),
    _moment("claimed_at"),
    _moment("lease_until"),
    Column("worker", Text),  # who holds it
    Column("file", Text),  # written by the attempt that finished it
    Column("file_bytes", BigInteger),
    Column("errors", JSONB),  # [{symbol, indicator, detail}]
    _one_of("state", PartState),
    Index(
        "ix_job_parts_queued",
        "user_id",
        "accepted_at",
        "job_id",
        "number",
        postgresql_where=text("state = 'queued'"),
    ),
    Index("ix_job_parts_running", "lease_until", "user_id", postgresql_where=text("state = 'running'")),
    # Of claimed parts alone: else it looks good to the planner for finding queued ones, among all that have ended.
    Index("ix_job_parts_user_id_claimed_at", "user_id", "claimed_at", postgresql_where=text("claimed_at IS NOT NULL")),
)

idempotency_keys = Table(  # which job a client's key stands for
    "idempotency_keys",
    metadata,
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False),  # SHA-256 of the body it came with
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now(), index=True),
)

webhook_secrets = Table(  # what a user's webhooks are signed with: the current one, and those on their way out
    "webhook_secrets",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("user_id", ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    _created_at(),
    _moment("retires_at"),
    Index("uq_webhook_secrets_current", "user_id", unique=True, postgresql_where=text("retires_at IS NULL")),
)

webhook_deliveries = Table(  # a message to a webhook, written in the transaction that ends the job
    "webhook_deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("state", Text, nullable=False, server_default="pending"),
    _created_at(),
    # Of the next attempt; while one is under way, when it counts as lost.
    Column("due_at", DateTime(timezone=True), server_default=func.now()),
    Column("attempts", JSONB, nullable=False, server_default=text("'[]'")),  # [{at, status, detail, milliseconds}]
    CheckConstraint("state IN ('pending', 'delivered', 'failed')", name="state_known"),
    Index("ix_webhook_deliveries_due", "due_at", postgresql_where=text("state = 'pending'")),
)
