"""The orphan inbox in the store: what stations reported that belongs to nothing we know, and what was decided on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, select, update

from actors import tables
from actors.cursors import cursor_of, page_of, place_of
from actors.records import Decision, Orphan, OrphanDecided, OrphanOutcome
from actors.rows import AnyRow, Row, checked, instant, intact, micros, raw, sealed
from actors.store import Store
from statecharts.ports import Page

_ORPHANS = tables.orphans.c
_OPEN = ""
_ALL = select(*raw(tables.orphans))


class Orphans:
    """Reads the inbox. Raises StoreUnavailable when the store is away, StreamCorrupt for an altered row."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(
        self,
        *,
        station: str | None = None,
        kind: str | None = None,
        outcome: OrphanOutcome | None = None,
        cursor: str | None = None,
        limit: int,
    ) -> Page[Orphan]:
        """A page of orphans that ended so, None: of those that nobody has decided on; newest first.

        Raises `Refused` (400) for a cursor that is not ours.
        """
        query = _ALL.where(_ORPHANS.outcome == (outcome or _OPEN))
        for column, wanted in ((_ORPHANS.station, station), (_ORPHANS.kind, kind)):
            query = query if wanted is None else query.where(column == wanted)
        if cursor is not None:
            query = query.where(_ORPHANS.id < place_of(cursor, "orphans", int)[0])
        found = await self._store.read(_read, query.order_by(_ORPHANS.id.desc()).limit(limit + 1))
        return page_of(found, limit, lambda last: cursor_of("orphans", last.id or 0), lambda orphan: orphan)

    async def one(self, orphan_id: int) -> Orphan | None:
        """The orphan with this id, decided on or not."""
        return next(iter(await self._store.read(_read, _ALL.where(_ORPHANS.id == orphan_id))), None)

    async def holds(self, orphan: Orphan) -> bool:
        """Whether the same was kept before, decided on or not: a station repeats what it was not told to forget."""
        return bool(await self._store.read(_first, select(_ORPHANS.id).where(_same(orphan)).limit(1)))

    async def after(self, station: str, kind: str, after: int, limit: int) -> tuple[Orphan, ...]:
        """The next open orphans of one kind from a station whose ids are beyond `after`, oldest first."""
        wanted = (_ORPHANS.station == station, _ORPHANS.kind == kind, _ORPHANS.outcome == _OPEN, _ORPHANS.id > after)
        return await self._store.read(_read, _ALL.where(*wanted).order_by(_ORPHANS.id).limit(limit))


def _read(connection: Connection, query: Any) -> tuple[Orphan, ...]:
    return tuple(_orphan_of(checked(tables.orphans, row)) for row in connection.execute(query).mappings())


def _first(connection: Connection, query: Any) -> Any:
    return connection.execute(query).first()


# -- rows --------------------------------------------------------------------------------------------------------------


def orphan_row(orphan: Orphan) -> Row:
    """The row of an orphan that nobody has decided on."""
    row = {
        "station": orphan.station,
        "kind": orphan.kind,
        "at": micros(orphan.at),
        "body": orphan.body,
        "why": orphan.why,
        **_UNDECIDED,
    }
    return sealed(tables.orphans, row)


_UNDECIDED: Row = {"outcome": _OPEN, "decided_at": None, "decided_by": "", "reason": "", "transaction": ""}


def _decided_columns(decision: Decision) -> Row:
    return {
        "outcome": decision.outcome.value,
        "decided_at": micros(decision.at),
        "decided_by": decision.by,
        "reason": decision.reason,
        "transaction": decision.transaction,
    }


def _orphan_of(row: AnyRow) -> Orphan:
    return Orphan(
        id=row["id"],
        station=row["station"],
        kind=row["kind"],
        at=instant(row["at"]),
        body=row["body"],
        why=row["why"],
        decision=_decision_of(row) if row["outcome"] else None,
    )


def _decision_of(row: AnyRow) -> Decision:
    return Decision(
        outcome=OrphanOutcome(row["outcome"]),
        at=instant(row["decided_at"]),
        by=row["decided_by"],
        reason=row["reason"],
        transaction=row["transaction"],
    )


# -- in the writer -----------------------------------------------------------------------------------------------------


def decide(connection: Connection, decided: Iterable[OrphanDecided]) -> None:
    """Writes decisions down, each once: what has been decided on stays as it is, and so does what is damaged."""
    for each in decided:
        for row in _open_rows(connection, each.orphan):
            after = sealed(tables.orphans, {**row, **_decided_columns(each.decision)})
            connection.execute(update(tables.orphans).where(_ORPHANS.id == row["id"]).values(after))


def _open_rows(connection: Connection, orphan: Orphan) -> Iterator[RowMapping]:
    found = connection.execute(_ALL.where(_same(orphan), _ORPHANS.outcome == _OPEN)).mappings().all()
    return (row for row in found if intact(tables.orphans, row))


def _same(orphan: Orphan) -> ColumnElement[bool]:
    """The orphan with its id; without one all with its content: a station may have reported it more than once."""
    if orphan.id is not None:
        return _ORPHANS.id == orphan.id
    return and_(_ORPHANS.station == orphan.station, _ORPHANS.kind == orphan.kind, _ORPHANS.body == orphan.body)
