"""Operations in the store: a row of each as it stands."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, select, tuple_

from actors import tables
from actors.cursors import cursor_of, page_of, place_of
from actors.rows import document_of, micros, raw
from actors.store import Store
from statecharts.doors import StationOperation
from statecharts.ports import Page

_OPERATIONS = tables.operations.c
_ALL = select(*raw(tables.operations))


class Operations:
    """Reads them, in node time. Raises StoreUnavailable when the store is away, StreamCorrupt for an altered row."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(
        self,
        *,
        station: str | None = None,
        command: str | None = None,
        state: str | None = None,
        by: str | None = None,
        cursor: str | None = None,
        limit: int,
    ) -> Page[StationOperation]:
        """A page of them, newest first; None stands for any. Raises `Refused` (400) for a cursor that is not ours."""
        wanted = {"station": station, "command": command, "state": state, "by": by}
        query = _ALL.where(*(_OPERATIONS[name] == each for name, each in wanted.items() if each is not None))
        if cursor is not None:
            query = query.where(
                tuple_(_OPERATIONS.asked_at, _OPERATIONS.stream) < place_of(cursor, "operations", int, str)
            )
        query = query.order_by(_OPERATIONS.asked_at.desc(), _OPERATIONS.stream.desc()).limit(limit + 1)
        return page_of(await self._store.read(_read, query), limit, _cursor, lambda operation: operation)

    async def one(self, operation: str) -> StationOperation | None:
        """The operation with this id, if there is one."""
        query = _ALL.where(_OPERATIONS.stream == f"operation/{operation}")
        return next(iter(await self._store.read(_read, query)), None)

    async def under_way(self) -> tuple[str, ...]:
        """The streams of those that are not over, oldest first."""
        query = select(_OPERATIONS.stream).where(_OPERATIONS.final == 0).order_by(_OPERATIONS.asked_at)
        return await self._store.read(_streams, query)


def _cursor(last: StationOperation) -> str:
    return cursor_of("operations", micros(last.asked_at), f"operation/{last.id}")


def _read(connection: Connection, query: Any) -> tuple[StationOperation, ...]:
    rows = connection.execute(query).mappings()
    return tuple(document_of(tables.operations, row, StationOperation) for row in rows)


def _streams(connection: Connection, query: Any) -> tuple[str, ...]:
    return tuple(connection.scalars(query))
