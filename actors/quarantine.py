"""The actors that were put aside, in the store: which, when, why, and the message that broke each.

A case stays until the actor has worked again or an operator has released it, over restarts of the node.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, insert, select

from actors import tables
from actors.masking import MASK, masked
from actors.rows import checked, instant, micros, raw, sealed
from actors.store import Store
from statecharts.vocabulary import Value

ERROR_CHARS = 2_000


class Case(Value, frozen=True, kw_only=True):
    """One actor in quarantine. `message_type` and `message` (JSON) are empty where no message broke it."""

    actor: str
    at: datetime
    error: str
    message_type: str = ""
    message: str = ""

    @property
    def masked(self) -> bool:
        """Whether something of the message was not written down."""
        return f'"{MASK}"' in self.message


def case_of(actor: str, at: datetime, error: Exception, message: Any | None) -> Case:
    """What the operator will want to know. Secrets in the message are masked."""
    told = f"{type(error).__name__}: {error}"[:ERROR_CHARS]
    if message is None:
        return Case(actor=actor, at=at, error=told)
    written = msgspec.json.encode(masked(msgspec.to_builtins(message, enc_hook=repr, str_keys=True)))
    return Case(actor=actor, at=at, error=told, message_type=type(message).__name__, message=written.decode())


class Quarantine:
    """Keeps the cases. Every method raises StoreUnavailable when the store is away."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.changed: Callable[[str], None] = lambda actor: None
        """Hears of each case that is new or gone."""

    async def keep(self, case: Case) -> None:
        """Writes a case down, in place of an older one of the same actor."""
        await self._store.write(_keep, case)
        self.changed(case.actor)

    async def drop(self, actor: str) -> None:
        """Forgets the case of this actor, if there is one."""
        await self._store.write(_drop, actor)
        self.changed(actor)

    async def case(self, actor: str) -> Case | None:
        """The case of this actor. Raises StreamCorrupt if it is not as it was written."""
        return next(iter(await self._store.read(_cases, actor)), None)

    async def holds(self, actor: str) -> bool:
        """Whether there is a case of this actor, readable or not."""
        return await self._store.read(_holds, actor)

    async def cases(self) -> tuple[Case, ...]:
        """All of them, the oldest first. Raises StreamCorrupt if one is not as it was written."""
        return await self._store.read(_cases)


def _keep(connection: Connection, case: Case) -> None:
    _drop(connection, case.actor)
    row = {**msgspec.structs.asdict(case), "at": micros(case.at)}
    connection.execute(insert(tables.quarantine), sealed(tables.quarantine, row))


def _drop(connection: Connection, actor: str) -> None:
    connection.execute(delete(tables.quarantine).where(tables.quarantine.c.actor == actor))


def _holds(connection: Connection, actor: str) -> bool:
    query = select(tables.quarantine.c.actor).where(tables.quarantine.c.actor == actor)
    return connection.execute(query).first() is not None


def _cases(connection: Connection, actor: str | None = None) -> tuple[Case, ...]:
    table = tables.quarantine
    query = select(*raw(table)).order_by(table.c.at, table.c.actor)
    rows = connection.execute(query if actor is None else query.where(table.c.actor == actor)).mappings()
    return tuple(_case_of(checked(table, row)) for row in rows)


def _case_of(row: Any) -> Case:
    return Case(
        actor=row["actor"],
        at=instant(row["at"]),
        error=row["error"],
        message_type=row["message_type"],
        message=row["message"],
    )
