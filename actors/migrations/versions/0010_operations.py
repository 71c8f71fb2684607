"""What operators have asked of stations, as it stands, for lists."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "operations",
        sa.Column("stream", TEXT, nullable=False),
        sa.Column("station", TEXT, nullable=False),
        sa.Column("command", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("by", TEXT, nullable=False),
        sa.Column("final", sa.SmallInteger(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("stream", name="operations_key"),
    )
    op.create_index("operations_asked", "operations", ["asked_at", "stream"])
    op.create_index("operations_station_asked", "operations", ["station", "asked_at", "stream"])
    op.create_index("operations_final_asked", "operations", ["final", "asked_at", "stream"])


def downgrade() -> None:
    op.drop_table("operations")
