"""The order in which stations come in that have shown who they are: those first where a charge goes on.

When a node comes back, all its stations do. Each costs something: its actor is rebuilt from the journal, and says on
the disk that the station is there. So many are let in at a time; the others wait with their upgrade unanswered, and
what is metered or ends meanwhile is not kept waiting by stations that have nothing to say.
"""

from __future__ import annotations

from collections import deque

import trio

from protocols.ocpp.limits import Limits
from statecharts.bounds import OCPP_COMING_IN


class Visitor:
    """One connection on its way in. `enter` waits for its turn; `leave` gives the place to the next, once.

    As a context manager it leaves at the end of the block, whatever happens there.
    """

    __slots__ = ("_entrance", "_is_in")

    def __init__(self, entrance: Entrance) -> None:
        self._entrance, self._is_in = entrance, False

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    async def enter(self, *, first: bool) -> bool:
        """Whether its turn came within `entrance_wait_s`."""
        with trio.move_on_after(self._entrance.wait_s):
            await self._entrance.wait(first=first)
            self._is_in = True
        return self._is_in

    def leave(self) -> None:
        if self._is_in:
            self._is_in = False
            self._entrance.next()


class Entrance:
    """The way in of one listener."""

    def __init__(self, limits: Limits) -> None:
        self.wait_s = limits.entrance_wait_s
        self._free, self._limits = limits.coming_in_max, limits
        self._charging, self._others = deque[trio.Event](), deque[trio.Event]()

    def __repr__(self) -> str:
        return f"<Entrance {self._free} free, {len(self._charging)} charging and {len(self._others)} others wait>"

    async def wait(self, *, first: bool) -> None:
        """Until there is a place, which is taken then. Those who are `first` do not wait for the others."""
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self._free:
            await self._wait_in(self._charging if first else self._others)
        else:
            self._free -= 1
        self._limits.watermarks.saw(OCPP_COMING_IN, self._limits.coming_in_max - self._free)

    async def _wait_in(self, queue: deque[trio.Event]) -> None:
        turn = trio.Event()
        queue.append(turn)
        try:
            await turn.wait()
        except trio.Cancelled:
            if turn.is_set():
                self.next()
            else:
                queue.remove(turn)
            raise

    def next(self) -> None:
        """Gives a place that was left to whoever is next, or keeps it free."""
        queue = self._charging or self._others
        if queue:
            queue.popleft().set()
        else:
            self._free += 1
