"""A whole world in one process: operators with their nodes, stations with their drivers, apps with their users.

Everything between the edges is what runs for real: `node.Node` with its actors, charts, journal, outbox, codecs and
servers, both ends of OCPP, SOAP and REST. The edges are ours: clock, network, disk, identifiers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import cache, partial

import msgspec
import trio

from tests.world import determinism
from tests.world.apps import App
from tests.world.faults import Faults
from tests.world.ground import EPOCH, Ground
from tests.world.guard import logs_to, sealed
from tests.world.history import AllFinals, FaultsEnded, History, WorldBegan, WorldEnded
from tests.world.network import Network
from tests.world.operators import Operator
from tests.world.plan import Plan, drawn
from tests.world.rooms import Room
from tests.world.stations import Station
from tests.world.visits import Visit

DRAINS_WITHIN_S = 7_200.0
"""How long after the faults have ended everything must have come to its end."""

LOOKS_EVERY_S = 60.0
REPLAYS_AT_LOOKS = (5, 30, 60)
"""When an operator's people have sent again what was parked."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a world leaves behind: `failures` are in words, and none may be; `logged` is what nodes logged as errors."""

    plan: Plan
    history: History
    finals: AllFinals
    failures: tuple[str, ...]
    logged: tuple[str, ...]
    drained: bool
    virtual_s: float
    counted: dict[str, int]


class World:
    """One world. `operators`, `stations` and `apps` are there for faults to happen to, and for a `script` to use."""

    def __init__(self, plan: Plan, faults: Faults, nursery: trio.Nursery, script: Script | None = None) -> None:
        self.plan, self._nursery, self._script = plan, nursery, script
        self.ground = Ground(plan.seed, nursery, faults)
        self.network = Network(self.ground, plan.operators)
        self.ground.saw(
            WorldBegan,
            "world",
            seed=plan.seed,
            operators=plan.operators,
            stations={station.identity: station.operator for station in plan.stations},
            connectors={station.identity: station.connectors for station in plan.stations},
            epoch=EPOCH.isoformat(),
            plan=msgspec.to_builtins(plan),
        )
        self.operators = {name: Operator(self.ground, self.network, name, plan) for name in plan.operators}
        self.stations = {each.identity: Station(self.ground, self.network, each) for each in plan.stations}
        self.apps = {name: App(self.ground, self.network, name) for name in plan.operators}
        self.rooms = {name: Room(self.ground, self.network, name, plan.partners_of(name)) for name in plan.operators}

    async def run(self) -> Outcome:
        """Everything that is planned, with its faults; then no more of these, and all comes to its end."""
        for operator in self.operators.values():
            operator.start()
        for station in self.stations.values():
            if not station.plan.scripted:
                self._nursery.start_soon(station.simulated.run)
        async with trio.open_nursery() as happening:
            happening.start_soon(self.ground.faults.happen, self)
            await self._live()
            happening.cancel_scope.cancel()
        drained = await self._drain()
        return await self._ended(drained)

    async def _live(self) -> None:
        """Lets the plan happen, as far as it does in its time, and its faults last."""
        with trio.move_on_after(self.plan.ends_s + DRAINS_WITHIN_S):
            async with trio.open_nursery() as people:
                for roaming in self.plan.roaming:
                    app, station = self.apps[roaming.home], self.stations[roaming.station]
                    people.start_soon(Visit(self.ground, app, station, roaming).happen)
                for local in self.plan.local:
                    people.start_soon(self.stations[local.station].drive, local)
                if self._script is not None:
                    people.start_soon(self._script, self)
        await trio.sleep_until(max(self.ground.faults.lasts_s, trio.current_time()))

    async def _drain(self) -> bool:
        """No more faults, and everybody goes home; whether all that was under way came to its end in time."""
        self.ground.faults = Faults()
        self.ground.saw(FaultsEnded, "world")
        for operator in self.operators.values():
            operator.start()
            for partner in self.plan.partners_of(operator.name):
                await operator.learn(self.operators[partner])
        for look in range(int(DRAINS_WITHIN_S / LOOKS_EVERY_S)):
            for station in self.stations.values():
                await station.send_home()
            if look in REPLAYS_AT_LOOKS:
                for room in self.rooms.values():
                    await room.replay_parked()
            # Never without a pause: a node that was started just now must have read what its store holds.
            await trio.sleep(LOOKS_EVERY_S)
            if self.is_quiet():
                break
        return self.is_quiet()

    def is_quiet(self) -> bool:
        """Whether nothing is under way, owed or unsaid any more."""
        return all(operator.disk.unsettled == (0, 0) for operator in self.operators.values()) and all(
            station.is_idle for station in self.stations.values()
        )

    async def _ended(self, drained: bool) -> Outcome:
        for operator in self.operators.values():
            await operator.shut_down()
        self.ground.saw(WorldEnded, "world", drained=drained)
        finals = {operator.name: operator.finals() for operator in self.operators.values()}
        for operator in self.operators.values():
            operator.disk.close()
        return Outcome(
            plan=self.plan,
            history=self.ground.history,
            finals=finals,
            failures=tuple(self.ground.failures),
            logged=tuple(self.ground.logged),
            drained=drained,
            virtual_s=trio.current_time(),
            counted=dict(self.ground.counted),
        )


Script = Callable[[World], Awaitable[None]]


def play(plan: Plan, faults: Faults | None = None, script: Script | None = None) -> Outcome:
    """Lets a world with this plan happen, with these faults, and returns what came of it; its seed is the plan's.

    `script` is what happens beside the plan.
    """
    _warm_up()
    return determinism.run(partial(_play, plan, faults or Faults(), script), plan.seed)


@cache
def _warm_up() -> None:
    """What a process does once: imports, the tables' image, schemas, zeep's documents, spyne's applications."""
    determinism.run(partial(_play, drawn(0, stations=1, roaming=1, local=1), Faults(), closed=False), 0)


async def _play(plan: Plan, faults: Faults, script: Script | None = None, *, closed: bool = True) -> Outcome:
    async with trio.open_nursery() as nursery:
        world = World(plan, faults, nursery, script)
        ground = world.ground
        seal = sealed(ground.chance("libraries"), ground.failures.append) if closed else nullcontext()
        with seal, logs_to(ground.logged.append):
            outcome = await world.run()
        nursery.cancel_scope.cancel()
    return outcome
