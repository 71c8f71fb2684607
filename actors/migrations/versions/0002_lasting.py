"""Long lives: snapshots, the archive, idle meters out of the journal, quarantine, stored answers, changes by position."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("transactions", sa.Column("position", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(
        "UPDATE transactions SET position = coalesce("
        "(SELECT max(journal.position) FROM journal WHERE journal.stream = transactions.stream), 0)"
    )
    op.create_index("transactions_position", "transactions", ["position"])
    op.create_index("transactions_state_created", "transactions", ["state", "created_at", "stream"])
    op.create_table(
        "snapshots",
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("tip", sa.LargeBinary(), nullable=False),
        sa.Column("form", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name="snapshots_key"),
    )
    op.create_table(
        "archive",
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("tip", sa.LargeBinary(), nullable=False),
        sa.Column("archived_at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stream", "last_seq", name="archive_key"),
    )
    op.create_table(
        "meter_values",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("station", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("meter_values_station_at", "meter_values", ["station", "at"])
    op.create_index("meter_values_at", "meter_values", ["at"])
    op.create_table(
        "quarantine",
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("error", TEXT, nullable=False),
        sa.Column("message_type", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("actor", name="quarantine_key"),
    )
    op.create_table(
        "answers",
        sa.Column("app", TEXT, nullable=False),
        sa.Column("key", TEXT, nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("headers", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("app", "key", name="answers_key"),
    )
    op.create_index("answers_at", "answers", ["at"])


def downgrade() -> None:
    for table in ("answers", "quarantine", "meter_values", "archive", "snapshots"):
        op.drop_table(table)
    for index in ("transactions_state_created", "transactions_position"):
        op.drop_index(index, "transactions")
    op.drop_column("transactions", "position")
