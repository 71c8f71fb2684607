"""What people do amid all that: drivers, and operators in their control rooms, who take back what they gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import trio

from tests.world.troubles import Trouble, heavy_tail
from tests.world.troubles_at_home import Drivers, NowAndThen

if TYPE_CHECKING:
    from tests.world.world import World


class OperatorsCommand(NowAndThen):
    name: ClassVar[str] = "operator-commands"
    row: ClassVar[str] = "F31"
    meaning: ClassVar[str] = "an operator resets its stations, unlocks connectors, takes them out of service"

    async def once(self, world: World) -> None:
        station, connector = self.some_connector(world)
        commands: tuple[dict[str, Any], ...] = (
            {"command": "Reset", "kind": "Soft"},
            {"command": "Reset", "kind": "Hard"},
            {"command": "UnlockConnector", "connector_id": connector},
            {"command": "ChangeAvailability", "connector_id": connector, "kind": "Inoperative"},
            {"command": "ChangeAvailability", "connector_id": connector, "kind": "Operative"},
            {"command": "ClearCache"},
        )
        command = self.chance.choice(commands)
        self.struck(station.plan.identity, str(command))
        await world.rooms[station.plan.operator].command(station.plan.identity, command)


class OperatorsCharge(NowAndThen):
    name: ClassVar[str] = "operator-charges"
    row: ClassVar[str] = "F31"
    meaning: ClassVar[str] = "an operator has charges started and stopped at its stations, whosever they are"

    async def once(self, world: World) -> None:
        station, connector = self.some_connector(world)
        room = world.rooms[station.plan.operator]
        if self.chance.random() < 0.6:
            self.struck(station.plan.identity, f"start at connector {connector}")
            await room.start(station.plan.identity, connector, self.chance.choice((*self.plan.cards, "GUEST")))
        else:
            self.struck(station.plan.operator, "stops whatever runs")
            await room.stop_some(self.chance)


class UsersBlocked(NowAndThen):
    name: ClassVar[str] = "block-user"
    row: ClassVar[str] = "F28"
    meaning: ClassVar[str] = "a user is blocked, for which the node is started anew with another configuration"

    async def once(self, world: World) -> None:
        roaming = self.chance.choice(self.plan.roaming)
        await world.operators[roaming.home].block_user(roaming.user)


class PartnersBlocked(NowAndThen):
    name: ClassVar[str] = "block-partner"
    row: ClassVar[str] = "F26"
    meaning: ClassVar[str] = "an operator blocks a partner, and lets it come back later"

    async def once(self, world: World) -> None:
        one, other = self.chance.sample(self.plan.operators, 2)
        await world.rooms[one].block(other)
        await trio.sleep(heavy_tail(self.chance, 60, 7_200))
        await world.rooms[one].block(other, blocked=False)


class PasswordsTakenBack(NowAndThen):
    name: ClassVar[str] = "passwords-taken-back"
    row: ClassVar[str] = "F26"
    meaning: ClassVar[str] = "an operator takes a partner's passwords back under way, and hands out new ones later"

    async def once(self, world: World) -> None:
        one, other = (world.operators[name] for name in self.chance.sample(self.plan.operators, 2))
        await one.take_back(other.name)
        await trio.sleep(heavy_tail(self.chance, 60, 7_200))
        await other.learn(one)


PEOPLE: tuple[type[Trouble], ...] = (
    Drivers, OperatorsCommand, OperatorsCharge, UsersBlocked, PartnersBlocked, PasswordsTakenBack,
)  # fmt: skip
"""Those who meddle."""
