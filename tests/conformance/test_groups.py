"""Cards of one group stop each other's charges at the station (OCPP 1.6 section 3.10, 2.x use case C09)."""

from __future__ import annotations

import pytest
import trio

from statecharts.cards import Card
from tests.conformance.oca_scene import CS, scene, until


@pytest.mark.parametrize("remotely", [False, True])
@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
async def test_a_card_of_the_same_group_stops_a_charge_and_no_other_card_does(
    version: str, remotely: bool, autojump_clock: object, nursery: trio.Nursery
) -> None:
    async with scene(nursery, version) as found:
        groups = {"MINE": "FLEET-7", "HERS": "fleet-7", "THEIRS": "FLEET-8", "NOBODYS": None}
        for id_tag, group in groups.items():
            await found.house.operator.put_card(Card(id_tag=id_tag, group=group), "olga")
        await found.station.plug(1)
        if remotely:
            await found.start(1, "MINE")
        else:
            await found.station.swipe(1, "MINE")
        await until(lambda: found.station.state(1) == "Charging")
        for other in ("THEIRS", "NOBODYS", "UNKNOWN1"):
            await found.station.swipe(1, other)
            await trio.sleep(30)
            assert found.station.state(1) == "Charging", other
        await found.station.swipe(1, "hers")
        await until(lambda: found.station.state(1) == "Finishing")
        await trio.sleep(30)
        _, charge = await found.settled()
        assert charge.reason == "Local"
        assert (await found.house.operator.station(CS)).connectors[0].charge is None
