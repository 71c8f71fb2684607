"""Numbers for OCPP transactions: positive, 31 bits, each used once in this central system (OCPP 1.6 errata 3.54)."""

from __future__ import annotations

from sqlalchemy import Connection, Integer, cast, func, select

from actors import tables
from actors.store import Store

NUMBER_SCOPE = "ocpp-transaction"
"""The scope of the aliases that bind each number to its station's stream, for ever."""


class Numbers:
    """Hands out numbers above every one that was ever bound."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._last: int | None = None

    async def next(self) -> int:
        """A fresh number; one that is never bound (a crash) is simply skipped."""
        if self._last is None:
            highest = await self._store.read(_highest)
            self._last = max(self._last or 0, highest)
        self._last += 1
        return self._last


def _highest(connection: Connection) -> int:
    names = tables.aliases.c
    query = select(func.max(cast(names.name, Integer))).where(names.scope == NUMBER_SCOPE)
    return int(connection.scalar(query) or 0)
