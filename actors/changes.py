"""Who watches transactions is woken when they change: the newest state always, never a queue of old ones."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager

import trio

from actors.ledger import Ledger
from statecharts.limits import CHANGES_READ
from statecharts.ports import Change, TransactionView

KEEP_ALIVE_S = 15.0
"""How often a watcher of what is quiet hears that the line is still there."""

READ_EVERY_S = 0.05
"""The shortest time between two looks of a feed into the ledger: what changes in between is read together."""


Wanted = Callable[[TransactionView], bool]


class Watch:
    """One watcher's window on one transaction, or on all that it wants to hear of."""

    def __init__(self, wanted: Wanted = lambda _: True) -> None:
        self.wanted = wanted
        self._changed = trio.Event()
        self._newest: Change | None = None

    def show(self, change: Change | None) -> None:
        self._newest = change
        self._changed.set()

    async def next(self) -> Change | None:
        """The newest change that this watcher has not seen yet; None when the node drains."""
        await self._changed.wait()
        self._changed = trio.Event()
        return self._newest


class Changes:
    """All watches of a node, by the stream that they watch; those under EVERYTHING watch all."""

    EVERYTHING = ""

    def __init__(self) -> None:
        self._watches: dict[str, set[Watch]] = {}
        self._draining = False

    def is_watched(self, stream: str) -> bool:
        """Whether anybody would hear of a change of this stream."""
        return bool(self._watches) and (stream in self._watches or self.EVERYTHING in self._watches)

    def publish(self, stream: str, change: Change) -> None:
        if self._draining:
            return  # a change must not hide from a watcher that the node drains
        for watched in (stream, self.EVERYTHING):
            for watch in self._watches.get(watched, ()):
                if watch.wanted(change.transaction):
                    watch.show(change)

    def drain(self) -> None:
        """Ends every watch, now and in future."""
        self._draining = True
        for watches in self._watches.values():
            for watch in watches:
                watch.show(None)

    @contextmanager
    def watching(self, stream: str, watch: Watch | None = None) -> Iterator[Watch]:
        """A watch on this stream for as long as the block lasts."""
        watch = watch or Watch()
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


async def feed(
    changes: Changes, ledger: Ledger, after: int, *, role: str | None, users: Collection[str] | None
) -> AsyncIterator[Change | None]:
    """Every transaction of this role and these users that changed after this position, as it stands when it is read.

    In order of position, without a gap or a double; None is a keep-alive. Ends when the node drains. The ledger alone
    is read, and a watch only says when: commits are published in any order, the ledger shows them in theirs, and a
    slow reader holds nothing in memory.
    """

    def wanted(view: TransactionView) -> bool:
        return role in (None, view.role) and (users is None or view.user_identifier in users)

    with changes.watching(Changes.EVERYTHING, Watch(wanted)) as watch:
        while True:
            read_at = trio.current_time()
            found = await ledger.changes_since(after, limit=CHANGES_READ.limit, role=role, users=users)
            for change in found:
                after = change.position
                yield change
            if len(found) == CHANGES_READ.limit:
                continue
            with trio.move_on_after(KEEP_ALIVE_S) as quiet:
                if await watch.next() is None:
                    return
            if quiet.cancelled_caught:
                yield None
            await trio.sleep_until(read_at + READ_EVERY_S)
