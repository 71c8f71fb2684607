"""Records to rows and back, and the checksums that say whether a row is still the one that was written.

SQLite may hand back anything once a bit of its file has flipped: a number where text was, a text that is no UTF-8. So
rows are read raw, without SQLAlchemy's conversions, and nothing of a row is looked at before its checksum fits.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from operator import itemgetter
from typing import Any, TypeVar

import msgspec
from sqlalchemy import ColumnElement, RowMapping, Table, type_coerce
from sqlalchemy.types import NullType

from actors import tables
from actors.records import (
    Alias,
    Delivery,
    DeliveryStatus,
    Fact,
    IdleMeter,
    LedgerEntry,
    LogEntry,
    NewDelivery,
    NewFact,
    Snapshot,
    StreamCorrupt,
)
from statecharts.doors import StationOperation
from statecharts.ports import TransactionView

Row = dict[str, Any]
AnyRow = Row | RowMapping
T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_STATUSES = frozenset(status.value for status in DeliveryStatus)
_ATTEMPTS_END = 1 << 30
_YEAR_9999_US = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND


def micros(at: datetime) -> int:
    """Microseconds since 1970 UTC of an aware datetime. A naive one raises TypeError."""
    return (at - _EPOCH) // _MICROSECOND


def instant(at_us: int) -> datetime:
    """The aware UTC datetime of so many microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at_us)


def _instant_or_none(at_us: int | None) -> datetime | None:
    return None if at_us is None else instant(at_us)


def _micros_or_none(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


# -- checksums ---------------------------------------------------------------------------------------------------------


def seal(*parts: object) -> bytes:
    """SHA-256 over values together with their types and lengths: no two different lists of parts share an encoding."""
    return sha256(_encode(parts)).digest()


_encode = msgspec.msgpack.Encoder().encode
_SEALED = {
    table.name: itemgetter(*(column.name for column in table.columns if column.info.get("sealed", True)))
    for table in tables.metadata.tables.values()
}
"""By table, how the values of a row are read that its checksum is over; there are several in every one."""


def sealed(table: Table, row: Row, previous: bytes = b"") -> Row:
    """The row with its checksum; `previous` chains it to the row before it."""
    return {**row, "checksum": seal(previous, *_SEALED[table.name](row))}


def intact(table: Table, row: AnyRow, previous: bytes = b"") -> bool:
    """Whether a row is what was written. Never raises, whatever the row holds."""
    try:
        return bool(row["checksum"] == seal(previous, *_SEALED[table.name](row)))
    except (OverflowError, UnicodeError):
        return False


def raw(table: Table) -> list[ColumnElement[Any]]:
    """All columns of a table as the driver gives them: a conversion could fail on a damaged value, or hide it."""
    return [type_coerce(column, NullType()).label(column.name) for column in table.columns]


def checked(table: Table, row: AnyRow) -> AnyRow:
    """The row itself if it is intact. Raises StreamCorrupt, naming table and key, if it is not."""
    if intact(table, row):
        return row
    raise damaged(table, row)


def damaged(table: Table, row: AnyRow) -> StreamCorrupt:
    """What to say of a row that is not what was written."""
    key = "/".join(str(row[column.name]) for column in table.primary_key.columns)
    return StreamCorrupt(f"{table.name}/{key}", 0, "this row does not match its checksum")


# -- the journal -------------------------------------------------------------------------------------------------------


def journal_row(stream: str, seq: int, fact: NewFact, previous: bytes) -> Row:
    row = {
        "stream": stream,
        "seq": seq,
        "type": fact.type,
        "from_state": fact.from_state,
        "to_state": fact.to_state,
        "at": micros(fact.at),
        "data": fact.data,
    }
    return sealed(tables.journal, row, previous)


def fact_of(row: AnyRow) -> Fact:
    return Fact(
        position=row["position"],
        stream=row["stream"],
        seq=row["seq"],
        type=row["type"],
        from_state=row["from_state"],
        to_state=row["to_state"],
        at=instant(row["at"]),
        data=row["data"],
    )


def snapshot_row(stream: str, position: int, tip: bytes, at_us: int, snapshot: Snapshot) -> Row:
    row = {
        "stream": stream,
        "seq": snapshot.seq,
        "position": position,
        "tip": tip,
        "form": snapshot.form,
        "at": at_us,
        "data": snapshot.data,
    }
    return sealed(tables.snapshots, row)


# -- what changes together with it -------------------------------------------------------------------------------------


def alias_row(alias: Alias, stream: str) -> Row:
    return sealed(tables.aliases, {"scope": alias.scope, "name": alias.name, "stream": stream})


def delivery_row(delivery: NewDelivery) -> Row:
    row = {
        "message_id": delivery.message_id,
        "peer": delivery.peer,
        "operation": delivery.operation,
        "transaction": delivery.transaction,
        "body": delivery.body,
        "created_at": micros(delivery.created_at),
        "expires_at": _micros_or_none(delivery.expires_at),
        "next_at": micros(delivery.created_at),
        "attempts": 0,
        "status": DeliveryStatus.PENDING.value,
        "last_error": None,
    }
    return sealed(tables.deliveries, row)


def delivery_of(row: AnyRow) -> Delivery:
    """The delivery of an intact row. What is not sealed is believed as far as it makes sense; else it is due now."""
    attempts, next_at, status = row["attempts"], row["next_at"], row["status"]
    tried = isinstance(attempts, int) and 0 <= attempts < _ATTEMPTS_END
    return Delivery(
        id=row["id"],
        message_id=row["message_id"],
        peer=row["peer"],
        operation=row["operation"],
        transaction=row["transaction"],
        body=row["body"],
        created_at=instant(row["created_at"]),
        expires_at=_instant_or_none(row["expires_at"]),
        next_at=instant(next_at if _is_moment(next_at) else row["created_at"]),
        attempts=attempts if tried else 0,
        status=DeliveryStatus(status) if status in _STATUSES else DeliveryStatus.PENDING,
        last_error=row["last_error"],
    )


def _is_moment(at_us: object) -> bool:
    return isinstance(at_us, int) and 0 <= at_us < _YEAR_9999_US


def transaction_row(stream: str, view: TransactionView, final: bool) -> Row:
    row = {
        "stream": stream,
        "role": view.role,
        "state": view.state,
        "final": int(final),
        "peer": view.pms_identifier,
        "user": view.user_identifier,
        "local_service": view.local_service_identifier,
        "authorization_identifier": view.authorization_identifier,
        "created_at": micros(view.created_at),
        "changed_at": micros(view.changed_at),
        "document": msgspec.json.encode(view),
        "connector": view.connector_identifier,
        "flags": f",{','.join(view.flags)}," if view.flags else "",
    }
    return sealed(tables.transactions, row)


def operation_row(stream: str, operation: StationOperation, final: bool) -> Row:
    row = {
        "stream": stream,
        "station": operation.station,
        "command": operation.command,
        "state": operation.state,
        "by": operation.by,
        "final": int(final),
        "asked_at": micros(operation.asked_at),
        "document": msgspec.json.encode(operation),
    }
    return sealed(tables.operations, row)


def ledger_row(stream: str, entry: LedgerEntry) -> Row:
    row = {
        "role": entry.role,
        "cdr_id": entry.cdr.cdr_id,
        "peer": entry.cdr.pms_identifier,
        "stream": stream,
        "status": entry.cdr.status,
        "ended_at": micros(entry.ended_at),
        "acknowledged_at": _micros_or_none(entry.acknowledged_at),
        "corrections": entry.corrections,
        "document": msgspec.json.encode(entry.cdr),
    }
    return sealed(tables.ledger, row)


def document_of(table: Table, row: RowMapping, kind: type[T]) -> T:
    """The record that a row keeps as its document. Raises StreamCorrupt if the row is not what was written."""
    return msgspec.json.decode(checked(table, row)["document"], type=kind)


def meter_row(meter: IdleMeter) -> Row:
    return sealed(tables.meter_values, {"station": meter.station, "at": micros(meter.at), "body": meter.body})


def meter_of(row: AnyRow) -> IdleMeter:
    return IdleMeter(id=row["id"], station=row["station"], at=instant(row["at"]), body=row["body"])


def log_row(entry: LogEntry) -> Row:
    row = {"station": entry.station, "kind": entry.kind, "at": micros(entry.at), "body": entry.body}
    return sealed(tables.station_log, row)


def log_entry_of(row: AnyRow) -> LogEntry:
    return LogEntry(id=row["id"], station=row["station"], kind=row["kind"], at=instant(row["at"]), body=row["body"])


def loss_row(position: int, noticed_at: datetime, reason: str) -> Row:
    return sealed(tables.losses, {"position": position, "noticed_at": micros(noticed_at), "reason": reason})
