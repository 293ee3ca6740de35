"""Parts are claimed in turns of users; idempotency keys; webhooks with their deliveries."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_LIVE = sa.text("status IN ('queued', 'running')")
_QUEUED = sa.text("state = 'queued'")
_RUNNING = sa.text("state = 'running'")


def _moment(name: str, *, nullable: bool = True, now: bool = False) -> sa.Column[object]:
    default = sa.text("now()") if now else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable, server_default=default)


def upgrade() -> None:
    op.add_column("jobs", sa.Column("webhook_url", sa.Text(), nullable=True))
    op.create_index("ix_jobs_live", "jobs", ["user_id"], postgresql_where=_LIVE)
    _queue_by_user()
    _create_idempotency_keys()
    _create_webhooks()


def _queue_by_user() -> None:
    """Every part knows whose it is and when its job was accepted, so a worker finds its next part in one look."""
    op.add_column("job_parts", sa.Column("user_id", sa.Integer(), nullable=True))
    op.add_column("job_parts", _moment("accepted_at"))
    op.add_column("job_parts", _moment("claimed_at"))
    op.add_column("job_parts", sa.Column("file_bytes", sa.BigInteger(), nullable=True))
    op.execute(
        "UPDATE job_parts p SET user_id = j.user_id, accepted_at = j.created_at FROM jobs j WHERE j.id = p.job_id"
    )
    op.alter_column("job_parts", "user_id", nullable=False)
    op.alter_column("job_parts", "accepted_at", nullable=False)
    op.drop_column("job_parts", "published_at")
    op.drop_index("ix_job_parts_open", "job_parts")
    op.create_index(
        "ix_job_parts_queued", "job_parts", ["user_id", "accepted_at", "job_id", "number"], postgresql_where=_QUEUED
    )
    op.create_index("ix_job_parts_running", "job_parts", ["lease_until", "user_id"], postgresql_where=_RUNNING)
    op.create_index(
        "ix_job_parts_user_id_claimed_at",
        "job_parts",
        ["user_id", "claimed_at"],
        postgresql_where=sa.text("claimed_at IS NOT NULL"),
    )


def _create_idempotency_keys() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        _moment("created_at", nullable=False, now=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_idempotency_keys_user_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_idempotency_keys_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_job_id"), "idempotency_keys", ["job_id"])
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"])


def _create_webhooks() -> None:
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.Integer(), sa.Identity(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        _moment("created_at", nullable=False, now=True),
        _moment("retires_at"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_webhook_secrets_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secrets")),
    )
    op.create_index(
        "uq_webhook_secrets_current",
        "webhook_secrets",
        ["user_id"],
        unique=True,
        postgresql_where=sa.text("retires_at IS NULL"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        _moment("created_at", nullable=False, now=True),
        _moment("due_at", now=True),
        sa.Column("attempts", postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_state_known")
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_webhook_deliveries_job_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    op.create_index(op.f("ix_webhook_deliveries_job_id"), "webhook_deliveries", ["job_id"])
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["due_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    for table in ("webhook_deliveries", "webhook_secrets", "idempotency_keys"):
        op.drop_table(table)
    for index in ("ix_job_parts_user_id_claimed_at", "ix_job_parts_running", "ix_job_parts_queued"):
        op.drop_index(index, "job_parts")
    op.create_index(
        "ix_job_parts_open",
        "job_parts",
        ["state", "lease_until"],
        postgresql_where=sa.text("state IN ('queued', 'running')"),
    )
    op.add_column("job_parts", _moment("published_at"))
    for column in ("file_bytes", "claimed_at", "accepted_at", "user_id"):
        op.drop_column("job_parts", column)
    op.drop_index("ix_jobs_live", "jobs")
    op.drop_column("jobs", "webhook_url")
