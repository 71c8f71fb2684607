"""Indexes for a long past: what is under way is found without the past, and charge records are counted by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UNDER_WAY = sa.text("final = 0")


def upgrade() -> None:
    op.drop_index("transactions_role_final_created", "transactions")
    op.drop_index("transactions_peer_user_final", "transactions")
    op.drop_index("ledger_peer_status", "ledger")
    for name, columns in (
        ("transactions_under_way", ["role", "created_at", "stream", "state"]),
        ("transactions_under_way_peer_user", ["peer", "user", "role", "state"]),
    ):
        op.create_index(name, "transactions", columns, sqlite_where=UNDER_WAY, postgresql_where=UNDER_WAY)
    op.create_index("ledger_role_ended", "ledger", ["role", "ended_at", "cdr_id"])
    op.create_index("ledger_counted", "ledger", ["peer", "role", "status", "acknowledged_at", "corrections"])
    op.create_index("ledger_status_peer", "ledger", ["status", "peer"])


def downgrade() -> None:
    for index in ("ledger_status_peer", "ledger_counted", "ledger_role_ended"):
        op.drop_index(index, "ledger")
    for index in ("transactions_under_way_peer_user", "transactions_under_way"):
        op.drop_index(index, "transactions")
    op.create_index("ledger_peer_status", "ledger", ["peer", "status"])
    op.create_index("transactions_peer_user_final", "transactions", ["peer", "user", "final"])
    op.create_index("transactions_role_final_created", "transactions", ["role", "final", "created_at", "stream"])
