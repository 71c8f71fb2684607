"""Indexes by which charge records are listed: of a partner, and of a status."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ledger_peer_ended", "ledger", ["peer", "ended_at", "cdr_id"])
    op.create_index("ledger_status_ended", "ledger", ["status", "ended_at", "cdr_id"])


def downgrade() -> None:
    op.drop_index("ledger_status_ended", "ledger")
    op.drop_index("ledger_peer_ended", "ledger")
