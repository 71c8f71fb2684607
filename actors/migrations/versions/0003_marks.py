"""Where a connection may be lost during COMMIT: a mark by which the next one can tell whether it was committed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        marks = op.create_table(
            "marks",
            sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
            sa.Column("mark", sa.Text(collation="C"), nullable=False),
            sa.PrimaryKeyConstraint("id"),
        )
        op.bulk_insert(marks, [{"id": 1, "mark": ""}])


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_table("marks")
