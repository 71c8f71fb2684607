"""How late the loop is, as it is measured beside all else that it does."""

from __future__ import annotations

import trio
import trio.testing

from protocols.pulse import BEAT_S, measure_lag
from statecharts.meters import Meters, Spread


async def _beats(mock_clock: trio.testing.MockClock, *steps_s: float) -> Spread:
    """What is measured while time goes on by these steps, each in one go as if the loop had stood still."""
    lag, over = Meters().loop_lag, trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(measure_lag, lag, over)
        for step_s in steps_s:
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(step_s)
        await trio.testing.wait_all_tasks_blocked()
        over.set()
    return lag


async def test_a_loop_that_is_in_time_is_not_late(mock_clock: trio.testing.MockClock) -> None:
    ((_, counts, total),) = await _beats(mock_clock, BEAT_S, BEAT_S)
    assert (counts[0], sum(counts), total) == (2, 2, 0.0)


async def test_a_loop_that_stood_still_was_late_by_that_once(mock_clock: trio.testing.MockClock) -> None:
    ((_, counts, total),) = await _beats(mock_clock, BEAT_S, 7.0, BEAT_S)
    assert (sum(counts), total) == (3, 6.5)


async def test_it_ends_at_once_when_the_node_drains(mock_clock: trio.testing.MockClock) -> None:
    assert [*await _beats(mock_clock)] == []
