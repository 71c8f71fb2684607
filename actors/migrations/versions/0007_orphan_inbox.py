"""Orphans say why they are some, and what was decided on them, by whom and when; those that were kept so far stay."""

from hashlib import sha256

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
ADDED = ("why", "outcome", "decided_by", "reason", "transaction")
BEFORE = ("station", "kind", "at", "body")


def upgrade() -> None:
    for name in ADDED:
        op.add_column("orphans", sa.Column(name, TEXT, nullable=False, server_default=""))
    op.add_column("orphans", sa.Column("decided_at", sa.BigInteger()))
    op.create_index("orphans_outcome", "orphans", ["outcome", "id"])
    op.create_index("orphans_station_kind", "orphans", ["station", "kind", "outcome", "id"])
    _seal_again(lambda row: (*row, "", "", None, "", "", ""))


def downgrade() -> None:
    op.drop_index("orphans_station_kind", "orphans")
    op.drop_index("orphans_outcome", "orphans")
    for name in (*ADDED, "decided_at"):
        op.drop_column("orphans", name)


def _seal_again(whole):
    """Checksums over all columns there are now; a row that is not what was written keeps the one that shows it."""
    orphans = sa.table("orphans", *(sa.column(name) for name in ("id", *BEFORE, "checksum")))
    connection = op.get_bind()
    for row in connection.execute(sa.select(orphans)).mappings().all():
        sealed = tuple(row[name] for name in BEFORE)
        if row["checksum"] == _seal(sealed):
            mended = sa.update(orphans).where(orphans.c.id == row["id"]).values(checksum=_seal(whole(sealed)))
            connection.execute(mended)


def _seal(values):
    return sha256(msgspec.msgpack.encode((b"", *values))).digest()
