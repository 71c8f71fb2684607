"""Which finished transactions have left the journal for the archive, so that those that have not are found at once."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

WAITING = sa.text("final = 1 AND archived = 0")


def upgrade() -> None:
    op.add_column("transactions", sa.Column("archived", sa.SmallInteger(), nullable=False, server_default="0"))
    op.create_index(
        "transactions_to_archive",
        "transactions",
        ["changed_at", "stream"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )


def downgrade() -> None:
    op.drop_index("transactions_to_archive", "transactions")
    op.drop_column("transactions", "archived")
