"""Who asked for what through the operator's API, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TOLD = ("by", "address", "correlation_id", "method", "route", "path")


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", NUMBER, autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        *(sa.Column(name, TEXT, nullable=False) for name in TOLD),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("problem", TEXT, nullable=False),
        sa.Column("answered_at", sa.BigInteger()),
        sa.Column("checksum", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_at", "audit", ["at", "id"])
    op.create_index("audit_by", "audit", ["by", "at", "id"])
    op.create_index("audit_path", "audit", ["path", "at", "id"])


def downgrade() -> None:
    op.drop_table("audit")
