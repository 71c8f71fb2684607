"""Whoever shows what the node knows is told what to read again, and never more than there is room for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import trio

from actors.notices import EVERYTHING, Notices
from statecharts.bounds import NOTICES_PENDING, Watermarks
from statecharts.cards import Card
from statecharts.doors import Notice
from statecharts.station_commands import ClearCache
from tests.support.house import StationLine
from tests.support.roaming import Roaming


class Watching:
    """All that a watcher has been told by now."""

    def __init__(self, told: AsyncIterator[tuple[Notice, ...]]) -> None:
        self._told, self.heard = told, list[Notice]()

    async def run(self) -> None:
        async with aclosing(self._told) as told:  # type: ignore[type-var]
            async for some in told:
                self.heard += some

    def names(self) -> set[tuple[str, str]]:
        return {(each.resource, each.id) for each in self.heard}


async def test_a_roaming_charge_tells_all_that_has_changed(
    autojump_clock: object, roaming: Roaming, nursery: trio.Nursery
) -> None:
    watching = Watching(roaming.local.operator.notices())
    nursery.start_soon(watching.run)
    charge = await roaming.running()
    await roaming.station.stop(charge.number, 5_000)
    await roaming.settled(charge)
    await trio.sleep(1)
    (record,) = (await roaming.local.operator.cdrs()).items
    told = {("transactions", charge.destination), ("cdrs", record.cdr_id), ("deliveries", ""), ("stations", "CS01")}
    assert told <= watching.names()


async def test_what_an_operator_does_is_told(autojump_clock: object, line: StationLine, nursery: trio.Nursery) -> None:
    watching = Watching(line.house.operator.notices())
    nursery.start_soon(watching.run)
    await trio.sleep(1)
    begun = await line.house.operator.operate(line.identity, ClearCache(), "desk")
    await line.house.operator.put_card(Card(id_tag="AB12"), "desk")
    await trio.sleep(1)
    assert {("operations", begun.id), ("cards", "")} <= watching.names()


async def test_each_name_is_told_once_for_all_that_happens_at_a_time(autojump_clock: object) -> None:
    notices = Notices(Watermarks())
    with notices.watching() as watch:
        for _ in range(5):
            notices.note("stations", "CS01")
        notices.note("peers", "P")
        assert await watch.next() == (Notice(resource="stations", id="CS01"), Notice(resource="peers", id="P"))
        with trio.move_on_after(1) as quiet:
            await watch.next()
        assert quiet.cancelled_caught


async def test_more_than_there_is_room_for_is_told_as_everything() -> None:
    marks = Watermarks()
    notices = Notices(marks)
    with notices.watching() as slow:
        for number in range(NOTICES_PENDING.limit + 7):
            notices.note("transactions", str(number))
        assert await slow.next() == (EVERYTHING,)
        notices.note("peers", "P")
        assert await slow.next() == (Notice(resource="peers", id="P"),)


@pytest.mark.parametrize("late", [False, True])
async def test_a_watch_ends_when_the_node_drains(autojump_clock: object, late: bool) -> None:
    notices = Notices(Watermarks())
    if late:
        notices.drain()
    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                async for _ in notices.feed():
                    pass

            nursery.start_soon(watch)
            await trio.sleep(1)
            notices.drain()


async def test_one_who_hears_nothing_is_told_that_the_line_is_there(autojump_clock: object) -> None:
    notices, quiet = Notices(Watermarks()), 0
    with trio.move_on_after(40):
        async for some in notices.feed():
            assert some == ()
            quiet += 1
    assert quiet == 3, "at once, and every 15 s"
