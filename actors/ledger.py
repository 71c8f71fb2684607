"""Lists, look-ups and counts for people and for checks: transactions and charge records as they stand now."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from operator import attrgetter
from typing import TypeVar, Unpack

from sqlalchemy import Connection, Select, and_, func, or_, select, tuple_

from actors import tables
from actors.cursors import cursor_of, page_of, place_of
from actors.records import DeliveryStatus, IdleMeter, LedgerEntry, LogEntry
from actors.rows import checked, document_of, instant, log_entry_of, meter_of, micros, raw
from actors.searches import Query, all_of, cdrs_wanted, transactions_wanted
from actors.store import Store
from statecharts.limits import NAMESAKES_SHOWN
from statecharts.ports import CdrView, Change, Page, TransactionView
from statecharts.searches import CdrSearch, TransactionSearch
from statecharts.vocabulary import EndTransaction

T = TypeVar("T")
CHARGING = ("TxRunning", "StopTxRequested")
"""What a transaction at a station of ours is while energy flows."""

CARD_CHARGES = ("StartTxRequested", *CHARGING)
"""What a charge of our own is while its card is taken up by it."""

_VIEWS = tables.transactions.c
_CDRS = tables.ledger.c
_LOG = tables.station_log.c
_OWED = tables.deliveries.c
CHARGE_RECORD = EndTransaction.__name__
_CDR_KEY = _CDRS.ended_at, _CDRS.cdr_id, _CDRS.role
_NEWEST_FIRST = _VIEWS.created_at.desc(), _VIEWS.stream.desc()


class Ledger:
    """Reads what the appends have written. Raises StoreUnavailable when the database is, StreamCorrupt for an altered
    row: none is ever shown, none is ever silently left out. `shown` makes of a view what its readers are to see.
    """

    def __init__(self, store: Store, shown: Callable[[TransactionView], TransactionView] = lambda view: view) -> None:
        self._store, self._shown = store, shown

    # -- transactions --------------------------------------------------------------------------------------------------

    async def transactions(
        self, *, cursor: str | None = None, limit: int, **search: Unpack[TransactionSearch]
    ) -> Page[TransactionView]:
        """A page of the transactions that are searched for, newest first.

        Pages neither skip nor repeat a transaction when others begin between them. Raises `Refused` (400) for a cursor
        that is not ours.
        """
        query = transactions_wanted(search)
        if cursor is not None:
            query = query.where(tuple_(_VIEWS.created_at, _VIEWS.stream) < place_of(cursor, "transactions", int, str))
        found = await self._store.read(_rows, query.order_by(*_NEWEST_FIRST).limit(limit + 1))
        return page_of(found, limit, _transaction_cursor, lambda row: self._shown(row[1]))

    async def transaction(self, stream: str) -> TransactionView | None:
        """The transaction with this stream ("source/1A2B")."""
        return _first(await self._views(_all_views().where(_VIEWS.stream == stream)))

    async def by_authorization(self, authorization_identifier: str) -> tuple[TransactionView, ...]:
        """All transactions with this authorizationIdentifier, of every role and peer, newest first."""
        query = _all_views().where(_VIEWS.authorization_identifier == authorization_identifier)
        return await self._views(query.order_by(*_NEWEST_FIRST).limit(NAMESAKES_SHOWN.limit))

    async def newest(self, role: str, *, only_open: bool) -> TransactionView | None:
        """The newest transaction of a role; with `only_open` the newest that is not final."""
        query = _all_views().where(_VIEWS.role == role)
        if only_open:
            query = query.where(tables.UNDER_WAY)
        return _first(await self._views(query.order_by(*_NEWEST_FIRST).limit(1)))

    async def unbegun(self, station: str, *, states: Collection[str], since: datetime) -> tuple[TransactionView, ...]:
        """The transactions at a station since then that are in one of these states: the newest, newest first."""
        mine = _VIEWS.state.in_(sorted(states)), _VIEWS.created_at >= micros(since), _VIEWS.local_service == station
        return await self._views(_all_views().where(*mine).order_by(*_NEWEST_FIRST).limit(NAMESAKES_SHOWN.limit))

    async def changes_since(
        self,
        position: int,
        *,
        limit: int,
        stream: str | None = None,
        role: str | None = None,
        users: Collection[str] | None = None,
    ) -> tuple[Change, ...]:
        """The transactions that changed after this place in the journal, as they stand now, in the order of their
        newest change; None stands for any stream, any role, every user.

        Whoever asks again with the position of the last one misses nothing: each later change has a higher one.
        """
        query = transactions_wanted({"users": users}).where(_VIEWS.position > position)
        if role is not None:
            # Not by the index of roles: after it, half of all there ever was would be sorted by position.
            query = query.where(func.coalesce(_VIEWS.role, "") == role)
        if stream is not None:
            query = query.where(_VIEWS.stream == stream)
        found = await self._store.read(_changes, query.order_by(_VIEWS.position, _VIEWS.stream).limit(limit))
        return tuple(Change(position=position, transaction=self._shown(view)) for position, view in found)

    async def newest_position(self) -> int:
        """The place in the journal of the newest change of any transaction; 0 before the first."""
        return await self._store.read(_number, select(func.max(_VIEWS.position)))

    async def count_open(self, peer: str, user: str, *, states: Collection[str], role: str = "destination") -> int:
        """How many transactions of a peer's user are in one of these states, none of which may be final."""
        mine = _VIEWS.peer == peer, _VIEWS.user == user, _VIEWS.role == role, _VIEWS.state.in_(sorted(states))
        return await self._store.read(_number, select(func.count()).where(tables.UNDER_WAY, *mine))

    async def charges_of_card(self, id_tag: str, *, besides: str, most: int) -> int:
        """How many charges of our own a card has under way, beside the one of this stream; counted up to `most`."""
        # Stations say an idTag as they like, in capitals or as it is printed; no index knows that case means nothing.
        written = _VIEWS.user.in_(sorted({id_tag, id_tag.upper(), id_tag.lower()}))
        mine = _VIEWS.peer.is_(None), written, _VIEWS.role == "local", _VIEWS.state.in_(CARD_CHARGES)
        found = select(_VIEWS.stream).where(tables.UNDER_WAY, *mine, _VIEWS.stream != besides).limit(most)
        return len(await self._store.read(_texts, found))

    async def charging(self) -> frozenset[str]:
        """Our stations at which a charge goes on, as the transactions say that are under way."""
        here = _VIEWS.role.in_(("destination", "local")), _VIEWS.state.in_(CHARGING)
        return await self._store.read(_texts, select(_VIEWS.local_service).where(tables.UNDER_WAY, *here).distinct())

    # -- charge records ------------------------------------------------------------------------------------------------

    async def cdrs(self, *, cursor: str | None = None, limit: int, **search: Unpack[CdrSearch]) -> Page[CdrView]:
        """A page of the charge records that are searched for, the one that ended last first.

        Raises `Refused` (400) for a cursor that is not ours.
        """
        query = cdrs_wanted(search)
        if cursor is not None:
            query = query.where(tuple_(*_CDR_KEY) < place_of(cursor, "cdrs", int, str, str))
        order = [column.desc() for column in _CDR_KEY]
        found = await self._entries(query.order_by(*order).limit(limit + 1))
        return page_of(found, limit, _cdr_cursor, attrgetter("cdr"))

    async def cdr(self, role: str, cdr_id: str) -> CdrView | None:
        """The charge record with this id as this role holds it."""
        entry = await self.entry(role, cdr_id)
        return entry.cdr if entry else None

    async def entry(self, role: str, cdr_id: str) -> LedgerEntry | None:
        """The same with what became of it: acknowledged when, corrected how often."""
        return _first(await self._entries(_all_cdrs().where(_CDRS.role == role, _CDRS.cdr_id == cdr_id)))

    async def counts(self, peer: str, *, role: str | None = None) -> dict[str, int]:
        """The charge records with a peer: `ended` is all of them; then `acknowledged`, `corrected`, and each status.

        `delivered` are those of ours that were sent at least once, `acknowledged` those that the peer has for certain;
        `overdue` and `parked` are always there, with 0 where no record has that status.
        """
        which = _CDRS.peer == peer if role is None else and_(_CDRS.peer == peer, _CDRS.role == role)
        counts = await self._store.read(_counts, select(*_COUNTED).where(which).group_by(_CDRS.role, _CDRS.status))
        return {**counts, "delivered": counts["delivered"] + await self._store.read(_number, _tried(peer))}

    # -- what stations said beside charging ----------------------------------------------------------------------------

    async def idle_meters(self, station: str, limit: int) -> tuple[IdleMeter, ...]:
        """The meter values of a station that belong to no charge and have not been archived, newest first."""
        query = select(*raw(tables.meter_values)).where(tables.meter_values.c.station == station)
        return await self._store.read(_idle_meters, query.order_by(tables.meter_values.c.id.desc()).limit(limit))

    async def station_log(
        self, station: str, *, kind: str | None = None, cursor: str | None = None, limit: int
    ) -> Page[LogEntry]:
        """A page of what a station has reported beside charging, of one kind or all, newest first.

        Raises `Refused` (400) for a cursor that is not ours.
        """
        query = select(*raw(tables.station_log)).where(_LOG.station == station)
        if kind is not None:
            query = query.where(_LOG.kind == kind)
        if cursor is not None:
            query = query.where(_LOG.id < place_of(cursor, "station-log", int)[0])
        found = await self._store.read(_log_entries, query.order_by(_LOG.id.desc()).limit(limit + 1))
        return page_of(found, limit, lambda last: cursor_of("station-log", last.id or 0), lambda entry: entry)

    async def _views(self, query: Query) -> tuple[TransactionView, ...]:
        return tuple(self._shown(view) for _, view in await self._store.read(_rows, query))

    async def _entries(self, query: Query) -> tuple[LedgerEntry, ...]:
        return await self._store.read(_ledger_entries, query)


# -- queries -----------------------------------------------------------------------------------------------------------


def _texts(connection: Connection, query: Select[tuple[str]]) -> frozenset[str]:
    return frozenset(connection.scalars(query))


def _all_views() -> Query:
    return all_of(tables.transactions)


def _all_cdrs() -> Query:
    return all_of(tables.ledger)


def _transaction_cursor(last: tuple[str, TransactionView]) -> str:
    stream, view = last
    return cursor_of("transactions", micros(view.created_at), stream)


def _cdr_cursor(last: LedgerEntry) -> str:
    return cursor_of("cdrs", micros(last.ended_at), last.cdr.cdr_id, last.role)


_ACKNOWLEDGED = or_(_CDRS.acknowledged_at.is_not(None), _CDRS.status == "acknowledged")
_COUNTED = (
    _CDRS.role,
    _CDRS.status,
    func.count(),
    func.count().filter(_ACKNOWLEDGED),
    func.count().filter(_CDRS.corrections > 0),
)


def _tried(peer: str) -> Select[int]:
    """How many charge records were sent and are not known to have arrived: those that have count in the ledger."""
    open_ones = (DeliveryStatus.PENDING.value, DeliveryStatus.PARKED.value)
    return select(func.count()).where(
        _OWED.peer == peer, _OWED.status.in_(open_ones), _OWED.operation == CHARGE_RECORD, _OWED.attempts > 0
    )


# -- reading -----------------------------------------------------------------------------------------------------------


def _rows(connection: Connection, query: Query) -> list[tuple[str, TransactionView]]:
    rows = connection.execute(query).mappings()
    return [(row["stream"], document_of(tables.transactions, row, TransactionView)) for row in rows]


def _changes(connection: Connection, query: Query) -> list[tuple[int, TransactionView]]:
    rows = connection.execute(query).mappings()
    return [(row["position"], document_of(tables.transactions, row, TransactionView)) for row in rows]


def _ledger_entries(connection: Connection, query: Query) -> tuple[LedgerEntry, ...]:
    return tuple(
        LedgerEntry(
            role=row["role"],
            cdr=document_of(tables.ledger, row, CdrView),
            ended_at=instant(row["ended_at"]),
            acknowledged_at=None if row["acknowledged_at"] is None else instant(row["acknowledged_at"]),
            corrections=row["corrections"],
        )
        for row in connection.execute(query).mappings()
    )


_SUMS = ("ended", "acknowledged", "corrected")


def _counts(connection: Connection, query: Select[str, str, int, int, int]) -> dict[str, int]:
    counts = dict.fromkeys((*_SUMS, "delivered", "overdue", "parked"), 0)
    for role, status, ended, acknowledged, corrected in connection.execute(query):
        counts["ended"] += ended
        counts["delivered"] += acknowledged if role == "destination" else 0
        counts["acknowledged"] += acknowledged
        counts["corrected"] += corrected
        if status not in _SUMS:
            counts[status] = counts.get(status, 0) + ended
    return counts


def _log_entries(connection: Connection, query: Query) -> tuple[LogEntry, ...]:
    return tuple(log_entry_of(checked(tables.station_log, row)) for row in connection.execute(query).mappings())


def _idle_meters(connection: Connection, query: Query) -> tuple[IdleMeter, ...]:
    return tuple(meter_of(checked(tables.meter_values, row)) for row in connection.execute(query).mappings())


def _number(connection: Connection, query: Select[int]) -> int:
    return connection.scalar(query) or 0


def _first(found: tuple[T, ...]) -> T | None:
    return found[0] if found else None
