"""The last statement each API process has charged with, so that one whose reply was lost can be taken back."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "counting_trips",
        sa.Column("process", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("users", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("series", postgresql.ARRAY(sa.Integer()), nullable=False),
        sa.Column("days", postgresql.ARRAY(sa.Date()), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("process", name=op.f("pk_counting_trips")),
        postgresql_with={"fillfactor": 10},
    )


def downgrade() -> None:
    op.drop_table("counting_trips")
