"""Local lists kept equal to the cards of the store, over the wire: what a station has is what the operator says."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
import trio

from actors.context import NodeSettings
from statecharts.card_limits import LOCAL_LIST_PIECE
from statecharts.cards import Card, LocalListView
from statecharts.station_commands import LocalListEntry, SendLocalList
from statecharts.station_vocabulary import IdTagInfo, IdTagStatus
from statecharts.vocabulary import Refused
from tests.conformance.oca_scene import CS, Scene, scene, until
from tests.support.house import EPOCH

IN_STEP = NodeSettings(pms_identifier="IE-001", keeps_local_lists=True)
VERSIONS = ("1.6", "2.0.1", "2.1")


async def view(found: Scene) -> LocalListView:
    return await found.house.operator.local_list(CS)


def has(found: Scene) -> dict[str, IdTagInfo]:
    """The list in the station's own memory."""
    return dict(found.station.listed)


async def in_step(found: Scene) -> LocalListView:
    """Lets time go by until the station has what it should have."""

    async def holds() -> bool:
        shown = await view(found)
        return shown.state == "InStep" and len(has(found)) == shown.cards

    await trio.sleep(20)
    await until(holds)
    return await view(found)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_has_the_cards_that_may_charge_and_every_change_of_them(
    version: str, autojump_clock: object, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    piece = msgspec.structs.replace(LOCAL_LIST_PIECE, limit=3)
    monkeypatch.setattr("actors.local_list_turn.LOCAL_LIST_PIECE", piece)
    async with scene(nursery, version, settings=IN_STEP) as found:
        operator = found.house.operator
        until_then = EPOCH + timedelta(days=30)
        cards = [Card(id_tag=f"C{number}", group="G", valid_until=until_then) for number in range(7)]
        await operator.put_cards([*cards, Card(id_tag="BAD", blocked=True)], "olga", dry_run=False)
        shown = await in_step(found)
        info = IdTagInfo(status=IdTagStatus.ACCEPTED, expiry_date=until_then, parent_id_tag="G")
        assert has(found) == {f"c{number}": info for number in range(7)}
        assert (shown.version, shown.told_version, shown.cards) == (3, 3, 7)
        await operator.put_card(Card(id_tag="c3", blocked=True), "olga")
        await operator.remove_card("c4")
        await operator.put_card(Card(id_tag="BAD"), "olga")
        assert (await in_step(found)).version == 4
        assert has(found) == {
            **{f"c{number}": info for number in (0, 1, 2, 5, 6)},
            "bad": IdTagInfo(status=IdTagStatus.ACCEPTED),
        }


@pytest.mark.parametrize("version", VERSIONS)
async def test_cards_of_the_list_charge_while_the_node_is_out_of_reach(
    version: str, autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with scene(nursery, version, settings=IN_STEP) as found:
        await found.house.operator.put_card(Card(id_tag="STAFF"), "olga")
        await in_step(found)
        await found.station.lose_connection(300)
        await found.station.plug(1)
        await found.station.swipe(1, "NOBODY01")
        await trio.sleep(10)
        assert found.station.state(1) == "Plugged"
        await found.station.swipe(1, "staff")
        await trio.sleep(10)
        assert found.station.state(1) == "Charging"


async def test_a_station_that_was_away_gets_the_difference_and_one_that_was_told_otherwise_gets_all(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with scene(nursery, settings=IN_STEP) as found:
        await found.house.operator.put_card(Card(id_tag="ONE"), "olga")
        await in_step(found)
        await found.station.lose_connection(60)
        await trio.sleep(5)
        assert (await view(found)).state == "Away"
        with pytest.raises(Refused, match="not-connected"):
            await found.house.operator.push_local_list(CS)
        await found.house.operator.put_card(Card(id_tag="TWO"), "olga")
        await trio.sleep(60)
        assert (await in_step(found)).version == 2
        # Somebody else told it another list.
        stranger = LocalListEntry(id_tag="STRANGER", id_tag_info=IdTagInfo(status=IdTagStatus.ACCEPTED))
        await found.ask(SendLocalList(version=9, update="Full", entries=(stranger,)))
        await found.house.operator.put_card(Card(id_tag="THREE"), "olga")
        assert (await in_step(found)).version == 10
        assert has(found).keys() == {"one", "two", "three"}


async def test_an_operator_has_it_sent_anew_and_an_empty_list_empties_that_of_the_station(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with scene(nursery, settings=IN_STEP) as found:
        stranger = LocalListEntry(id_tag="STRANGER", id_tag_info=IdTagInfo(status=IdTagStatus.ACCEPTED))
        await in_step(found)
        await found.ask(SendLocalList(version=3, update="Full", entries=(stranger,)))
        assert (await found.house.operator.push_local_list(CS)).state == "Waiting"
        assert (await in_step(found)).version == 4
        assert has(found) == {}


async def test_lists_are_left_alone_unless_the_configuration_says_otherwise(
    autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with scene(nursery) as found:
        await found.house.operator.put_card(Card(id_tag="ONE"), "olga")
        await trio.sleep(60)
        assert has(found) == {}
        with pytest.raises(Refused, match="local-lists-off"):
            await view(found)
