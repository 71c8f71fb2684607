"""What has just changed, for those who show it: the names of things, never what they are like now.

A watcher reads again what it shows. So one that is slower than things change hears each name once, and one that has
lost its connection loses nothing that reading again does not bring back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import trio

from actors.changes import KEEP_ALIVE_S
from actors.records import Append
from statecharts.bounds import NOTICES_PENDING, Watermarks
from statecharts.doors import Notice

TOLD_EVERY_S = 0.2
"""The shortest time between two words to one watcher: what changes in between is told together, each name once."""

EVERYTHING = Notice(resource="everything")
_RESOURCES = {"station": "stations", "operation": "operations", "peer": "peers"}
"""What a stream of the journal is about, by the part before its slash; all others are transactions."""


class NoticeWatch:
    """What one watcher has not been told yet."""

    def __init__(self) -> None:
        self._pending: dict[Notice, None] = {}
        self._changed = trio.Event()
        self.over = False

    def note(self, notice: Notice, watermarks: Watermarks) -> None:
        if EVERYTHING not in self._pending:
            self._pending[notice] = None
            watermarks.saw(NOTICES_PENDING, len(self._pending))
            if len(self._pending) > NOTICES_PENDING.limit:
                self._pending = {EVERYTHING: None}
        self._changed.set()

    def end(self) -> None:
        self.over = True
        self._changed.set()

    async def next(self) -> tuple[Notice, ...]:
        """All that this watcher has not been told, as soon as there is anything; none when the node drains."""
        await self._changed.wait()
        if not self.over:
            self._changed = trio.Event()
        told, self._pending = tuple(self._pending), {}
        return told


class Notices:
    """All who watch."""

    def __init__(self, watermarks: Watermarks) -> None:
        self._watermarks = watermarks
        self._watches: set[NoticeWatch] = set()
        self._draining = False

    def __repr__(self) -> str:
        return f"<Notices {len(self._watches)} watch>"

    def note(self, resource: str, id_: str = "") -> None:
        """Tells all watchers that one thing, or without an id something, of a kind has changed."""
        for watch in self._watches:
            watch.note(Notice(resource=resource, id=id_), self._watermarks)

    def appended(self, append: Append) -> None:
        """Tells of all that an append has changed, now that it is durable."""
        if not self._watches:
            return
        kind, _, name = append.stream.partition("/")
        if kind in _RESOURCES:
            self.note(_RESOURCES[kind], name)
        else:
            self.note("transactions", append.stream)
        for entry in append.ledger:
            self.note("cdrs", entry.cdr.cdr_id)
        if append.deliveries or append.closed:
            self.note("deliveries")
        if append.orphans or append.decided:
            self.note("orphans")

    def drain(self) -> None:
        """Ends every watch, now and in future."""
        self._draining = True
        for watch in self._watches:
            watch.end()

    @contextmanager
    def watching(self) -> Iterator[NoticeWatch]:
        """A watch for as long as the block lasts."""
        watch = NoticeWatch()
        self._watches.add(watch)
        if self._draining:
            watch.end()
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    async def feed(self) -> AsyncIterator[tuple[Notice, ...]]:
        """What changes from now on, some names at a time; none of them is a keep-alive. Ends when the node drains."""
        with self.watching() as watch:
            yield ()  # whoever reads its lists after this misses nothing
            while True:
                told_at = trio.current_time()
                told: tuple[Notice, ...] = ()
                with trio.move_on_after(KEEP_ALIVE_S):
                    told = await watch.next()
                if watch.over:
                    return
                yield told
                await trio.sleep_until(told_at + TOLD_EVERY_S)
