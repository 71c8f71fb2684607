"""Streams read together: whoever waits for one while others are being read has it read with the next ones.

A node that starts loads its actors by the thousand, and so does one whose stations all come back. Each for itself, they
would spend more on going to a thread and back, and on Python's lock, than on reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import trio
from sqlalchemy import Connection

from actors import audit
from actors.records import History, StoreError
from actors.store import Store
from statecharts.limits import HISTORIES_AT_ONCE


@dataclass(eq=False, slots=True)
class _Wanted:
    stream: str
    form: str | None
    outcome: History | StoreError | None = None


class Histories:
    """The histories of a store's streams."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turn = trio.StrictFIFOLock()
        self._wanted: dict[_Wanted, None] = {}

    async def read(self, stream: str, form: str | None) -> History:
        """See `Journal.history`."""
        wanted = _Wanted(stream, form)
        self._wanted[wanted] = None
        try:
            async with self._turn:
                if wanted.outcome is None:
                    await self._read_next(wanted)
        finally:
            self._wanted.pop(wanted, None)
        if isinstance(wanted.outcome, History):
            return wanted.outcome
        assert wanted.outcome is not None, "it was read, or the store has refused it"
        raise wanted.outcome

    async def _read_next(self, first: _Wanted) -> None:
        """Reads this one and others that wait, those who wait longest first."""
        others = [wanted for wanted in self._wanted if wanted is not first][: HISTORIES_AT_ONCE.limit - 1]
        batch = [first, *others]
        outcomes = await self._store.read(_read, batch)
        for wanted, outcome in zip(batch, outcomes, strict=True):
            wanted.outcome = outcome
            self._wanted.pop(wanted, None)


def _read(connection: Connection, batch: Sequence[_Wanted]) -> list[History | StoreError]:
    return [_one(connection, wanted) for wanted in batch]


def _one(connection: Connection, wanted: _Wanted) -> History | StoreError:
    """A stream that cannot be read is the trouble of its own actor alone."""
    try:
        return audit.history(connection, wanted.stream, wanted.form)
    except StoreError as error:
        return error
