"""What is old leaves the tables that are worked with: packed into the archive, read there as before, never lost.

The facts and the finished deliveries of transactions that have been over for long; facts of any stream that its
snapshot stands for; meter values of idle connectors. The log of what a station said beside charging is cut: by age, and
for one that says too much by number; that of what operators did by age alone. What people look up stays where it is:
the list of transactions, the charge records, the names that keep an old message from being taken for a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, TypeVar

import structlog
import trio
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    bindparam,
    delete,
    func,
    insert,
    select,
    tuple_,
    update,
)

from actors import tables
from actors.archive import METERS_OF, packed
from actors.audit import Chain, ends_in_archive
from actors.records import DeliveryStatus, StoreUnavailable, StreamCorrupt
from actors.rows import AnyRow, Row, checked, micros, raw, sealed
from actors.store import Store
from statecharts.bounds import FACTS_AFTER_SNAPSHOT
from statecharts.limits import ARCHIVED_AT_ONCE, FACTS_PACKED, LOG_FORGOTTEN_AT_ONCE, STATION_LOG_KEPT
from statecharts.ports import Clock
from statecharts.vocabulary import Value

FIRST_AFTER_S = 60.0
"""A node that has just started has better things to do."""

EVERY_S = 3_600.0
REST = 4
"""After each piece of work the writer is left to others for so many times as long as it took."""

T = TypeVar("T")
Place = tuple[int, str]
"""Where a transaction stands among those that are over: by when it last changed, then by its stream."""

_BEFORE_ALL: Place | None = (-1, "")


log = structlog.get_logger(__name__)

_OVER = (DeliveryStatus.DONE.value, DeliveryStatus.LAPSED.value)
_VIEWS, _FACTS, _METERS, _OWED, _LOG = (
    each.c for each in (tables.transactions, tables.journal, tables.meter_values, tables.deliveries, tables.station_log)
)
_IN_ORDER = {
    "journal": (_FACTS.stream, _FACTS.seq),
    "deliveries": (_OWED.transaction, _OWED.status, _OWED.id),
    "meter_values": (_METERS.id,),
}
_FORGET_FACTS = delete(tables.journal).where(_FACTS.stream == bindparam("of"), _FACTS.seq <= bindparam("up_to"))


class RetentionSettings(Value, frozen=True, kw_only=True):
    """After how many days what is over is archived, and what stations logged forgotten."""

    transactions_days: int = 90
    meter_values_days: int = 30
    station_log_days: int = 365
    operations_days: int = 365
    audit_days: int = 3_650


class Retention:
    """Archives what is old, a little at a time, for as long as `run` runs."""

    def __init__(self, store: Store, clock: Clock, settings: RetentionSettings) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings

    async def run(self) -> None:
        """Looks through everything once an hour, until cancelled. A store that is away is tried again then."""
        await trio.sleep(FIRST_AFTER_S)
        while True:
            try:
                await self.tidy()
            except StoreUnavailable as error:
                log.warning("retention.interrupted", cause=str(error))
            except Exception:
                log.exception("retention.failed")  # nobody waits for it, and the node goes on
            await trio.sleep(EVERY_S)

    async def tidy(self) -> None:
        """Archives everything whose time has come. Raises StoreUnavailable; what was done by then is done."""
        now = self._clock.now()
        done = {
            "transactions": await self._transactions(now - timedelta(days=self._settings.transactions_days)),
            "facts": await self._beginnings(now - timedelta(days=self._settings.transactions_days)),
            "meter_values": await self._meter_values(_midnight(now - timedelta(days=self._settings.meter_values_days))),
            "station_log": await self._station_log(now - timedelta(days=self._settings.station_log_days)),
            "operations": await self._operations(now - timedelta(days=self._settings.operations_days)),
            "audit": await self._audit(now - timedelta(days=self._settings.audit_days)),
        }
        if any(done.values()):
            log.info("retention.archived", **done)

    async def _transactions(self, before: datetime) -> int:
        """The transactions that have been over since before then; one that is damaged stays for `check-journal`."""
        archived, last = 0, _BEFORE_ALL
        while last is not None:
            count, last = await self._piece(_archive_finished, micros(before), last)
            archived += count
        return archived

    async def _beginnings(self, before: datetime) -> int:
        """The facts from before then of streams that go on, as far as a snapshot stands for them."""
        archived = 0
        for stream, seq in await self._store.read(_snapshots):
            while count := await self._piece(_archive_beginning, stream, seq, micros(before)):
                archived += count
        return archived

    async def _meter_values(self, before: datetime) -> int:
        """Whole days of meter values of idle connectors: each hour's would make too many small pieces."""
        archived, damaged = 0, set[str]()
        while count := await self._piece(_archive_meters, micros(before), damaged):
            archived += count
        return archived

    async def _station_log(self, before: datetime) -> int:
        """Forgets what stations logged before then, and of a station that logs without end the oldest."""
        forgotten = 0
        while count := await self._piece(_forget_log, micros(before)):
            forgotten += count
        for station in await self._store.read(_talkative):
            while count := await self._piece(_forget_log_of, station):
                forgotten += count
        return forgotten

    async def _operations(self, before: datetime) -> int:
        """Operations that were asked for before then and are over: their facts are archived, lists forget them."""
        archived = 0
        while count := await self._piece(_archive_operations, micros(before)):
            archived += count
        return archived

    async def _audit(self, before: datetime) -> int:
        """Forgets what operators did before then."""
        forgotten = 0
        while count := await self._piece(_forget_audit, micros(before)):
            forgotten += count
        return forgotten

    async def _piece(self, work: Callable[..., T], *args: Any) -> T:
        begun_at = trio.current_time()
        try:
            return await self._store.write(work, micros(self._clock.now()), *args)
        finally:
            await trio.sleep(REST * (trio.current_time() - begun_at))


def _midnight(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


# -- transactions ------------------------------------------------------------------------------------------------------


def _archive_finished(connection: Connection, now_us: int, before_us: int, last: Place) -> tuple[int, Place | None]:
    """Archives the next transactions that were over before then, those that ended first before others.

    Returns how many, and where to go on, None after the last.
    """
    found = _finished(connection, before_us, last)
    if not found:
        return 0, None
    whole = [each for each in _whole(connection, [stream for _, stream in found]) if each.is_sound()]
    _move(connection, now_us, whole)
    streams = [each.stream for each in whole]
    connection.execute(delete(tables.snapshots).where(tables.snapshots.c.stream.in_(streams)))
    connection.execute(update(tables.transactions).where(_VIEWS.stream.in_(streams)).values(archived=1))
    return len(whole), found[-1]


def _finished(connection: Connection, before_us: int, last: Place) -> list[Place]:
    query = (
        select(_VIEWS.changed_at, _VIEWS.stream)
        .where(
            tables.TO_ARCHIVE,
            tuple_(_VIEWS.changed_at, _VIEWS.stream) > last,
            _VIEWS.changed_at < before_us,
        )
        .order_by(_VIEWS.changed_at, _VIEWS.stream)
        .limit(ARCHIVED_AT_ONCE.limit)
    )
    return [(changed_at, stream) for changed_at, stream in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class Old:
    """Facts of a stream that are to be archived, the chain that they go on with, and deliveries that go with them."""

    stream: str
    chain: Chain
    facts: list[AnyRow]
    deliveries: list[AnyRow] = field(default_factory=list)

    def is_sound(self) -> bool:
        """Whether all of it is what was written; what is not stays for `check-journal`."""
        try:
            for _ in self.chain.proven(self.stream, self.facts):
                pass
            for delivery in self.deliveries:
                checked(tables.deliveries, delivery)
        except StreamCorrupt as error:
            log.error("retention.damaged", stream=self.stream, reason=str(error))
            return False
        return True


def _whole(connection: Connection, streams: list[str]) -> Iterator[Old]:
    """All that is left of these streams, without the one that holds the newest fact of all: its time comes later."""
    newest, ends = _newest_position(connection), ends_in_archive(connection, streams)
    facts = _grouped(connection, tables.journal, _FACTS.stream, _FACTS.stream.in_(streams))
    over = _OWED.transaction.in_(streams) & _OWED.status.in_(_OVER)
    deliveries = _grouped(connection, tables.deliveries, _OWED.transaction, over)
    for stream in streams:
        mine = facts.get(stream, [])
        if not mine or mine[-1]["position"] != newest:
            yield Old(stream, ends.get(stream, Chain()), mine, deliveries.get(stream, []))


def _grouped(
    connection: Connection, table: Table, by: Column[str], which: ColumnElement[bool]
) -> dict[str, list[AnyRow]]:
    """These rows of a table, by the value of one of its columns."""
    groups: dict[str, list[AnyRow]] = {}
    for row in _rows(connection, table, which):
        groups.setdefault(row[by.name], []).append(row)
    return groups


# -- streams that go on ------------------------------------------------------------------------------------------------


def _snapshots(connection: Connection) -> list[tuple[str, int]]:
    kept = tables.snapshots.c
    return [(stream, seq) for stream, seq in connection.execute(select(kept.stream, kept.seq).order_by(kept.stream))]


def _archive_beginning(connection: Connection, now_us: int, stream: str, up_to_seq: int, before_us: int) -> int:
    """Archives the oldest facts, once there are enough of them to be worth a row of the archive."""
    newest = _newest_position(connection)
    chain = ends_in_archive(connection, [stream]).get(stream, Chain())
    rows = _rows(connection, tables.journal, (_FACTS.stream == stream) & (_FACTS.seq <= up_to_seq), FACTS_PACKED.limit)
    old = Old(stream, chain, [*takewhile(lambda fact: fact["at"] < before_us and fact["position"] < newest, rows)])
    if len(old.facts) < FACTS_AFTER_SNAPSHOT.limit or not old.is_sound():
        return 0
    _move(connection, now_us, [old])
    return len(old.facts)


def _move(connection: Connection, now_us: int, whole: Sequence[Old]) -> None:
    """From the tables that are worked with into the archive."""
    pieces = [piece for old in whole for piece in _pieces(now_us, old)]
    if pieces:
        connection.execute(insert(tables.archive), pieces)
    gone = [{"of": old.stream, "up_to": old.facts[-1]["seq"]} for old in whole if old.facts]
    if gone:
        connection.execute(_FORGET_FACTS, gone)
    over = [delivery["id"] for old in whole if old.facts for delivery in old.deliveries]
    if over:
        connection.execute(delete(tables.deliveries).where(_OWED.id.in_(over)))


def _pieces(now_us: int, old: Old) -> Iterator[Row]:
    """The rows of the archive that hold all of this; the deliveries go with the first facts."""
    for start in range(0, len(old.facts), FACTS_PACKED.limit):
        facts = old.facts[start : start + FACTS_PACKED.limit]
        last = facts[-1]
        piece = {
            "stream": old.stream,
            "last_seq": last["seq"],
            "first_seq": facts[0]["seq"],
            "position": last["position"],
            "tip": last["checksum"],
            "archived_at": now_us,
            "body": packed(facts, () if start else old.deliveries),
        }
        yield sealed(tables.archive, piece)


def _newest_position(connection: Connection) -> int:
    """Where the newest fact of all lies, which stays in the journal: it is what the head file is compared with."""
    return connection.scalar(select(func.max(_FACTS.position))) or 0


# -- meter values ------------------------------------------------------------------------------------------------------


def _archive_meters(connection: Connection, now_us: int, before_us: int, damaged: set[str]) -> int:
    """Archives the oldest meter values of the station that has the oldest of all; `damaged` stations are left alone."""
    query = select(_METERS.station).where(_METERS.at < before_us).order_by(_METERS.at).limit(1)
    while station := connection.scalar(query.where(_METERS.station.not_in(damaged)) if damaged else query):
        try:
            return _archive_meters_of(connection, now_us, station, before_us)
        except StreamCorrupt as error:
            log.error("retention.damaged", station=station, reason=str(error))
            damaged.add(station)
    return 0


def _archive_meters_of(connection: Connection, now_us: int, station: str, before_us: int) -> int:
    old = (_METERS.station == station) & (_METERS.at < before_us)
    rows = _rows(connection, tables.meter_values, old, FACTS_PACKED.limit)
    values = [checked(tables.meter_values, row) for row in rows]
    ids = [row["id"] for row in values]
    piece = {
        "stream": f"{METERS_OF}{station}",
        "last_seq": ids[-1],
        "first_seq": ids[0],
        "position": 0,
        "tip": b"",
        "archived_at": now_us,
        "body": packed(meter_values=values),
    }
    connection.execute(insert(tables.archive), sealed(tables.archive, piece))
    connection.execute(delete(tables.meter_values).where(_METERS.id.in_(ids)))
    return len(ids)


# -- what stations logged ----------------------------------------------------------------------------------------------


def _forget_log(connection: Connection, _: int, before_us: int) -> int:
    old = select(_LOG.id).where(_LOG.at < before_us).order_by(_LOG.at).limit(LOG_FORGOTTEN_AT_ONCE.limit)
    return _forget(connection, old)


def _talkative(connection: Connection) -> list[str]:
    """The stations whose log is longer than is kept."""
    query = select(_LOG.station).group_by(_LOG.station).having(func.count() > STATION_LOG_KEPT.limit)
    return list(connection.scalars(query))


def _forget_log_of(connection: Connection, _: int, station: str) -> int:
    newest_first = select(_LOG.id).where(_LOG.station == station).order_by(_LOG.id.desc())
    return _forget(connection, newest_first.offset(STATION_LOG_KEPT.limit).limit(LOG_FORGOTTEN_AT_ONCE.limit))


# -- operations --------------------------------------------------------------------------------------------------------


def _archive_operations(connection: Connection, now_us: int, before_us: int) -> int:
    operations = tables.operations.c
    old = select(operations.stream).where(operations.final == 1, operations.asked_at < before_us)
    streams = list(connection.scalars(old.order_by(operations.asked_at).limit(ARCHIVED_AT_ONCE.limit)))
    if not streams:
        return 0
    whole = [each for each in _whole(connection, streams) if each.is_sound()]
    _move(connection, now_us, whole)
    connection.execute(delete(tables.operations).where(operations.stream.in_([each.stream for each in whole])))
    return len(whole)


# -- what operators did ------------------------------------------------------------------------------------------------


def _forget_audit(connection: Connection, _: int, before_us: int) -> int:
    deeds = tables.audit.c
    old = select(deeds.id).where(deeds.at < before_us).order_by(deeds.at).limit(LOG_FORGOTTEN_AT_ONCE.limit)
    return _forget(connection, old, tables.audit)


def _forget(connection: Connection, which: Select[int], table: Table = tables.station_log) -> int:
    ids = list(connection.scalars(which))
    connection.execute(delete(table).where(table.c.id.in_(ids)))
    return len(ids)


def _rows(
    connection: Connection, table: Table, which: ColumnElement[bool], limit: int | None = None
) -> Sequence[RowMapping]:
    query = select(*raw(table)).where(which).order_by(*_IN_ORDER[table.name]).limit(limit)
    return connection.execute(query).mappings().all()
