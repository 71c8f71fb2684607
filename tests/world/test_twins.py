"""Twin worlds: what befalls one operator does not reach who has no part in it, and it would be seen if it did."""

from __future__ import annotations

from typing import ClassVar

import msgspec
import pytest

from tests.world import twins as module
from tests.world.swarm import TROUBLES
from tests.world.troubles import Trouble
from tests.world.twins import OF_A_SIEGE, tried_twice, twins


@pytest.mark.parametrize("seed", [4, 8])
def test_who_has_no_part_in_it_gets_the_same_as_in_peace(seed: int) -> None:
    found = tried_twice(seed)
    assert not found.objections, found.told
    (affected,) = found.figures
    assert (affected.name, affected.value) == ("others affected", 0) and affected.n >= 3


class NoLine(Trouble):
    name: ClassVar[str] = "no-line"

    def of_dial(self, station: str, node: str) -> bool:
        return False


def test_a_siege_that_reaches_others_is_objected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = twins(4)
    at = {each.station for each in pair.plan.roaming if each.user in pair.spared}
    reached = next(station.operator for station in pair.plan.stations if station.identity in at)
    plan = msgspec.structs.replace(pair.plan, troubles=(NoLine.name,))
    monkeypatch.setitem(TROUBLES, NoLine.name, NoLine)
    monkeypatch.setattr(module, "twins", lambda seed: msgspec.structs.replace(pair, plan=plan, beset=reached))
    found = tried_twice(4)
    assert any(objection.startswith("I12: ") for objection in found.objections)
    assert "play it again: python -m tests.world --twins --seeds 4" in found.told


def test_the_spared_share_their_nodes_with_partners_and_users_of_the_beset() -> None:
    for pair in map(twins, range(50)):
        free = [each for each in pair.plan.roaming if each.user in pair.spared]
        beside = [each for each in pair.plan.roaming if each.user not in pair.spared]
        homes = {station.identity: station.operator for station in pair.plan.stations}
        assert len(free) >= 2 and len(beside) == 4
        assert all(pair.beset not in (each.home, homes[each.station]) for each in free)
        assert all(pair.beset in (each.home, homes[each.station]) for each in beside)
        assert not {each.station for each in free} & {each.station for each in beside}


def test_every_trouble_that_one_operator_can_have_is_drawn() -> None:
    assert {name for pair in map(twins, range(200)) for name in pair.plan.troubles} == set(OF_A_SIEGE)
