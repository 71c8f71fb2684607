"""What stations report beside charging has a log of its own: security events, firmware and log statuses, plain reports."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "station_log",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("station", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("station_log_station", "station_log", ["station", "id"])
    op.create_index("station_log_station_kind", "station_log", ["station", "kind", "id"])
    op.create_index("station_log_at", "station_log", ["at"])


def downgrade() -> None:
    op.drop_table("station_log")
