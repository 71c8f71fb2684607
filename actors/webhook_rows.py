"""Webhooks in the store: a row for each, and one for each event that it is told next or was told last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
import structlog
from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, literal, select, update

from actors import tables
from actors.bulk import put_rows
from actors.cursors import cursor_of, page_of, place_of
from actors.rows import AnyRow, Row, checked, instant, intact, micros, raw, sealed
from actors.store import Store
from statecharts.ports import Page, TransactionView
from statecharts.vocabulary import Value, refused
from statecharts.webhook import Webhook
from statecharts.webhook_limits import WEBHOOK_DELIVERIES, WEBHOOK_EVENTS, WEBHOOK_LAG
from statecharts.webhooks_door import HookEvent

ALTERED = "this event does not match its checksum: it was altered on the disk"

_HOOKS = tables.webhooks.c
_TOLD = tables.webhook_deliveries.c
_CHANGED = tables.transactions.c

log = structlog.get_logger(__name__)


class HookStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "given-up"


class HookRecord(Value, frozen=True, kw_only=True):
    """A hook as it stands: all that happened up to `position` of the journal is among its deliveries, or done."""

    id: str
    url: str
    events: tuple[HookEvent, ...]
    roles: tuple[str, ...]
    secret: str
    created_at: datetime
    created_by: str
    position: int
    description: str | None = None
    data: Webhook = Webhook()


class NewHookDelivery(Value, frozen=True, kw_only=True):
    """An event that a hook is owed. `message_id` is unique within the hook.

    Those of one subject whose ids begin with `news`, if there is any, say the same: two in a row are one too many.
    """

    message_id: str
    event: HookEvent
    subject: str
    at: datetime
    body: bytes
    news: str = ""


class HookDelivery(NewHookDelivery, frozen=True, kw_only=True):
    """The same in the store, with what became of it."""

    id: int
    status: HookStatus = HookStatus.PENDING
    attempts: int = 0
    tried_at: datetime | None = None
    answered: int | None = None
    error: str | None = None


class WebhookRows:
    """Reads and writes them. Every method raises StoreUnavailable when the store is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def ids(self) -> tuple[str, ...]:
        """All hooks, the oldest first."""
        return await self._store.read(_ids)

    async def one(self, hook: str) -> HookRecord | None:
        """Raises StreamCorrupt for a row that was altered."""
        return await self._store.read(_one, hook)

    async def put(self, record: HookRecord) -> None:
        """Lets a hook stand like this."""
        await self._store.write(_put, record)

    async def remove(self, hook: str) -> None:
        await self._store.write(_remove, hook)

    async def pending(self, hook: str) -> tuple[HookDelivery, ...]:
        """What is to be sent next, in its order; what was altered on the disk is given up instead."""
        sound, altered = await self._store.read(_pending, hook)
        for number in altered:
            log.error("webhook.event_damaged", hook=hook, delivery=number)
            await self._store.write(_change, number, {"status": HookStatus.GIVEN_UP.value, "error": ALTERED})
        return sound

    async def take(self, record: HookRecord, events: Sequence[NewHookDelivery]) -> tuple[HookDelivery, ...]:
        """Lets the hook be where the record says, with these events owed to it: durable at once, or not at all.

        An event that is in its list already, or says what the last one of its subject said, is not owed (again). What
        is pending then, in its order.
        """
        await self._store.write(_take, record, events)
        return await self.pending(record.id)

    async def tried(self, record: HookRecord, delivery: HookDelivery) -> None:
        """Writes down what came of an attempt, or that one is wanted, and how the hook stands after it."""
        await self._store.write(_tried, record, delivery)

    async def delivery(self, hook: str, number: int) -> HookDelivery | None:
        """One event of its list. Raises `Refused` (409) for one that was altered on the disk."""
        found = await self._store.read(_delivery, hook, number)
        if found is not None and not intact(tables.webhook_deliveries, found):
            raise refused(409, "unreadable", ALTERED)
        return None if found is None else _delivery_of(found)

    async def page(
        self, hook: str, which: Iterable[ColumnElement[bool]], *, cursor: str | None, limit: int
    ) -> Page[HookDelivery]:
        """A page of its deliveries, newest first, but for those that were altered on the disk.

        Raises `Refused` (400) for a cursor that is not ours.
        """
        query = select(*raw(tables.webhook_deliveries)).where(_TOLD.hook == hook, *which)
        if cursor is not None:
            query = query.where(_TOLD.id < place_of(cursor, "webhook-deliveries", int)[0])
        found = await self._store.read(_deliveries, query.order_by(_TOLD.id.desc()).limit(limit + 1))
        return page_of(found, limit, lambda last: cursor_of("webhook-deliveries", last.id), lambda each: each)

    async def changes(self, position: int, limit: int) -> tuple[tuple[int, TransactionView | None], ...]:
        """The transactions that changed after this position, as `Ledger.changes_since` has them, in node time.

        None stands for one that was altered on the disk: the others are told all the same.
        """
        return await self._store.read(_changes, position, limit)

    async def behind(self, position: int) -> tuple[int, datetime | None]:
        """How many transactions changed after this position, up to `WEBHOOK_LAG`, and when the first of them did."""
        return await self._store.read(behind, position)


def with_status(status: str) -> list[ColumnElement[bool]]:
    """What tells the deliveries of a status; those that fail are pending ones that were tried."""
    if status == "failing":
        return [_TOLD.status == HookStatus.PENDING.value, _TOLD.attempts > 0]
    if status == HookStatus.PENDING.value:
        return [_TOLD.status == status, _TOLD.attempts == 0]
    return [_TOLD.status == status]


# -- in the store ------------------------------------------------------------------------------------------------------


def _ids(connection: Connection) -> tuple[str, ...]:
    return tuple(connection.scalars(select(_HOOKS.id).order_by(_HOOKS.created_at, _HOOKS.id)))


def _one(connection: Connection, hook: str) -> HookRecord | None:
    row = connection.execute(select(*raw(tables.webhooks)).where(_HOOKS.id == hook)).mappings().one_or_none()
    if row is None:
        return None
    return msgspec.json.decode(checked(tables.webhooks, row)["document"], type=HookRecord)


def _put(connection: Connection, record: HookRecord) -> None:
    row = {"id": record.id, "created_at": micros(record.created_at), "document": msgspec.json.encode(record)}
    put_rows(connection, tables.webhooks, [sealed(tables.webhooks, row)])


def _remove(connection: Connection, hook: str) -> None:
    connection.execute(delete(tables.webhook_deliveries).where(_TOLD.hook == hook))
    connection.execute(delete(tables.webhooks).where(_HOOKS.id == hook))


def _pending(connection: Connection, hook: str) -> tuple[tuple[HookDelivery, ...], list[int]]:
    query = select(*raw(tables.webhook_deliveries)).where(_TOLD.hook == hook, _TOLD.status == HookStatus.PENDING.value)
    rows = connection.execute(query.order_by(_TOLD.id).limit(WEBHOOK_EVENTS.limit)).mappings().all()
    sound = [row for row in rows if intact(tables.webhook_deliveries, row)]
    return tuple(map(_delivery_of, sound)), [row["id"] for row in rows if row not in sound]


def _take(connection: Connection, record: HookRecord, events: Sequence[NewHookDelivery]) -> None:
    _put(connection, record)
    named = select(_TOLD.message_id).where(
        _TOLD.hook == record.id, _TOLD.message_id.in_([event.message_id for event in events])
    )
    told = set(connection.scalars(named))
    fresh = [event for event in events if event.message_id not in told]
    rows = [_row_of(record.id, event) for event in fresh if not _is_no_news(connection, record.id, event)]
    if rows:
        connection.execute(insert(tables.webhook_deliveries), rows)
    _forget_old(connection, record.id)


def _is_no_news(connection: Connection, hook: str, event: NewHookDelivery) -> bool:
    if not event.news:
        return False
    of_subject = _TOLD.hook == hook, _TOLD.event == event.event.value, _TOLD.subject == event.subject
    last = connection.scalar(select(_TOLD.message_id).where(*of_subject).order_by(_TOLD.id.desc()).limit(1))
    return last is not None and last.startswith(event.news)


def _forget_old(connection: Connection, hook: str) -> None:
    delivered = _TOLD.hook == hook, _TOLD.status == HookStatus.DELIVERED.value
    newest = select(_TOLD.id).where(*delivered).order_by(_TOLD.id.desc()).offset(WEBHOOK_DELIVERIES.limit).limit(1)
    last = connection.scalar(newest)
    if last is not None:
        connection.execute(delete(tables.webhook_deliveries).where(*delivered, _TOLD.id <= last))


def _tried(connection: Connection, record: HookRecord, delivery: HookDelivery) -> None:
    _put(connection, record)
    values = {
        "status": delivery.status.value,
        "attempts": delivery.attempts,
        "tried_at": delivery.tried_at and micros(delivery.tried_at),
        "answered": delivery.answered,
        "error": delivery.error,
    }
    _change(connection, delivery.id, values)


def _change(connection: Connection, number: int, values: dict[str, Any]) -> None:
    connection.execute(update(tables.webhook_deliveries).where(_TOLD.id == number).values(values))


def _row_of(hook: str, event: NewHookDelivery) -> Row:
    row = {
        "hook": hook,
        "message_id": event.message_id,
        "event": event.event.value,
        "subject": event.subject,
        "at": micros(event.at),
        "body": event.body,
        "status": HookStatus.PENDING.value,
        "attempts": 0,
    }
    return sealed(tables.webhook_deliveries, row)


def _deliveries(connection: Connection, query: Select[Any]) -> tuple[HookDelivery, ...]:
    rows = connection.execute(query).mappings()
    return tuple(_delivery_of(row) for row in rows if intact(tables.webhook_deliveries, row))


def _delivery(connection: Connection, hook: str, number: int) -> AnyRow | None:
    query = select(*raw(tables.webhook_deliveries)).where(_TOLD.hook == hook, _TOLD.id == number)
    return connection.execute(query).mappings().one_or_none()


def _delivery_of(row: AnyRow) -> HookDelivery:
    return HookDelivery(
        id=row["id"],
        message_id=row["message_id"],
        event=HookEvent(row["event"]),
        subject=row["subject"],
        at=instant(row["at"]),
        body=row["body"],
        status=HookStatus(row["status"]),
        attempts=row["attempts"],
        tried_at=None if row["tried_at"] is None else instant(row["tried_at"]),
        answered=row["answered"],
        error=row["error"],
    )


def _changes(connection: Connection, position: int, limit: int) -> tuple[tuple[int, TransactionView | None], ...]:
    query = select(*raw(tables.transactions)).where(_CHANGED.position > position)
    rows = connection.execute(query.order_by(_CHANGED.position, _CHANGED.stream).limit(limit)).mappings()
    return tuple((row["position"], _view_of(row)) for row in rows)


def _view_of(row: AnyRow) -> TransactionView | None:
    if not intact(tables.transactions, row):
        log.error("webhook.change_damaged", transaction=row["stream"])
        return None
    return msgspec.json.decode(row["document"], type=TransactionView)


def behind(connection: Connection, position: int) -> tuple[int, datetime | None]:
    """See `WebhookRows.behind`."""
    later = select(literal(1)).where(_CHANGED.position > position).limit(WEBHOOK_LAG.limit).subquery()
    count: int = connection.scalar(select(func.count()).select_from(later)) or 0
    first = select(_CHANGED.changed_at).where(_CHANGED.position > position).order_by(_CHANGED.position).limit(1)
    at_us = connection.scalar(first) if count else None
    return count, None if at_us is None else instant(at_us)
