"""What goes wrong where somebody lives: nodes that die, disks, clocks; stations, drivers, and operators' people."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import trio

from tests.world.faults import Point, WriteFate
from tests.world.history import ClockJumped
from tests.world.troubles import Trouble, heavy_tail

if TYPE_CHECKING:
    from tests.world.operators import Operator
    from tests.world.world import World

HOUR_S, YEAR_S = 3_600.0, 365 * 86_400.0
FULL = "database or disk is full"


# -- nodes that die ----------------------------------------------------------------------------------------------------


class Crashes(Trouble):
    name: ClassVar[str] = "crash"
    row: ClassVar[str] = "F9"
    meaning: ClassVar[str] = "a node dies at some moment, at whatever await its tasks are"

    def draw(self) -> None:
        self.every_s = self.chance.choice((300.0, 1_200.0, 3_600.0))

    async def happen(self, world: World) -> None:
        while await self.again(self.every_s):
            world.operators[self.chance.choice(self.plan.operators)].crash("some moment")


class CrashesAtPoints(Trouble):
    name: ClassVar[str] = "crash-at-point"
    row: ClassVar[str] = "F9"
    meaning: ClassVar[str] = "a node dies at a write, an answer or a message"

    def draw(self) -> None:
        self.share, self.times = self.chance.choice((0.002, 0.01, 0.03)), self.chance.choice((1, 3, 10))
        self._left = self.times

    def at(self, point: Point) -> bool:
        dies = self._left > 0 and self.hits(self.share)
        self._left -= dies
        return dies


class CrashesAtSteps(Trouble):
    name: ClassVar[str] = "crash-at-step"
    row: ClassVar[str] = "F9"
    meaning: ClassVar[str] = "a node dies between two steps of some task"

    def draw(self) -> None:
        self.steps_max, self.lives = self.chance.choice((2_000, 8_000, 30_000)), self.chance.choice((1, 3, 10))

    def dies_at_step(self, node: str, life: int) -> int | None:
        return self.chance.randrange(1, self.steps_max) if life <= self.lives else None


class Redeployments(Trouble):
    name: ClassVar[str] = "redeploy"
    row: ClassVar[str] = "F35"
    meaning: ClassVar[str] = "an operator shuts its node down in good order, and starts it again"

    def draw(self) -> None:
        self.every_s = self.chance.choice((600.0, 2_400.0))

    async def happen(self, world: World) -> None:
        while await self.again(self.every_s):
            operator = world.operators[self.chance.choice(self.plan.operators)]
            self.struck(operator.name)
            await operator.redeploy(heavy_tail(self.chance, 1, 120))


# -- disks -------------------------------------------------------------------------------------------------------------


class DiskFull(Trouble):
    name: ClassVar[str] = "disk-full"
    row: ClassVar[str] = "F11"
    meaning: ClassVar[str] = "a disk has no room for a while"

    def draw(self) -> None:
        self.node = self.chance.choice(self.plan.operators)
        self.since_s = self.chance.uniform(0, self.plan.ends_s)
        self.until_s = self.since_s + heavy_tail(self.chance, 5, 3_600)

    def of_write(self, node: str) -> WriteFate | None:
        return WriteFate(error=sqlite3.OperationalError(FULL)) if node == self.node and self.hits(1.0) else None

    async def happen(self, world: World) -> None:
        await trio.sleep_until(self.since_s)
        self.struck(self.node, f"for {self.until_s - self.since_s:.0f} s")


class WritesFail(Trouble):
    name: ClassVar[str] = "write-fails"
    row: ClassVar[str] = "F12"
    meaning: ClassVar[str] = "a commit fails once with an I/O error"

    def draw(self) -> None:
        self.share = self.chance.choice((0.005, 0.02, 0.1))

    def of_write(self, node: str) -> WriteFate | None:
        if not self.hits(self.share):
            return None
        self.struck(node)
        return WriteFate(error=sqlite3.OperationalError("disk I/O error"))


class SlowDisk(Trouble):
    name: ClassVar[str] = "slow-disk"
    row: ClassVar[str] = "F20"
    meaning: ClassVar[str] = "a commit takes up to half a minute, before or after it is durable"

    def draw(self) -> None:
        self.share = self.chance.choice((0.02, 0.2))

    def of_write(self, node: str) -> WriteFate | None:
        if not self.hits(self.share):
            return None
        before_s, after_s = (heavy_tail(self.chance, 0.01, 30) for _ in range(2))
        return WriteFate(before_s=before_s, after_s=after_s)


class AtRest(Trouble):
    """A node dies, and its disk is damaged before it comes back."""

    def draw(self) -> None:
        self.node = self.chance.choice(self.plan.operators)
        self.at_s = self.chance.uniform(self.plan.ends_s * 0.2, self.plan.ends_s)

    async def happen(self, world: World) -> None:
        await trio.sleep_until(self.at_s)
        operator = world.operators[self.node]
        operator.crash(self.name)
        self.damage(operator)

    def damage(self, operator: Operator) -> None:
        raise NotImplementedError


class FlippedBit(AtRest):
    name: ClassVar[str] = "flipped-bit"
    row: ClassVar[str] = "F14"
    meaning: ClassVar[str] = "one bit of a row of the journal is altered at rest"

    def damage(self, operator: Operator) -> None:
        column = self.chance.choice(("data", "data", "data", "to_state", "from_state", "type", "checksum"))
        operator.disk.flip_bit("journal", column, self.chance.randrange(60))


class CutTail(AtRest):
    name: ClassVar[str] = "cut-tail"
    row: ClassVar[str] = "F13"
    meaning: ClassVar[str] = "a disk forgets its newest commits, which were durable"
    images_kept: ClassVar[int] = 6

    def damage(self, operator: Operator) -> None:
        operator.disk.cut(self.chance.randint(1, 5))


# -- clocks ------------------------------------------------------------------------------------------------------------

JUMPS_S = (-YEAR_S, -HOUR_S, -60.0, 60.0, HOUR_S, 10 * YEAR_S)


class NodeClockJumps(Trouble):
    name: ClassVar[str] = "node-clock"
    row: ClassVar[str] = "F15"
    meaning: ClassVar[str] = (
        "the wall clock of a node jumps, once or several times, by up to years; it is set right again or stays wrong, "
        "and the node may die at that moment"
    )

    def draw(self) -> None:
        self.node = self.chance.choice(self.plan.operators)
        self.jumps = [self.chance.choice(JUMPS_S) for _ in range(self.chance.choice((1, 1, 2, 4)))]
        self.is_set_right = self.chance.random() < 0.7
        self.share_of_crashes = self.chance.choice((0.0, 0.0, 0.5, 1.0))
        self.since_s = self.chance.uniform(0, self.plan.ends_s)

    async def happen(self, world: World) -> None:
        await trio.sleep_until(self.since_s)
        for by_s in self.jumps:
            self._jump(world, by_s)
            await trio.sleep(heavy_tail(self.chance, 10, 3_600))
        if self.is_set_right:
            self._jump(world, -sum(self.jumps))

    def _jump(self, world: World, by_s: float) -> None:
        operator = world.operators[self.node]
        operator.clock.ahead += timedelta(seconds=by_s)
        world.ground.saw(ClockJumped, self.node, by_s=by_s)
        if self.chance.random() < self.share_of_crashes:
            operator.crash(self.name)


class StationClockJumps(Trouble):
    name: ClassVar[str] = "station-clock"
    row: ClassVar[str] = "F16"
    meaning: ClassVar[str] = (
        "a station has a wrong clock, by an hour or by decades (1970, 2099), for a while or for ever"
    )

    def draw(self) -> None:
        self.station = self.chance.choice(self.plan.stations).identity
        self.since_s = self.chance.choice((0.0, self.chance.uniform(0, self.plan.ends_s)))
        self.until_s = self.since_s + self.chance.choice((600.0, 3_600.0, float("inf")))
        self.by_s = self.chance.choice((*JUMPS_S, -56 * YEAR_S, 73 * YEAR_S))

    async def happen(self, world: World) -> None:
        clock = world.stations[self.station].clock
        await trio.sleep_until(self.since_s)
        clock.ahead += timedelta(seconds=self.by_s)
        world.ground.saw(ClockJumped, self.station, by_s=self.by_s)
        await trio.sleep_until(self.until_s)
        clock.ahead -= timedelta(seconds=self.by_s)
        world.ground.saw(ClockJumped, self.station, by_s=-self.by_s)


# -- now and then ------------------------------------------------------------------------------------------------------


class NowAndThen(Trouble):
    """Something that happens again and again, each time to somebody else."""

    every_s: float

    def draw(self) -> None:
        self.every_s = self.chance.choice((200.0, 600.0, 1_800.0))

    async def happen(self, world: World) -> None:
        await trio.sleep_until(self.since_s)
        while await self.again(self.every_s):
            await self.once(world)

    async def once(self, world: World) -> None:
        raise NotImplementedError

    def some_connector(self, world: World) -> tuple[Any, int]:
        """A station of the world and one of its connectors."""
        plan = self.chance.choice(self.plan.stations)
        return world.stations[plan.identity], self.chance.randint(1, plan.connectors)


class Drivers(NowAndThen):
    name: ClassVar[str] = "drivers"
    row: ClassVar[str] = "F28"
    meaning: ClassVar[str] = "drivers plug, unplug, hold unknown or foreign cards, and cars pause"

    async def once(self, world: World) -> None:
        station, connector = self.some_connector(world)
        deed = self.chance.choice(("plug", "unplug", "unplug", "pause", "resume", "swipe", "swipe_offline"))
        self.struck(station.plan.identity, f"{deed} at connector {connector}")
        if not deed.startswith("swipe"):
            await getattr(station.simulated, deed)(connector)
            return
        card = self.chance.choice(["NOBODY", "NOBODY", *(local.id_tag for local in self.plan.local)])
        await (station.simulated.swipe if deed == "swipe" else station.plug_and_swipe_offline)(connector, card)


class Breakdowns(NowAndThen):
    name: ClassVar[str] = "breakdown"
    row: ClassVar[str] = "F31"
    meaning: ClassVar[str] = "a connector breaks, and is repaired after a while"

    async def once(self, world: World) -> None:
        station, connector = self.some_connector(world)
        self.struck(station.plan.identity, f"connector {connector}")
        await station.simulated.break_down(connector, "GroundFailure")
        await trio.sleep(heavy_tail(self.chance, 10, 1_800))
        await station.simulated.repair(connector)


class PowerLosses(NowAndThen):
    name: ClassVar[str] = "power-loss"
    row: ClassVar[str] = "F18"
    meaning: ClassVar[str] = "a station loses its power: its charges end, it boots again and tells what it owes"

    async def once(self, world: World) -> None:
        station, _ = self.some_connector(world)
        self.struck(station.plan.identity)
        await station.simulated.lose_power(heavy_tail(self.chance, 5, 3_600))


class ForgetfulStations(Trouble):
    name: ClassVar[str] = "forgetful-station"
    row: ClassVar[str] = "F31"
    meaning: ClassVar[str] = "a station gives a report of a charge up after a few attempts that were not answered"

    def draw(self) -> None:
        self.attempts = self.chance.randint(1, 3)

    async def happen(self, world: World) -> None:
        for station in self.stations_in(world):
            await station.simulated.configure("TransactionMessageAttempts", str(self.attempts))


ATTENTIVE = ("AuthorizeRemoteTxRequests", "AllowOfflineTxForUnknownId", "StopTransactionOnInvalidId")


class OtherSettings(Trouble):
    name: ClassVar[str] = "station-settings"
    row: ClassVar[str] = "F28"
    meaning: ClassVar[str] = "stations authorise remote starts first, or let unknown cards charge while offline"

    def draw(self) -> None:
        self.settings = {key: self.chance.choice(("true", "false")) for key in ATTENTIVE}

    async def happen(self, world: World) -> None:
        for station in self.stations_in(world):
            for key, value in self.settings.items():
                await station.simulated.configure(key, value)


AT_HOME: tuple[type[Trouble], ...] = (
    Crashes, CrashesAtPoints, CrashesAtSteps, Redeployments,
    DiskFull, WritesFail, SlowDisk, FlippedBit, CutTail,
    NodeClockJumps, StationClockJumps,
    Breakdowns, PowerLosses, ForgetfulStations, OtherSettings,
)  # fmt: skip
