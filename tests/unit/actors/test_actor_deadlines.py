"""Deadlines are of the clock that an actor was given, waiting is not: nothing is due before that clock says so."""

from __future__ import annotations

from datetime import datetime, timedelta

import trio

from actors.actor import Actor
from statecharts.bounds import Watermarks
from tests.support.house import EPOCH


class SlowClock:
    """Loses 1 % against the clock that waiting goes by."""

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=trio.current_time() * 0.99)


class Waiter(Actor):
    """Is due once, after 100 s; notes when it was."""

    until: datetime | None = EPOCH + timedelta(seconds=100)
    was_due_at: datetime | None = None

    def deadline(self) -> datetime | None:
        return self.until

    async def due(self) -> None:
        self.was_due_at, self.until = self.clock.now(), None


async def test_nothing_is_due_before_its_clock_says_so(autojump_clock: object, nursery: trio.Nursery) -> None:
    waiter = Waiter("waiter/1", SlowClock(), Watermarks())
    nursery.start_soon(waiter.run, 60.0)
    await trio.sleep(200)
    assert waiter.was_due_at is not None
    assert timedelta(0) <= waiter.was_due_at - EPOCH - timedelta(seconds=100) < timedelta(seconds=1)
    nursery.cancel_scope.cancel()
