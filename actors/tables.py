"""The tables of the store, as SQLAlchemy Core sees them. `migrations/` makes them; a test keeps the two equal.

Times are integer microseconds since 1970 UTC: they sort, compare and survive every driver unchanged. Every row carries
a `checksum` over its columns; those that may change without a new checksum are marked `OPEN`.
"""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    TextClause,
    UniqueConstraint,
    text,
)

OPEN = {"sealed": False}

metadata = MetaData()

# SQLite numbers rows by itself only in a column declared INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")

# Texts compare and sort byte by byte everywhere: cursors rely on it, and languages' own orders change between versions.
Text = sqlalchemy.Text().with_variant(sqlalchemy.Text(collation="C"), "postgresql")


def _checksum() -> Column[bytes]:
    return Column("checksum", LargeBinary, nullable=False, info=OPEN)


# Written out, not bound: a plan that holds for any value can use no index of these rows alone.
TO_ARCHIVE = text("final = 1 AND archived = 0")
UNDER_WAY = text("final = 0")
OVER = text("final = 1")
FLAGGED = text("flags <> ''")
UNDONE = text("status <> 'done'")


def _index_of(which: TextClause, name: str, *columns: str) -> Index:
    # Partial on PostgreSQL too, by its migration; to say so here would import that dialect into every node on SQLite.
    return Index(name, *columns, sqlite_where=which)


journal = Table(
    "journal",
    metadata,
    Column("position", _Number, primary_key=True, autoincrement=True, info=OPEN),
    Column("stream", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("type", Text, nullable=False),
    Column("from_state", Text, nullable=False),
    Column("to_state", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    _checksum(),
    UniqueConstraint("stream", "seq", name="journal_stream_seq"),
    sqlite_autoincrement=True,
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True, info=OPEN),
    Column("message_id", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("transaction", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("next_at", BigInteger, nullable=False, info=OPEN),
    Column("attempts", Integer, nullable=False, info=OPEN),
    Column("status", Text, nullable=False, info=OPEN),
    Column("last_error", Text, info=OPEN),
    _checksum(),
    UniqueConstraint("message_id", name="deliveries_message_id"),
    Index("deliveries_peer_status_next", "peer", "status", "next_at", "id"),
    Index("deliveries_status_expires", "status", "expires_at"),
    Index("deliveries_transaction_status", "transaction", "status", "id"),
    Index("deliveries_created", "created_at", "id"),
    Index("deliveries_peer_created", "peer", "created_at", "id"),
    _index_of(UNDONE, "deliveries_undone_created", "created_at", "id"),
    sqlite_autoincrement=True,
)

aliases = Table(
    "aliases",
    metadata,
    Column("scope", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("stream", Text, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("scope", "name", name="aliases_key"),
)

# `flags` are written ",one,other,", so that each can be found between commas; empty where nothing is odd.
transactions = Table(
    "transactions",
    metadata,
    Column("stream", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("final", SmallInteger, nullable=False),
    Column("peer", Text),
    Column("user", Text, nullable=False),
    Column("local_service", Text, nullable=False),
    Column("authorization_identifier", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("connector", Text),
    Column("flags", Text, nullable=False, server_default=""),
    Column("position", BigInteger, nullable=False, server_default="0", info=OPEN),
    Column("archived", SmallInteger, nullable=False, server_default="0", info=OPEN),
    _checksum(),
    PrimaryKeyConstraint("stream", name="transactions_key"),
    Index("transactions_position", "position"),
    _index_of(TO_ARCHIVE, "transactions_to_archive", "changed_at", "stream"),
    _index_of(UNDER_WAY, "transactions_under_way", "role", "created_at", "stream", "state"),
    _index_of(UNDER_WAY, "transactions_under_way_peer_user", "peer", "user", "role", "state"),
    _index_of(UNDER_WAY, "transactions_under_way_created", "created_at", "stream"),
    _index_of(FLAGGED, "transactions_flagged_created", "created_at", "stream"),
    Index("transactions_state_created", "state", "created_at", "stream"),
    Index("transactions_created", "created_at", "stream"),
    Index("transactions_role_created", "role", "created_at", "stream"),
    Index("transactions_user_created", "user", "created_at", "stream"),
    Index("transactions_station_created", "local_service", "created_at", "stream"),
    Index("transactions_peer_created", "peer", "created_at", "stream"),
    Index("transactions_authorization", "authorization_identifier", "created_at", "stream"),
)

READ = ("changed_at", "document", "position", "archived", "checksum")
"""What a reading changes in its transaction's row; by the other columns it is searched for."""

ledger = Table(
    "ledger",
    metadata,
    Column("role", Text, nullable=False),
    Column("cdr_id", Text, nullable=False),
    Column("peer", Text, nullable=False),
    Column("stream", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("acknowledged_at", BigInteger),
    Column("corrections", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("role", "cdr_id", name="ledger_key"),
    Index("ledger_ended", "ended_at", "cdr_id"),
    Index("ledger_role_ended", "role", "ended_at", "cdr_id"),
    Index("ledger_counted", "peer", "role", "status", "acknowledged_at", "corrections"),
    Index("ledger_status_peer", "status", "peer"),
    Index("ledger_peer_ended", "peer", "ended_at", "cdr_id"),
    Index("ledger_status_ended", "status", "ended_at", "cdr_id"),
)

# `outcome` is empty until somebody has decided on the orphan.
orphans = Table(
    "orphans",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True, info=OPEN),
    Column("station", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("why", Text, nullable=False, server_default=""),
    Column("outcome", Text, nullable=False, server_default=""),
    Column("decided_at", BigInteger),
    Column("decided_by", Text, nullable=False, server_default=""),
    Column("reason", Text, nullable=False, server_default=""),
    Column("transaction", Text, nullable=False, server_default=""),
    _checksum(),
    Index("orphans_outcome", "outcome", "id"),
    Index("orphans_station_kind", "station", "kind", "outcome", "id"),
    sqlite_autoincrement=True,
)

losses = Table(
    "losses",
    metadata,
    Column("position", BigInteger, nullable=False),
    Column("noticed_at", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("position", "noticed_at", name="losses_key"),
)

# What a stream's actor was after `seq`, and the checksum of the fact there: the next fact is chained to it. `form`
# says which shape of data this is; a release with another shape reads the facts again.
snapshots = Table(
    "snapshots",
    metadata,
    Column("stream", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("tip", LargeBinary, nullable=False),
    Column("form", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("data", LargeBinary, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("stream", name="snapshots_key"),
)

# Facts that left the journal, compressed, `first_seq` to `last_seq` of a stream; `tip` is the checksum of the last.
archive = Table(
    "archive",
    metadata,
    Column("stream", Text, nullable=False),
    Column("last_seq", BigInteger, nullable=False),
    Column("first_seq", BigInteger, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("tip", LargeBinary, nullable=False),
    Column("archived_at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("stream", "last_seq", name="archive_key"),
)

meter_values = Table(
    "meter_values",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True, info=OPEN),
    Column("station", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _checksum(),
    Index("meter_values_station_at", "station", "at"),
    Index("meter_values_at", "at"),
    sqlite_autoincrement=True,
)

# What a station says that belongs to no charge, and that an operator may want to read.
station_log = Table(
    "station_log",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True, info=OPEN),
    Column("station", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _checksum(),
    Index("station_log_station", "station", "id"),
    Index("station_log_station_kind", "station", "kind", "id"),
    Index("station_log_at", "at"),
    sqlite_autoincrement=True,
)

# Every station that is in no configuration, and of those that are what was decided and told through the API.
stations = Table(
    "stations",
    metadata,
    Column("identity", Text, nullable=False),
    Column("standing", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("identity", name="stations_key"),
)

# What operators have asked of stations, as it stands: the facts are in the stream of the same name.
operations = Table(
    "operations",
    metadata,
    Column("stream", Text, nullable=False),
    Column("station", Text, nullable=False),
    Column("command", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("final", SmallInteger, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("stream", name="operations_key"),
    Index("operations_asked", "asked_at", "stream"),
    Index("operations_station_asked", "station", "asked_at", "stream"),
    Index("operations_final_asked", "final", "asked_at", "stream"),
)

# What the operator says of an idTag, which is its key in lower case.
cards = Table(
    "cards",
    metadata,
    Column("id_tag", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("id_tag", name="cards_key"),
)

local_lists = Table(
    "local_lists",
    metadata,
    Column("station", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("station", name="local_lists_key"),
)

# Where each operator's hook is, what it is told, and how far: its secret is in the document.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("document", LargeBinary, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("id", name="webhooks_key"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True, info=OPEN),
    Column("hook", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("status", Text, nullable=False, info=OPEN),
    Column("attempts", Integer, nullable=False, info=OPEN),
    Column("tried_at", BigInteger, info=OPEN),
    Column("answered", Integer, info=OPEN),
    Column("error", Text, info=OPEN),
    _checksum(),
    UniqueConstraint("hook", "message_id", name="webhook_deliveries_message"),
    Index("webhook_deliveries_status", "hook", "status", "id"),
    sqlite_autoincrement=True,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("actor", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Column("message_type", Text, nullable=False),
    Column("message", Text, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("actor", name="quarantine_key"),
)

# What somebody asked of the operator's API; the last three columns are filled once it is known what came of it.
audit = Table(
    "audit",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True, info=OPEN),
    Column("at", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("path", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("problem", Text, nullable=False),
    Column("answered_at", BigInteger),
    _checksum(),
    Index("audit_at", "at", "id"),
    Index("audit_by", "by", "at", "id"),
    Index("audit_path", "path", "at", "id"),
    sqlite_autoincrement=True,
)

# The first answer that an app got under an Idempotency-Key.
answers = Table(
    "answers",
    metadata,
    Column("app", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
    _checksum(),
    PrimaryKeyConstraint("app", "key", name="answers_key"),
    Index("answers_at", "at"),
)
