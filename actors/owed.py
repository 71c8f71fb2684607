"""What one partner is owed, kept in memory beside the outbox: a message goes out without the table being read for it.

The table is what counts. It is read when the partner's actor begins, after an operator has opened a delivery again, and
where there is more than a page: then the rest waits there for its turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec

from actors.outbox import Outbox
from actors.records import Delivery
from statecharts.bounds import OWED, Watermarks
from statecharts.delivery import NOTIFY_HOLDS_END_S, next_wake, ready_at


class Owed:
    """The open deliveries to `peer`, at most `bounds.OWED` of them; some are under way.

    None waits longer than `pause_max_s`: where a row says so, its clock was wrong or the row was altered on the disk.
    """

    def __init__(self, outbox: Outbox, peer: str, watermarks: Watermarks, pause_max_s: float) -> None:
        self._outbox, self._peer, self._watermarks = outbox, peer, watermarks
        self._pause_max = timedelta(seconds=max(pause_max_s, NOTIFY_HOLDS_END_S))
        self._rows: dict[int, Delivery] = {}
        self._under_way: set[int] = set()
        self._are_all = True
        self._is_behind = False
        self._news: dict[int, Delivery | None] | None = None

    def __repr__(self) -> str:
        more = "" if self._are_all else " and more"
        return f"<Owed to {self._peer}: {len(self._rows)}{more}, {len(self._under_way)} under way>"

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    async def read(self, now: datetime) -> None:
        """Begins anew from the table. Raises StoreUnavailable."""
        news = self._news = {}
        try:
            found = await self._outbox.pending(self._peer, OWED.limit, now)
        finally:
            self._news = None
        newest = {row.id: row for row in found} | news  # what was said meanwhile is newer than what was read
        rows = [row for row in newest.values() if row is not None]
        self._rows = {row.id: row for row in rows[: OWED.limit]}
        self._are_all = len(found) < OWED.limit and len(rows) <= OWED.limit
        self._is_behind = False
        self._watermarks.saw(OWED, len(self._rows))

    def reopened(self) -> None:
        """The operator has opened a delivery in the table again: what is here is behind it until it has been read."""
        self._are_all, self._is_behind = False, True

    async def read_more(self, now: datetime) -> None:
        """Reads what waits in the table, if any does and there is nothing here to go on with."""
        wanted = self._is_behind or len(self._rows) <= OWED.limit // 2 or not any(self._due(now))
        if wanted and not self._are_all:
            await self.read(now)

    # -- what becomes of them ------------------------------------------------------------------------------------------

    def add(self, row: Delivery) -> None:
        """A fact has owed the partner this; it stands in the table already."""
        if self._news is not None or (self._are_all and len(self._rows) < OWED.limit):
            self._note(row.id, row)
            self._watermarks.saw(OWED, len(self._rows))
        else:
            self._are_all = False

    def tried(self, row: Delivery, next_at: datetime) -> None:
        """One more attempt has failed; the next may not be before `next_at`."""
        self._note(row.id, msgspec.structs.replace(row, attempts=row.attempts + 1, next_at=next_at))

    def over(self, row: Delivery) -> None:
        """Delivered, parked or lapsed: it is owed no longer."""
        self._note(row.id, None)

    def _note(self, number: int, row: Delivery | None) -> None:
        if self._news is not None:
            self._news[number] = row
        if row is None:
            self._rows.pop(number, None)
        else:
            self._rows[number] = row

    # -- what to do with them ------------------------------------------------------------------------------------------

    def take(self, now: datetime, room: int) -> list[Delivery]:
        """Those to be sent now, the longest due first, as many as there is room for; they are under way then."""
        due = sorted(self._due(now), key=lambda found: (found[0], found[1].id))
        taken = [row for _, row in due[: max(0, room)]]
        self._under_way |= {row.id for row in taken}
        return taken

    def put_back(self, row: Delivery) -> None:
        """It is under way no longer."""
        self._under_way.discard(row.id)

    def lapsed(self, now: datetime) -> list[Delivery]:
        """The commands whose time is over."""
        return [row for row in self._rows.values() if row.expires_at is not None and row.expires_at <= now]

    def next_at(self, now: datetime) -> datetime | None:
        """When one that must wait may be sent, or a command lapses; None where there is nothing to wait for."""
        lapse = min((row.expires_at for row in self._rows.values() if row.expires_at), default=None)
        ready = next_wake((at, row) for at, row in self._waiting(now) if at > now)
        return min((at for at in (lapse, ready) if at), default=None)

    def _due(self, now: datetime) -> Iterator[tuple[datetime, Delivery]]:
        return ((at, row) for at, row in self._waiting(now) if at <= now)

    def _waiting(self, now: datetime) -> Iterator[tuple[datetime, Delivery]]:
        for at, row in ready_at(tuple(self._rows.values())):
            if row.id not in self._under_way:
                yield (now if at - now > self._pause_max else at), row
