"""The audit log in the store: what operators asked for, and what came of it; `statecharts.audit.AuditTrail`.

A deed is written down before it is done, and its outcome after. So nothing is done that is not logged, and what is
logged without an outcome may have been done: the node ended, or the caller hung up.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import Any, Protocol

import msgspec
import structlog
from sqlalchemy import ColumnElement, Connection, Select, and_, insert, or_, select, tuple_, update

from actors import tables
from actors.cursors import cursor_of, page_of, place_of
from actors.masking import masked
from actors.rows import AnyRow, Row, checked, instant, intact, micros, raw, sealed
from actors.store import Store
from statecharts.audit import AuditFilter, AuditView, Deed
from statecharts.bounds import HTTP_BODY
from statecharts.ports import Page

log = structlog.get_logger(__name__)

_TRAIL = tables.audit.c
_KEY = _TRAIL.at, _TRAIL.id


class WallClock(Protocol):
    """People ask what happened when by their own clocks."""

    def wall(self) -> datetime: ...


class Trail:
    """See the module's docstring; `changed` hears of each row. Raises StreamCorrupt where a row was altered."""

    def __init__(self, store: Store, clock: WallClock, changed: Callable[[], None] = lambda: None) -> None:
        self._store, self._clock, self._changed = store, clock, changed

    async def asked(self, deed: Deed) -> int:
        row = {
            "at": micros(self._clock.wall()),
            "by": deed.by,
            "address": deed.address,
            "correlation_id": deed.correlation_id,
            "method": deed.method,
            "route": deed.route,
            "path": deed.path,
            "body": b"" if not deed.body else msgspec.json.encode(_told(deed.body)),
            "status": None,
            "problem": "",
            "answered_at": None,
        }
        return await self._store.write(_insert, sealed(tables.audit, row))

    async def answered(self, number: int, status: int, problem: str | None) -> None:
        outcome = {"status": status, "problem": problem or "", "answered_at": micros(self._clock.wall())}
        await self._store.write(_complete, number, outcome)
        self._changed()

    async def page(self, wanted: AuditFilter, *, cursor: str | None = None, limit: int) -> Page[AuditView]:
        query = _matching(wanted)
        if cursor is not None:
            query = query.where(tuple_(*_KEY) < place_of(cursor, "audit", int, int))
        found = await self._store.read(_read, query.order_by(*(each.desc() for each in _KEY)).limit(limit + 1))
        return page_of(found, limit, lambda last: cursor_of("audit", micros(last.at), last.id), lambda view: view)


def _told(body: bytes) -> Any:
    """What the log says of a body: itself without its secrets, or which one it was."""
    try:
        if len(body) > HTTP_BODY.limit:
            raise ValueError("nobody would read it there")
        return masked(msgspec.json.decode(body, type=dict[str, Any]))
    except (msgspec.MsgspecError, RecursionError, ValueError):
        # What cannot be read cannot be masked.
        return {"bytes": len(body), "sha256": sha256(body).hexdigest()}


# -- rows --------------------------------------------------------------------------------------------------------------


def _insert(connection: Connection, row: Row) -> int:
    number: int = connection.execute(insert(tables.audit).returning(_TRAIL.id), row).scalar_one()
    return number


def _complete(connection: Connection, number: int, outcome: Row) -> None:
    """Adds what came of a deed; a row that was altered meanwhile keeps the checksum that shows it."""
    row = connection.execute(select(*raw(tables.audit)).where(_TRAIL.id == number)).mappings().one_or_none()
    if row is None or not intact(tables.audit, row):
        log.error("audit.damaged", id=number)
        return
    after = sealed(tables.audit, {**row, **outcome})
    connection.execute(update(tables.audit).where(_TRAIL.id == number).values(after))


def _matching(wanted: AuditFilter) -> Select[*tuple[Any, ...]]:
    query = select(*raw(tables.audit)).where(*(_below(path) for path in wanted.below))
    if wanted.by is not None:
        query = query.where(_TRAIL.by == wanted.by)
    if wanted.since is not None:
        query = query.where(_TRAIL.at >= micros(wanted.since))
    if wanted.until is not None:
        query = query.where(_TRAIL.at < micros(wanted.until))
    return query


def _below(path: str) -> ColumnElement[bool]:
    """This path or one that goes on from it: "0" is what comes after "/"."""
    place = path.rstrip("/")
    return or_(_TRAIL.path == place, and_(_TRAIL.path > f"{place}/", _TRAIL.path < f"{place}0"))


def _read(connection: Connection, query: Select[*tuple[Any, ...]]) -> tuple[AuditView, ...]:
    return tuple(_view_of(checked(tables.audit, row)) for row in connection.execute(query).mappings())


def _view_of(row: AnyRow) -> AuditView:
    return AuditView(
        id=row["id"],
        at=instant(row["at"]),
        by=row["by"],
        address=row["address"],
        correlation_id=row["correlation_id"],
        method=row["method"],
        route=row["route"],
        path=row["path"],
        body=msgspec.json.decode(row["body"]) if row["body"] else None,
        status=row["status"],
        problem=row["problem"] or None,
        answered_at=None if row["answered_at"] is None else instant(row["answered_at"]),
    )
