"""Two operators and a station whose cars, apps, links and nodes a rule machine has in its hand.

Everything of the operators is real but the way between them: charts, actors, journals, outboxes, roles. The cars are
the truth: what they charged is what both operators must have in the end, once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import pytest
import trio
from sqlalchemy import Connection, select

from actors import durable, tables
from actors.records import Delivery
from actors.rows import delivery_of
from statecharts.bounds import FACTS_AFTER_SNAPSHOT
from statecharts.delivery import Parcel
from statecharts.station_commands import RemoteStartTransaction, RemoteStopTransaction
from statecharts.station_reports import BootNotification, ConnectorStatus
from statecharts.vocabulary import (
    Declined,
    DestinationRequest,
    NotifyRequestResult,
    Refusal,
    Refused,
    RoamingRequest,
    Unanswered,
)
from tests.support.crashes import Blade
from tests.support.house import House, LinkedClient, gone_after, resting_after
from tests.support.roaming import HOME, LOCAL, Charge, Roaming, two_operators

LOST = Unanswered(cause="HTTP 503")
NO = Declined(refusal=Refusal(code=400, kind="peer-refused", message="the partner has a bad day"))
STRANGER = "DE-XYZ"
PATIENCE_S = 30.0
LAPSED_S = 1_500
"""Longer than an authorisation, a start and a back-off to its cap take together."""

Books = tuple[list[Delivery], list[tuple[str, str, Any]]]
"""A whole outbox, and all facts of a journal: stream, type and what it says."""


@dataclass(frozen=True)
class Habits:
    """What holds for all of a life: when idle actors leave memory, after how many facts a snapshot is taken, whether
    the station meters in kWh, and whether the Source takes results before everybody is fair.
    """

    rest_after_s: float = 300
    facts_after_snapshot: int = 200
    in_kwh: bool = False
    deaf_to_results: bool = False


@dataclass
class Car:
    """A car at its connector: what it really charged, and what its station has still to tell of it.

    `acknowledged_wh` is the newest reading that the operator has answered.
    """

    charge: Charge
    connector_id: int
    register_wh: int
    acknowledged_wh: int = 0
    start: tuple[datetime, int] | None = None
    stop: tuple[datetime, int] | None = None
    number: int | None = None
    told: bool = False

    @property
    def charging(self) -> bool:
        return self.start is not None and self.stop is None

    @property
    def energy_wh(self) -> int | None:
        return self.stop[1] - self.start[1] if self.start and self.stop else None


async def attempt(work: Callable[..., Awaitable[Any]], *args: Any) -> Any:
    """What an app or a station gets for its asking: an answer, or None from a node that says no or is dying."""
    with trio.move_on_after(PATIENCE_S):
        try:
            return await work(*args)
        except (Refused, RuntimeError):
            return None


@dataclass
class World:
    roaming: Roaming
    in_kwh: bool = False
    blades: dict[str, Blade] = field(init=False)
    cars: list[Car] = field(default_factory=list)
    online: bool = True
    doomed: tuple[str, int] | None = None
    metered_wh: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.blades = {name: Blade(house) for name, house in self.houses.items()}

    @property
    def houses(self) -> dict[str, House]:
        return {"home": self.roaming.home, "local": self.roaming.local}

    @property
    def links(self) -> dict[str, LinkedClient]:
        return {"there": self.roaming.there, "back": self.roaming.back}

    # -- apps ----------------------------------------------------------------------------------------------------------

    async def authorize(self, connector_id: int) -> None:
        charge = await attempt(self.roaming.ready, str(connector_id))
        if charge is not None:
            self.cars.append(Car(charge, connector_id, 1_000 * (len(self.cars) + 1)))

    async def leave(self, car: Car, steps: int) -> None:
        """The app asks for what comes next, and is gone before it hears of it."""
        ask = self.roaming.stop if car.charging else self.roaming.start
        await gone_after(steps, attempt, ask, car.charge)

    # -- cars ----------------------------------------------------------------------------------------------------------

    async def begin(self, car: Car) -> None:
        """Charges, once, if its station was asked to."""
        asked = RemoteStartTransaction(id_tag=car.charge.name, connector_id=car.connector_id)
        if asked in self.roaming.station.commands and car.start is None:
            car.start = self.now(), car.register_wh
            await self.tell(car)

    async def meter(self, car: Car, wh: int) -> None:
        if car.charging:
            car.register_wh += wh
            self.metered_wh.add(car.register_wh)
            if self.online and car.number is not None:
                car.acknowledged_wh = await attempt(self._read, car) or car.acknowledged_wh

    async def _read(self, car: Car) -> int:
        where = {"connector_id": car.connector_id, "in_kwh": self.in_kwh}
        await self.roaming.station.meter(car.number, car.register_wh, **where)
        return car.register_wh

    async def obey(self, car: Car) -> None:
        """Does what a RemoteStop asked for."""
        asked = car.number and RemoteStopTransaction(transaction_id=car.number) in self.roaming.station.commands
        if asked:
            await self.end(car)

    async def end(self, car: Car) -> None:
        if car.charging:
            car.register_wh += 59
            car.stop = self.now(), car.register_wh
            await self.tell(car)

    async def tell(self, car: Car) -> None:
        """Says what happened until it is answered; the start is said again with the stop, as after a lost answer."""
        if not self.online or car.start is None or car.told:
            return
        at, wh = car.start
        station = self.roaming.station
        answer = await attempt(
            lambda: station.start(car.charge.name, connector_id=car.connector_id, meter_start_wh=wh, at=at)
        )
        if answer is None:
            return
        assert car.number in (None, answer.transaction_id), "a repeated start gets the same number"
        car.number = answer.transaction_id
        if car.stop is not None:
            at, wh = car.stop
            car.told = await attempt(lambda: station.stop(car.number, wh, at=at)) is not None

    async def go(self, online: bool) -> None:
        if online and not self.online:
            await attempt(lambda: self.roaming.station.come_online(boot=False))
        if not online and self.online:
            await self.roaming.station.go_offline()
        self.online = online
        for car in self.cars:
            await self.tell(car)

    async def boot(self) -> None:
        """The station tells of itself anew, and goes on with what it was doing."""
        if self.online:
            station = self.roaming.station
            await attempt(station.say, BootNotification(vendor="V", model="M"))
            for car in self.cars:
                status = ConnectorStatus.CHARGING if car.charging else ConnectorStatus.PREPARING
                await attempt(station.status, car.connector_id, status)

    # -- links ---------------------------------------------------------------------------------------------------------

    async def repeat(self, link: str, which: int, *, by: str | None = None) -> Any:
        """An old message comes once more, out of the blue, from its sender or another; what that is answered."""
        client = self.links[link]
        if not client.sent:
            return None
        message = client.sent[which % len(client.sent)]
        to_local = isinstance(message, DestinationRequest)
        door = self.roaming.local.destination if to_local else self.roaming.home.source
        return await attempt(door, by or (HOME if to_local else LOCAL), message)

    async def pose(self, link: str, which: int) -> None:
        """Another partner says what an old message said: nothing of it is theirs, and nothing comes of it."""
        answer = await self.repeat(link, which, by=STRANGER)
        assert answer is None, f"{STRANGER} is answered {answer}"

    # -- crashes -------------------------------------------------------------------------------------------------------

    async def living(self, work: Callable[..., Awaitable[Any]], *args: Any) -> None:
        """Does something while a doomed node has its last moments, and brings back those that died."""
        doomed, self.doomed = self.doomed, None
        if doomed is not None:
            self.roaming.nursery.start_soon(self._kill, self.houses[doomed[0]], doomed[1])
        await work(*args)
        await trio.testing.wait_all_tasks_blocked()
        for name, house in self.houses.items():
            if house.dead:
                await self.revive(name)

    async def _kill(self, house: House, moments: int) -> None:
        for _ in range(moments):
            await trio.lowlevel.checkpoint()
        house.kill()

    async def revive(self, name: str) -> None:
        self.blades[name].cut_at = None
        await self.houses[name].restart(self.roaming.nursery)
        if name == "local" and self.online:
            await attempt(lambda: self.roaming.station.come_online(boot=False))
            for car in self.cars:
                await self.tell(car)

    # -- in the end ----------------------------------------------------------------------------------------------------

    async def be_fair(self) -> None:
        """Nobody dies, everybody answers, the cars leave, and the operators send again what lies parked."""
        self.doomed = None
        for blade in self.blades.values():
            blade.cut_at = None
        for client in self.links.values():
            client.down, client.script, client.reply_lost, client.hangs_up_after = False, [], [], []
        await self.go(True)
        for car in self.cars:
            await self.end(car)
            await self.tell(car)
        await trio.sleep(LAPSED_S)
        await self.replay()
        await trio.sleep(LAPSED_S)
        if self.roaming.back.deaf_to:
            await self.listen_again()

    async def listen_again(self) -> None:
        """The Source, which has every charge record by now whatever it would not hear, takes results as well."""
        for car in self.cars:
            if car.energy_wh is not None:
                assert (await self.roaming.view(car.charge)).state == "Settled", "no result may hold back a record"
        self.roaming.back.deaf_to = ()
        await trio.sleep(LAPSED_S)

    async def replay(self) -> None:
        """The operator of the stations sends again what the other has refused."""
        operator = self.roaming.local.operator
        page = await attempt(lambda: operator.deliveries(status="parked", peer=HOME))
        for letter in page.items if page else ():
            await attempt(operator.replay, letter.id)

    # -- what is there -------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        return self.roaming.local.clock.now()

    async def look(self) -> tuple[datetime, Books, Books]:
        """What time it is, and the books of both operators."""
        home, local = [await house.journal.store.read(_look) for house in self.houses.values()]
        return self.now(), home, local


def message_of(owed: Delivery) -> RoamingRequest:
    return msgspec.json.decode(owed.body, type=Parcel).message


def _look(connection: Connection) -> Books:
    owed = connection.execute(select(tables.deliveries)).mappings()
    facts = connection.execute(select(tables.journal)).mappings()
    return [delivery_of(row) for row in owed], [(f["stream"], f["type"], msgspec.json.decode(f["data"])) for f in facts]


@asynccontextmanager
async def opened(habits: Habits, nursery: trio.Nursery) -> AsyncIterator[World]:
    limit = msgspec.structs.replace(FACTS_AFTER_SNAPSHOT, limit=habits.facts_after_snapshot)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable, "FACTS_AFTER_SNAPSHOT", limit)
        async with two_operators(nursery, policies=resting_after(habits.rest_after_s)) as roaming:
            roaming.back.deaf_to = (NotifyRequestResult,) if habits.deaf_to_results else ()
            yield World(roaming, habits.in_kwh)
