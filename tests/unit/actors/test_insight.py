"""What a node tells of itself: why it is not ready, and what a monitor looks up."""

from __future__ import annotations

from typing import Any

import trio

from actors.insight import CHECK_S, KEPT_S, Insight
from actors.records import StoreUnavailable
from statecharts.doors import Ailment
from tests.support.house import House, open_house
from tests.support.roaming import Roaming

WRITER = Ailment(check="store-writer", reason="the store cannot be written")


def _insight(house: House) -> Insight:
    insight = Insight(house.context, trio.Event())
    insight.listening = True
    return insight


async def test_a_sound_node_ails_of_nothing(autojump_clock: Any, nursery: trio.Nursery) -> None:
    async with open_house("NL-MOT", nursery) as house:
        assert await _insight(house).ailments() == ()


async def test_a_node_whose_ports_are_not_open_or_that_drains_is_not_ready(
    autojump_clock: Any, nursery: trio.Nursery
) -> None:
    async with open_house("NL-MOT", nursery) as house:
        draining = trio.Event()
        insight = Insight(house.context, draining)
        assert [ailment.check for ailment in await insight.ailments()] == ["listeners"]
        insight.listening = True
        draining.set()
        assert [ailment.check for ailment in await insight.ailments()] == ["draining"]


async def test_a_store_that_cannot_be_written_is_named_without_its_own_words(
    autojump_clock: Any, nursery: trio.Nursery, monkeypatch
) -> None:
    async def broken(*args: Any) -> None:
        raise StoreUnavailable("connection to server at db.example, user secret, failed")

    async with open_house("NL-MOT", nursery) as house:
        insight = _insight(house)
        monkeypatch.setattr(house.context.journal.store, "write", broken)
        assert await insight.ailments() == (WRITER,)


async def test_a_store_that_hangs_is_waited_for_a_bounded_time_and_asked_once(
    autojump_clock: Any, nursery: trio.Nursery, monkeypatch
) -> None:
    asked, back = [], trio.Event()

    async def hanging(*args: Any) -> None:
        asked.append(args)
        await back.wait()

    async with open_house("NL-MOT", nursery) as house:
        insight = _insight(house)
        monkeypatch.setattr(house.context.journal.store, "write", hanging)
        began = trio.current_time()
        assert await insight.ailments() == (WRITER,)
        assert await insight.ailments() == (WRITER,)
        assert trio.current_time() - began == 2 * CHECK_S
        assert len(asked) == 1
        back.set()
        await trio.sleep(KEPT_S)
        assert await insight.ailments() == ()


async def test_whoever_asks_often_does_not_make_the_store_work(
    autojump_clock: Any, nursery: trio.Nursery, monkeypatch
) -> None:
    asked = []

    async def quick(*args: Any) -> None:
        asked.append(args)

    async with open_house("NL-MOT", nursery) as house:
        insight = _insight(house)
        monkeypatch.setattr(house.context.journal.store, "write", quick)
        for _ in range(10):
            await insight.ailments()
        assert len(asked) == 1
        await trio.sleep(KEPT_S)
        await insight.ailments()
        assert len(asked) == 2


async def test_a_charge_under_way_is_seen_from_both_sides(roaming: Roaming) -> None:
    await roaming.running()
    seen = [await _insight(house).readings() for house in (roaming.home, roaming.local)]
    at_home, at_local = ({reading.name: dict(reading.samples) for reading in readings} for readings in seen)
    assert at_home["roamnode_transactions"] == {("source", "TxRunning", "under_1h"): 1}
    assert at_local["roamnode_transactions"] == {("destination", "TxRunning", "under_1h"): 1}
    assert at_local["roamnode_stations_online"] == {(): 1}
    assert at_local["roamnode_actors"]["station",] == 1
    assert at_home["roamnode_peer_state"] == {("IE-001", "Up"): 1}
