"""Group commit: many appends, one transaction, one fsync; a bad append among them fails alone.

All of a batch is first written with a few statements for all of it. Where that fails because one append is bad, the
batch is written again, each append within a savepoint of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, repeat
from operator import itemgetter
from typing import Any

import msgspec
from sqlalchemy import Connection, Delete, Table, and_, bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from actors import tables
from actors.archive import ARCHIVED_TIP
from actors.bulk import insert_rows, put_rows
from actors.head import Head, HeadRecord
from actors.orphans import decide, orphan_row
from actors.records import (
    Alias,
    AliasTaken,
    Append,
    Appended,
    DeliveryClosed,
    DeliveryStatus,
    OrphanDecided,
    Snapshot,
    StoreError,
    StoreUnavailable,
    StreamConflict,
)
from actors.rows import (
    Row,
    alias_row,
    delivery_of,
    delivery_row,
    journal_row,
    ledger_row,
    log_row,
    meter_row,
    operation_row,
    snapshot_row,
    transaction_row,
)
from actors.store import Store, is_outage
from statecharts.bounds import TIPS_KEPT, Watermarks

Outcome = Appended | Exception


class Tip(msgspec.Struct, frozen=True):
    """The newest fact of a stream, as far as the next one needs it.

    `listed` is what the transaction's row in its table is found by, as far as that is known.
    """

    seq: int = 0
    position: int = 0
    checksum: bytes = b""
    listed: tuple[Any, ...] | None = None


@dataclass(slots=True)
class Rows:
    """What some appends write, table by table, and where their streams end afterwards."""

    journal: list[Row] = field(default_factory=list)
    deliveries: list[Row] = field(default_factory=list)
    closed: list[Row] = field(default_factory=list)
    aliases: list[Row] = field(default_factory=list)
    ledger: list[Row] = field(default_factory=list)
    orphans: list[Row] = field(default_factory=list)
    decided: list[OrphanDecided] = field(default_factory=list)
    meters: list[Row] = field(default_factory=list)
    log: list[Row] = field(default_factory=list)
    transactions: list[Row] = field(default_factory=list)
    operations: list[Row] = field(default_factory=list)
    snapshots: list[tuple[str, bytes, int, Snapshot]] = field(default_factory=list)
    """Stream, checksum and time of its newest fact, and the snapshot: its place is known once that fact lies there."""


class Committer:
    """Writes batches of appends; lives in the writer's thread. Remembers where the streams in use end."""

    def __init__(self, store: Store, head_file: HeadRecord | None, watermarks: Watermarks) -> None:
        self._store = store
        self._watermarks = watermarks
        self._head_file = head_file
        self._tips: dict[str, Tip] = {}
        self._position: int | None = None

    def commit(self, appends: Sequence[Append]) -> list[Outcome]:
        """One outcome per append, in order: what was stored, or why nothing of it was. What is stored is durable."""
        try:
            try:
                return self._in_one_transaction(appends, _together)
            except StoreUnavailable:
                raise
            except Exception:  # one of them is bad: the next way finds out which, and says so to its writer alone
                return self._in_one_transaction(appends, _one_by_one)
        except StoreUnavailable as error:
            self._forget()
            return [error] * len(appends)

    def _in_one_transaction(self, appends: Sequence[Append], write: Writing) -> list[Outcome]:
        with self._store.transaction() as connection:
            batch = _Batch(connection, self._tips, self._newest(connection))
            outcomes = write(batch, appends)
        self._remember(batch)
        return [batch.appended(outcome) if isinstance(outcome, _Written) else outcome for outcome in outcomes]

    def _newest(self, connection: Connection) -> int:
        if self._position is None:
            self._position = connection.scalar(_NEWEST) or 0
        return self._position

    def _remember(self, batch: _Batch) -> None:
        for stream, tip in batch.tips.items():
            self._tips.pop(stream, None)  # so that the streams longest unused come first
            self._tips[stream] = tip
        for stream in list(islice(self._tips, max(0, len(self._tips) - TIPS_KEPT.limit))):
            del self._tips[stream]
        self._watermarks.saw(TIPS_KEPT, len(self._tips))
        self._position = batch.newest.position
        if self._head_file and batch.newest.checksum:
            self._head_file.write(batch.newest)

    def _forget(self) -> None:
        self._tips.clear()
        self._position = None


class _Written(msgspec.Struct, frozen=True):
    stream: str
    seq: int
    message_ids: tuple[str, ...]


class _Batch:
    """One transaction under way: the ends of its streams as it moves them, and the numbers its rows were given."""

    def __init__(self, connection: Connection, known: dict[str, Tip], position: int) -> None:
        self.connection = connection
        self.tips: dict[str, Tip] = {}
        self.newest = Head(position, b"")
        self._known = known
        self._positions: dict[tuple[str, int], int] = {}
        self._deliveries: dict[str, Row] = {}

    def chain(self, append: Append, rows: Rows) -> _Written:
        """Adds the rows of an append and moves the end of its stream. Raises StoreError, having added nothing."""
        tip = self._tip(append.stream, append.after_seq)
        if tip.seq != append.after_seq:
            raise StreamConflict(f"{append.stream} ends at seq {tip.seq}, not at {append.after_seq}: load it again")
        _check_snapshot(append)
        facts, checksum = [], tip.checksum
        for seq, fact in enumerate(append.facts, start=tip.seq + 1):
            facts.append(journal_row(append.stream, seq, fact, checksum))
            checksum = facts[-1]["checksum"]
        _add(append, facts, rows)
        if append.snapshot is not None:
            rows.snapshots.append((append.stream, checksum, facts[-1]["at"], append.snapshot))
        self.tips[append.stream] = Tip(tip.seq + len(facts), tip.position, checksum, tip.listed)
        return _Written(append.stream, tip.seq + len(facts), tuple(owed.message_id for owed in append.deliveries))

    def insert(self, rows: Rows) -> None:
        """Writes the rows. Raises IntegrityError where one of them may not be."""
        connection = self.connection
        if rows.journal:
            insert_rows(connection, tables.journal, rows.journal)
            self._learn_positions(rows.journal)
        if rows.deliveries:
            numbered = connection.execute(_INSERT_DELIVERIES, rows.deliveries)
            ids = {message_id: number for number, message_id in numbered}
            self._deliveries |= {row["message_id"]: {**row, "id": ids[row["message_id"]]} for row in rows.deliveries}
        if rows.closed:
            connection.execute(_CLOSE_DELIVERIES, rows.closed)
        if rows.orphans:
            insert_rows(connection, tables.orphans, rows.orphans)
        if rows.meters:
            insert_rows(connection, tables.meter_values, rows.meters)
        if rows.log:
            insert_rows(connection, tables.station_log, rows.log)
        decide(connection, rows.decided)
        _replace(connection, tables.aliases, ("scope", "name", "stream"), rows.aliases)
        _replace(connection, tables.ledger, ("role", "cdr_id", "stream"), rows.ledger)
        self._list(rows.transactions)
        _put(connection, tables.operations, rows.operations)
        _put(connection, tables.snapshots, [self._snapshot(*taken) for taken in rows.snapshots])

    def _list(self, rows: list[Row]) -> None:
        """Puts rows of transactions in place of their older ones.

        Of ten indexes a reading changes none but that of positions: where all that is searched by stands as it stood,
        the others are spared.
        """
        newest = {row["stream"]: row for row in rows}
        known: list[Row] = []
        others: list[Row] = []
        for stream, row in newest.items():
            tip, listed = self.tips[stream], _LISTED(row)
            (known if tip.listed == listed else others).append({**row, "position": tip.position})
            self.tips[stream] = Tip(tip.seq, tip.position, tip.checksum, listed)
        put_rows(self.connection, tables.transactions, others)
        put_rows(self.connection, tables.transactions, known, only=tables.READ)

    def _snapshot(self, stream: str, tip: bytes, at_us: int, snapshot: Snapshot) -> Row:
        return snapshot_row(stream, self._positions[stream, snapshot.seq], tip, at_us, snapshot)

    def _learn_positions(self, facts: list[Row]) -> None:
        """Which positions the facts just written were given: one after the other, where nobody else wrote and no number
        was lost."""
        before = self.newest.position
        last: int = self.connection.scalar(_NEWEST)
        if last == before + len(facts):
            numbered = enumerate(facts, before + 1)
            found: Iterable[Any] = ((at, fact["stream"], fact["seq"], fact["checksum"]) for at, fact in numbered)
        else:
            found = self.connection.execute(_NEW_FACTS, {"after": before})
        for position, stream, seq, checksum in found:
            self._positions[stream, seq] = position
            self.newest = Head(position, checksum)
        for stream, tip in self.tips.items():
            position = self._positions.get((stream, tip.seq), tip.position)
            self.tips[stream] = Tip(tip.seq, position, tip.checksum, tip.listed)

    def appended(self, written: _Written) -> Appended:
        position = self._positions.get((written.stream, written.seq), self.tips[written.stream].position)
        deliveries = tuple(delivery_of(self._deliveries[message_id]) for message_id in written.message_ids)
        return Appended(position=position, deliveries=deliveries)

    def _tip(self, stream: str, seq: int) -> Tip:
        if stream in self.tips:
            return self.tips[stream]
        known = self._known.get(stream)
        if known is None or known.seq != seq:  # another node may have owned this stream in between
            known = self._read_tip(stream)
        return known

    def _read_tip(self, stream: str) -> Tip:
        for where in (_TIP, ARCHIVED_TIP):
            row = self.connection.execute(where, {"stream": stream}).one_or_none()
            if row is not None:
                return Tip(*row)
        return Tip()


Writing = Callable[[_Batch, Sequence[Append]], list["_Written | Exception"]]


def _together(batch: _Batch, appends: Sequence[Append]) -> list[_Written | Exception]:
    rows = Rows()
    outcomes: list[_Written | Exception] = []
    for append in appends:
        try:
            outcomes.append(batch.chain(append, rows))
        except StoreError as error:
            outcomes.append(error)
    batch.insert(rows)
    return outcomes


def _one_by_one(batch: _Batch, appends: Sequence[Append]) -> list[_Written | Exception]:
    return [_alone(batch, append) for append in appends]


def _alone(batch: _Batch, append: Append) -> _Written | Exception:
    tips, newest = dict(batch.tips), batch.newest
    try:
        with batch.connection.begin_nested():
            rows = Rows()
            written = batch.chain(append, rows)
            batch.insert(rows)
            return written
    except Exception as error:
        if is_outage(error):
            raise
        batch.tips, batch.newest = tips, newest
        return _explained(batch.connection, append, error)


def _explained(connection: Connection, append: Append, error: Exception) -> Exception:
    if not isinstance(error, IntegrityError):
        return error if isinstance(error, StoreError) else StoreError(f"{append.stream}: cannot be stored: {error}")
    for alias in _names_claimed(connection, append):
        return AliasTaken(alias)
    return StreamConflict(f"{append.stream}: another writer was faster: {error.orig}")


def _names_claimed(connection: Connection, append: Append) -> Iterable[Alias]:
    """Which names of this append belong to another stream, or are given twice within it."""
    seen: set[tuple[str, str]] = set()
    for alias, owner in _claims(append):
        taken = connection.scalar(owner)
        if (taken is not None and taken != append.stream) or (alias.scope, alias.name) in seen:
            yield alias
        seen.add((alias.scope, alias.name))


def _claims(append: Append) -> Iterable[tuple[Alias, Any]]:
    aliases, ledger, deliveries = tables.aliases.c, tables.ledger.c, tables.deliveries.c
    for alias in append.aliases:
        yield alias, select(aliases.stream).where(aliases.scope == alias.scope, aliases.name == alias.name)
    for entry in append.ledger:
        name = Alias(scope=f"cdr/{entry.role}", name=entry.cdr.cdr_id)
        yield name, select(ledger.stream).where(ledger.role == entry.role, ledger.cdr_id == entry.cdr.cdr_id)
    for delivery in append.deliveries:
        name = Alias(scope="delivery", name=delivery.message_id)
        yield name, select(deliveries.message_id).where(deliveries.message_id == delivery.message_id)


def _check_snapshot(append: Append) -> None:
    end = append.after_seq + len(append.facts)
    if append.snapshot is not None and (append.snapshot.seq != end or not append.facts):
        raise StoreError(f"{append.stream}: a snapshot of seq {append.snapshot.seq} with facts that end at {end}")


def _add(append: Append, facts: list[Row], rows: Rows) -> None:
    stream = append.stream
    rows.journal += facts
    rows.deliveries += map(delivery_row, append.deliveries)
    rows.closed += map(_closed_row, append.closed)
    rows.aliases += map(alias_row, append.aliases, repeat(stream))
    rows.ledger += map(ledger_row, repeat(stream), append.ledger)
    rows.orphans += map(orphan_row, append.orphans)
    rows.decided += append.decided
    rows.meters += map(meter_row, append.meters)
    rows.log += map(log_row, append.log)
    if append.view is not None:
        rows.transactions.append(transaction_row(stream, append.view, append.final))
    if append.operation is not None:
        rows.operations.append(operation_row(stream, append.operation, append.final))


def _closed_row(closed: DeliveryClosed) -> Row:
    return {"key": closed.id, "new": closed.status.value, "error": closed.error}


def _replace(connection: Connection, table: Table, own_key: tuple[str, ...], rows: list[Row]) -> None:
    """Puts rows in place of their stream's older ones; another stream's row of the same key is an IntegrityError."""
    if not rows:
        return
    newest = {tuple(row[name] for name in own_key): row for row in rows}
    connection.execute(_delete(table, own_key), [{f"own_{name}": row[name] for name in own_key} for row in rows])
    insert_rows(connection, table, list(newest.values()))


def _put(connection: Connection, table: Table, rows: list[Row]) -> None:
    """Puts rows of streams in place of the older ones."""
    newest = {row["stream"]: row for row in rows}
    put_rows(connection, table, list(newest.values()))


@cache
def _delete(table: Table, own_key: tuple[str, ...]) -> Delete:
    return delete(table).where(and_(*(table.c[name] == bindparam(f"own_{name}") for name in own_key)))


_LISTED = itemgetter(
    *(
        column.name
        for column in tables.transactions.columns
        if not column.primary_key and column.name not in tables.READ
    )
)
_FACTS = tables.journal.c
_NEWEST = select(func.max(_FACTS.position))
_INSERT_DELIVERIES = insert(tables.deliveries).returning(tables.deliveries.c.id, tables.deliveries.c.message_id)
_TIP = (
    select(_FACTS.seq, _FACTS.position, _FACTS.checksum)
    .where(_FACTS.stream == bindparam("stream"))
    .order_by(_FACTS.seq.desc())
    .limit(1)
)
_NEW_FACTS = (
    select(_FACTS.position, _FACTS.stream, _FACTS.seq, _FACTS.checksum)
    .where(_FACTS.position > bindparam("after"))
    .order_by(_FACTS.position)
)
# An acknowledged delivery stays acknowledged, whatever is said of it later. What closes it is one more attempt.
_CLOSE_DELIVERIES = (
    update(tables.deliveries)
    .where(tables.deliveries.c.id == bindparam("key"), tables.deliveries.c.status != DeliveryStatus.DONE.value)
    .values(status=bindparam("new"), last_error=bindparam("error"), attempts=tables.deliveries.c.attempts + 1)
)
