"""Time as a node counts it: it goes on evenly, whatever is done to the machine's clock.

Whatever waits, lapses or grows old within a node is counted in node time: events say it, deadlines and retries are
moments of it. It began as the machine's time and follows it, but no jump: by how much the machine's clock is ahead
since then is kept beside it, and added where somebody outside is told a time.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TypeVar

import msgspec
import structlog
import trio

from statecharts.events import Event
from statecharts.ports import Clock

JUMP = timedelta(seconds=2)
"""A clock that is off by less than this was adjusted, or ticks otherwise than ours: it is followed."""

AWAY_MAX = timedelta(days=7)
"""A node that starts believes no longer absence: a clock that stands years ahead then must not make everything old."""

_NOTHING = timedelta()

E = TypeVar("E", bound=Event)

log = structlog.get_logger(__name__)


class NodeClock:
    """The clock of one life of a node over `machine`, the wall clock that may be set. To be read within trio's loop."""

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._began: datetime | None = None
        self._ahead = timedelta()

    def __repr__(self) -> str:
        return f"<NodeClock, the machine's is {self._ahead.total_seconds():g} s ahead>"

    def now(self) -> datetime:
        """Node time, aware and UTC. It never goes back."""
        wall, passed = self._machine.now(), timedelta(seconds=trio.current_time())
        if self._began is None:
            self._began = wall - passed
        now = self._began + passed
        off = wall - self._ahead - now
        if _NOTHING < off < JUMP:
            self._began += off
            return now + off
        if abs(off) >= JUMP:
            self._ahead += off
            log.warning("clock.jumped", by_s=off.total_seconds(), ahead_s=self._ahead.total_seconds())
        return now

    def wall(self) -> datetime:
        """What the machine's clock shows, for stations, partners and people."""
        return self._machine.now()

    @property
    def ahead(self) -> timedelta:
        """How far the machine's clock is ahead of node time, in whole jumps; negative where it is behind."""
        self.now()
        return self._ahead

    def shown(self, at: datetime) -> datetime:
        """A moment of node time as the machine's clock would show it now."""
        return at + self.ahead

    def kept(self, at: datetime) -> datetime:
        """A moment that the machine's clock shows, in node time: what `shown` is of it is `at`."""
        return at - self.ahead

    def stamped(self, event: E) -> E:
        """The event with both times: its own, and how far the machine's clock is ahead of it."""
        ahead_s = self.ahead.total_seconds()
        return event if event.ahead_s == ahead_s else msgspec.structs.replace(event, ahead_s=ahead_s)

    def resume(self, at: datetime, ahead_s: float) -> None:
        """Goes on where an earlier life was at `at`, the machine's clock having been that far ahead.

        How long the node was away the machine's clock alone can say; it is believed from nothing up to `AWAY_MAX`.
        """
        ahead = timedelta(seconds=ahead_s)
        away = min(max(self._machine.now() - ahead - at, timedelta()), AWAY_MAX)
        self._began, self._ahead = at + away - timedelta(seconds=trio.current_time()), ahead
