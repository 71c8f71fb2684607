"""Transactions are found by station, connector, partner and flag, and those under way by their beginning."""

from hashlib import sha256

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
UNDER_WAY, FLAGGED = sa.text("final = 0"), sa.text("flags <> ''")
BEFORE = (
    *("stream", "role", "state", "final", "peer", "user", "local_service", "authorization_identifier", "created_at"),
    *("changed_at", "document"),
)
ADDED = ("connector", "flags")
AT_ONCE = 1_000


def upgrade() -> None:
    op.add_column("transactions", sa.Column("connector", TEXT))
    op.add_column("transactions", sa.Column("flags", TEXT, nullable=False, server_default=""))
    _tell_again(sa.table("transactions", *(sa.column(name) for name in (*BEFORE, *ADDED, "checksum"))))
    for name, which in (("transactions_under_way_created", UNDER_WAY), ("transactions_flagged_created", FLAGGED)):
        op.create_index(name, "transactions", ["created_at", "stream"], sqlite_where=which, postgresql_where=which)
    op.create_index("transactions_station_created", "transactions", ["local_service", "created_at", "stream"])
    op.create_index("transactions_peer_created", "transactions", ["peer", "created_at", "stream"])


def downgrade() -> None:
    for name in ("under_way_created", "flagged_created", "station_created", "peer_created"):
        op.drop_index(f"transactions_{name}", "transactions")
    for name in ADDED:
        op.drop_column("transactions", name)


def _tell_again(transactions):
    """The new columns as the documents say, under checksums over all columns there are now.

    A row that is not what was written keeps the checksum that shows it.
    """
    connection, stream = op.get_bind(), transactions.c.stream
    page = sa.select(transactions).order_by(stream).limit(AT_ONCE)
    told = sa.update(transactions).where(stream == sa.bindparam("of"))
    told = told.values({name: sa.bindparam(f"new_{name}") for name in (*ADDED, "checksum")})
    rows = connection.execute(page).mappings().all()
    while rows:
        mended = [*map(_mended, filter(_is_intact, rows))]
        if mended:
            connection.execute(told, mended)
        rows = connection.execute(page.where(stream > rows[-1]["stream"])).mappings().all()


def _is_intact(row):
    return row["checksum"] == _seal(row[name] for name in BEFORE)


def _mended(row):
    view = msgspec.json.decode(row["document"])
    flags = view.get("flags") or ()
    told = (view.get("connector_identifier"), f",{','.join(flags)}," if flags else "")
    checksum = _seal((*(row[name] for name in BEFORE), *told))
    return {"of": row["stream"], "new_connector": told[0], "new_flags": told[1], "new_checksum": checksum}


def _seal(values):
    return sha256(msgspec.msgpack.encode((b"", *values))).digest()
