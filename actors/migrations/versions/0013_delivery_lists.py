"""Messages to partners are listed as they came, of all partners or one; those that are not done without the others."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

UNDONE = sa.text("status <> 'done'")


def upgrade() -> None:
    op.create_index("deliveries_created", "deliveries", ["created_at", "id"])
    op.create_index("deliveries_peer_created", "deliveries", ["peer", "created_at", "id"])
    op.create_index(
        "deliveries_undone_created",
        "deliveries",
        ["created_at", "id"],
        sqlite_where=UNDONE,
        postgresql_where=UNDONE,
    )


def downgrade() -> None:
    for name in ("created", "peer_created", "undone_created"):
        op.drop_index(f"deliveries_{name}", "deliveries")
