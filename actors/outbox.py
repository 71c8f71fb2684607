"""What is owed to peers: messages written in the same transaction as the facts they tell, kept until they are over.

Only `Append.closed` ends a delivery together with a fact; here is what happens to it before: attempts and their
failures, lapsing, parking, and an operator's wish to try again.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple, Unpack

import structlog
from sqlalchemy import ColumnElement, Connection, RowMapping, func, or_, select, tuple_, update

from actors import tables
from actors.cursors import cursor_of, page_of, place_of
from actors.records import Delivery, DeliveryStatus
from actors.rows import delivery_of, instant, intact, micros
from actors.searches import OWED, Query, all_of, deliveries_wanted, is_overdue
from actors.store import Store
from statecharts.ports import Page
from statecharts.searches import DeliverySearch

log = structlog.get_logger(__name__)

ALTERED = "this delivery does not match its checksum: it was altered on the disk"

_OWED = tables.deliveries.c
_PENDING = _OWED.status == DeliveryStatus.PENDING.value
_PARKED = _OWED.status == DeliveryStatus.PARKED.value


class Overdue(NamedTuple):
    """Facts that a peer should have acknowledged by now, and since when the oldest is owed; none: None."""

    number: int
    oldest_at: datetime | None


class Outbox:
    """The deliveries of a store. All methods raise StoreUnavailable when the database is."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def pending(self, peer: str, limit: int, now: datetime) -> tuple[Delivery, ...]:
        """The `limit` open deliveries to a peer that are due first, in the order of their ids.

        Those not yet due are among them: the earliest `next_at` says how long to wait. Commands past `expires_at` are
        not, and a delivery that was altered on the disk is parked instead of given. Nor are those to which only a
        damaged index has led.
        """
        rows = await self._store.read(_pending, peer, limit, micros(now))
        for row in rows:
            if not intact(tables.deliveries, row):
                log.error("outbox.damaged", delivery=row["id"], peer=peer)
                await self.park(row["id"], ALTERED)
        found = [delivery_of(row) for row in rows if intact(tables.deliveries, row)]
        return tuple(each for each in found if each.peer == peer and each.status is DeliveryStatus.PENDING)

    async def record_attempt(self, delivery_id: int, attempts: int, next_at: datetime, error: str | None) -> bool:
        """Notes that a delivery was tried for the `attempts`-th time, why it is not over, and when to try again.

        False if it is over all the same.
        """
        values = {"attempts": attempts, "next_at": micros(next_at), "last_error": error}
        return await self._store.write(_change, _PENDING & (_OWED.id == delivery_id), values) > 0

    async def park(self, delivery_id: int, error: str) -> bool:
        """Puts an open delivery aside for an operator. False if it was not open."""
        values = {"status": DeliveryStatus.PARKED.value, "last_error": error}
        return await self._store.write(_change, _PENDING & (_OWED.id == delivery_id), values) > 0

    async def replay(self, delivery_id: int, peer: str | None = None) -> bool:
        """Opens a parked delivery (to this peer, if one is named) as if it had never been tried; due now.

        False if there is no such parked delivery.
        """
        which = _PARKED & (_OWED.id == delivery_id)
        if peer is not None:
            which &= _OWED.peer == peer
        return await self._store.write(_change, which, self._as_new()) > 0

    async def replay_parked(self, peer: str, operation: str | None, limit: int) -> int:
        """Opens up to `limit` parked deliveries to a peer, the oldest first, of one operation or all. How many."""
        named = select(_OWED.id).where(_OWED.peer == peer, _PARKED)
        if operation is not None:
            named = named.where(_OWED.operation == operation)
        which = _OWED.id.in_(named.order_by(_OWED.id).limit(limit))
        return await self._store.write(_change, which, self._as_new())

    def _as_new(self) -> dict[str, object]:
        now_us = micros(self._store.clock.now())
        return {"status": DeliveryStatus.PENDING.value, "attempts": 0, "next_at": now_us}

    async def lapse(self, now: datetime) -> int:
        """Ends the commands whose time is over by `now`; they are never sent again. How many there were."""
        values = {"status": DeliveryStatus.LAPSED.value}
        return await self._store.write(_change, _PENDING & (_OWED.expires_at <= micros(now)), values)

    async def counts(self, peer: str) -> dict[DeliveryStatus, int]:
        """How many deliveries to a peer there are of each status."""
        found = await self._store.read(_counts, peer)
        return {status: found.get(status.value, 0) for status in DeliveryStatus}

    async def count_parked(self, peer: str, operation: str | None) -> int:
        """How many dead letters of a peer there are, of one operation or all."""
        which = _PARKED & (_OWED.peer == peer)
        if operation is not None:
            which &= _OWED.operation == operation
        return await self._store.read(_number, which)

    async def overdue(self, peer: str, overdue_before: datetime) -> Overdue:
        """How many facts are overdue that a peer is owed, and since when the oldest of them is owed."""
        return await self._store.read(_overdue, peer, overdue_before)

    async def page(
        self, overdue_before: datetime, *, cursor: str | None = None, limit: int, **search: Unpack[DeliverySearch]
    ) -> Page[Delivery]:
        """A page of the messages that are searched for, newest first; what is older than `overdue_before` is overdue.

        One that was altered on the disk is there with its id and without anything of what it says.
        Raises `Refused` (400) for a cursor that is not ours.
        """
        query = deliveries_wanted(search, overdue_before)
        if cursor is not None:
            query = query.where(tuple_(_OWED.created_at, _OWED.id) < place_of(cursor, "deliveries", int, int))
        query = query.order_by(_OWED.created_at.desc(), _OWED.id.desc()).limit(limit + 1)
        return page_of(await self._store.read(_placed, query), limit, _cursor, lambda row: row[1])

    async def one(self, delivery_id: int) -> Delivery | None:
        """The message with this id, whatever has become of it."""
        found = await self._store.read(_placed, _deliveries().where(_OWED.id == delivery_id))
        return found[0][1] if found else None

    async def peers_with_pending(self) -> tuple[str, ...]:
        """The peers to whom something is owed."""
        return await self._store.read(_peers_with_pending)


def _pending(connection: Connection, peer: str, limit: int, now_us: int) -> list[RowMapping]:
    """The rows that the index names, read by their ids: what they say of themselves is then not the index's word."""
    due = tables.deliveries.alias("due").c
    alive = or_(due.expires_at.is_(None), due.expires_at > now_us)
    named = select(due.id).where(due.peer == peer, due.status == DeliveryStatus.PENDING.value, alive)
    query = _deliveries().where(_OWED.id.in_(named.order_by(due.next_at, due.id).limit(limit)))
    return sorted(connection.execute(query).mappings(), key=lambda row: int(row["id"]))


def _placed(connection: Connection, query: Query) -> list[tuple[tuple[int, int], Delivery]]:
    """Each delivery with its place in the list, which is told by its row even where that was altered."""
    return [((row["created_at"], row["id"]), _delivery(row)) for row in connection.execute(query).mappings()]


def _cursor(last: tuple[tuple[int, int], Delivery]) -> str:
    return cursor_of("deliveries", *last[0])


def _overdue(connection: Connection, peer: str, before: datetime) -> Overdue:
    query = select(func.count(), func.min(_OWED.created_at)).where(
        _OWED.peer == peer, _OWED.status.in_(OWED), is_overdue(before)
    )
    number, oldest_us = connection.execute(query).one()
    return Overdue(number, None if oldest_us is None else instant(oldest_us))


def _number(connection: Connection, which: ColumnElement[bool]) -> int:
    return connection.scalar(select(func.count()).where(which)) or 0


def _counts(connection: Connection, peer: str) -> dict[str, int]:
    query = select(_OWED.status, func.count()).where(_OWED.peer == peer).group_by(_OWED.status)
    return dict(iter(connection.execute(query)))


def _peers_with_pending(connection: Connection) -> tuple[str, ...]:
    return tuple(connection.scalars(select(_OWED.peer).where(_PENDING).distinct().order_by(_OWED.peer)))


def _change(connection: Connection, which: ColumnElement[bool], values: dict[str, object]) -> int:
    return connection.execute(update(tables.deliveries).where(which).values(values)).rowcount


def _deliveries() -> Query:
    return all_of(tables.deliveries)


def _delivery(row: RowMapping) -> Delivery:
    return delivery_of(row) if intact(tables.deliveries, row) else _altered(row)


def _altered(row: RowMapping) -> Delivery:
    """What can be said of a delivery that is not what was written: which one it is, and that."""
    return Delivery(
        id=row["id"],
        message_id="",
        peer="",
        operation="",
        transaction="",
        body=b"",
        created_at=instant(0),
        expires_at=None,
        next_at=instant(0),
        attempts=0,
        status=DeliveryStatus.PARKED,
        last_error=ALTERED,
    )
