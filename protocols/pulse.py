"""How late the event loop is: what keeps it busy keeps everything waiting, and shows nowhere else."""

from __future__ import annotations

import trio

from statecharts.meters import Spread

BEAT_S = 0.5
"""Twice a second costs nothing, and a loop that stands for long is met by the next beat however seldom it beats."""


async def measure_lag(lag: Spread, over: trio.Event) -> None:
    """Tells `lag` with every beat how many seconds late it was, until it is `over`."""
    while not over.is_set():
        due = trio.current_time() + BEAT_S
        with trio.move_on_at(due):
            await over.wait()
            return
        lag.saw(max(0.0, trio.current_time() - due))
