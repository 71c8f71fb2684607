"""The journal, and the tables that change in the same transaction with it."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "aliases",
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name", name="aliases_key"),
    )
    op.create_table(
        "deliveries",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("message_id", TEXT, nullable=False),
        sa.Column("peer", TEXT, nullable=False),
        sa.Column("operation", TEXT, nullable=False),
        sa.Column("transaction", TEXT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("last_error", TEXT, nullable=True),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("message_id", name="deliveries_message_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("deliveries_peer_status_next", "deliveries", ["peer", "status", "next_at", "id"])
    op.create_index("deliveries_status_expires", "deliveries", ["status", "expires_at"])
    op.create_index("deliveries_transaction_status", "deliveries", ["transaction", "status", "id"])
    op.create_table(
        "journal",
        sa.Column("position", NUMBER, autoincrement=True, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("type", TEXT, nullable=False),
        sa.Column("from_state", TEXT, nullable=False),
        sa.Column("to_state", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("stream", "seq", name="journal_stream_seq"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "ledger",
        sa.Column("role", TEXT, nullable=False),
        sa.Column("cdr_id", TEXT, nullable=False),
        sa.Column("peer", TEXT, nullable=False),
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_at", sa.BigInteger(), nullable=True),
        sa.Column("corrections", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("role", "cdr_id", name="ledger_key"),
    )
    op.create_index("ledger_ended", "ledger", ["ended_at", "cdr_id"])
    op.create_index("ledger_peer_status", "ledger", ["peer", "status"])
    op.create_table(
        "losses",
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("noticed_at", sa.BigInteger(), nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("position", "noticed_at", name="losses_key"),
    )
    op.create_table(
        "orphans",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("station", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "transactions",
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("final", sa.SmallInteger(), nullable=False),
        sa.Column("peer", TEXT, nullable=True),
        sa.Column("user", TEXT, nullable=False),
        sa.Column("local_service", TEXT, nullable=False),
        sa.Column("authorization_identifier", TEXT, nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name="transactions_key"),
    )
    op.create_index("transactions_authorization", "transactions", ["authorization_identifier", "created_at", "stream"])
    op.create_index("transactions_created", "transactions", ["created_at", "stream"])
    op.create_index("transactions_peer_user_final", "transactions", ["peer", "user", "final"])
    op.create_index("transactions_role_created", "transactions", ["role", "created_at", "stream"])
    op.create_index("transactions_role_final_created", "transactions", ["role", "final", "created_at", "stream"])
    op.create_index("transactions_user_created", "transactions", ["user", "created_at", "stream"])


def downgrade() -> None:
    for table in ("aliases", "deliveries", "journal", "ledger", "losses", "orphans", "transactions"):
        op.drop_table(table)
