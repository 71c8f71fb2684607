"""Who watches a transaction is woken when it changes: the newest state always, never a queue of old ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from statecharts.ports import TransactionView


class Watch:
    """One watcher's window on one transaction."""

    def __init__(self) -> None:
        self._changed = trio.Event()
        self._newest: TransactionView | None = None

    def show(self, view: TransactionView | None) -> None:
        self._newest = view
        self._changed.set()

    async def next(self) -> TransactionView | None:
        """The newest state that this watcher has not seen yet; None when the node drains."""
        await self._changed.wait()
        self._changed = trio.Event()
        return self._newest


class Changes:
    """All watches of a node, by the stream that they watch."""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}
        self._draining = False

    def publish(self, stream: str, view: TransactionView) -> None:
        if self._draining:
            return  # a change must not hide from a watcher that the node drains
        for watch in self._watches.get(stream, ()):
            watch.show(view)

    def drain(self) -> None:
        """Ends every watch, now and in future."""
        self._draining = True
        for watches in self._watches.values():
            for watch in watches:
                watch.show(None)

    @contextmanager
    def watching(self, stream: str) -> Iterator[Watch]:
        """A watch on this stream for as long as the block lasts."""
        watch = Watch()
        watches = self._watches.setdefault(stream, set())
        watches.add(watch)
        if self._draining:
            watch.show(None)
        try:
            yield watch
        finally:
            watches.discard(watch)
            if not watches:
                self._watches.pop(stream, None)
