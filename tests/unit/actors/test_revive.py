"""A node that starts with much under way: ready at once, wrong about nothing, and through with it soon."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from actors.population import revive
from actors.records import History
from statecharts.vocabulary import Refused
from tests.support.books import CARD, free, local
from tests.support.house import House, StationLine, open_house, place
from tests.support.roaming import Roaming


class SlowJournal:
    """Streams take their time to load; `loading` says how many at most did so at once."""

    def __init__(self, house: House, monkeypatch: pytest.MonkeyPatch, load_s: float = 1.0) -> None:
        self.at_once = self.loading = 0
        self.load_s = load_s
        self.loaded: list[str] = []
        self._history = house.journal.history
        monkeypatch.setattr(house.journal, "history", self.history)

    async def history(self, stream: str, form: str | None) -> History:
        self.at_once += 1
        self.loading = max(self.loading, self.at_once)
        await trio.sleep(self.load_s)
        self.at_once -= 1
        self.loaded.append(stream)
        return await self._history(stream, form)


async def test_a_node_with_hundreds_of_charges_is_ready_before_they_are_loaded_and_then_works_through_them(
    autojump_clock: object, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = tuple(place(f"CS{number:03}") for number in range(60))
    async with open_house("IE-001", nursery, places=places) as house:
        lines = [StationLine(house, each.identity) for each in places]
        for line in lines:
            await line.come_online()
            await line.start(CARD)
        journal = SlowJournal(house, monkeypatch)
        began = trio.current_time()
        await house.restart(nursery)
        assert trio.current_time() - began < 1
        last = StationLine(house, lines[-1].identity)
        await last.come_online(boot=False)
        assert await free(last) == (2,), "a message for one that was not woken yet wakes it"
        assert trio.current_time() - began < 5
        await trio.sleep(30)
        assert len([stream for stream in journal.loaded if stream.startswith("local/")]) == 60
        assert len([stream for stream in journal.loaded if stream.startswith("station/")]) == 60
        assert 10 < journal.loading <= 40, "a bounded number, and those that asked for each other"


async def test_a_connector_that_is_held_for_a_start_is_not_given_to_another_by_a_node_that_has_just_started(
    autojump_clock: object, roaming: Roaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = await roaming.start_asked()
    SlowJournal(roaming.local, monkeypatch, load_s=5.0)
    await roaming.local.restart(roaming.nursery)
    roaming.station = StationLine(roaming.local, "CS01")
    await roaming.station.come_online(boot=False)
    with pytest.raises(Refused) as no:
        await roaming.ready(connector="1")
    assert no.value.refusal.kind == "connector-busy"
    answer = await roaming.station.start(first.name)
    assert answer.id_tag_info.status == "Accepted"


async def test_a_start_at_a_held_connector_goes_to_its_holder_though_nothing_else_was_woken_yet(
    autojump_clock: object, roaming: Roaming
) -> None:
    charge = await roaming.start_asked()
    roaming.local.kill()
    await trio.sleep(1)
    await roaming.nursery.start(roaming.local.run)
    spawned: list[Any] = []
    roaming.local.context.system.spawn = lambda *work: spawned.append(work)  # type: ignore[method-assign]
    await revive(roaming.local.context)
    assert len(spawned) == 1, "all that is done in the background"
    roaming.station = StationLine(roaming.local, "CS01")
    await roaming.station.come_online(boot=False)
    stranger = await roaming.station.start("NOBODY", connector_id=1)
    assert stranger.id_tag_info.status == "Invalid"
    assert (await local(roaming.station, stranger.transaction_id)).state == "TxRunning"
    await roaming.local.until(charge.destination, "Ready", within_s=5)
