"""A whole operator and one simulated station at it, over a WebSocket in memory, for the cases of the test tool."""

from __future__ import annotations

import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import trio
import trio.testing

from actors.context import NodeSettings
from actors.simulated_outbox import Charge
from actors.simulated_station import SimulatedStation
from actors.simulated_turns import StepKind
from protocols.ocpp.client import StationEnd, open_central_system
from protocols.ocpp.odd_transport import OddTransport
from protocols.ocpp.server import serve_stations
from protocols.ocpp.versions import spoken
from statecharts.directory import UserEntry
from statecharts.ports import TransactionView
from statecharts.station_commands import CallOutcome, StationCommand
from tests.support.house import EPOCH, EVERYWHERE, House, open_house, place
from tests.unit.ocpp.ocpp_worlds import Directory, MemoryListener

CS = "CS01"
CARD, BLOCKED, EXPIRED, INVALID = "CARD0001", "BLOCKED1", "EXPIRED1", "NOBODY01"
USERS = (
    EVERYWHERE,
    UserEntry(identifier="bob", id_tags=(BLOCKED,), blocked=True),
    UserEntry(identifier="eve", id_tags=(EXPIRED,), valid_until=EPOCH - timedelta(days=1)),
)
LONG_S = 600
"""Longer than anything that a station or a driver does by itself takes."""


@dataclass
class Scene:
    """`house` is the central system's operator, `station` the charging station; both live until the block ends."""

    house: House
    station: SimulatedStation

    async def ask(self, command: StationCommand) -> CallOutcome:
        """What becomes of a command of the operator."""
        return await self.house.command(CS, command)

    async def word(self, command: StationCommand) -> str:
        """The status word that the station answers it with."""
        return (await self.ask(command)).status

    async def start(self, connector: int = 1, id_tag: str = CARD) -> TransactionView:
        """The operator starts a charge, for a driver who is on his way."""
        return await self.house.operator.start_local(CS, connector, id_tag)

    async def charges(self) -> list[TransactionView]:
        """The operator's transactions at its own station, oldest first."""
        page = await self.house.operator.transactions(role="local", state=None, cursor=None, limit=9)
        return list(reversed(page.items))

    async def settled(self) -> tuple[TransactionView, Charge]:
        """The only charge as the operator and the station have it, now that it is over; both agree on its energy."""
        [view], [charge] = await self.charges(), self.station.charges
        assert view.state == "Settled"
        assert charge.meter_stop_wh is not None
        assert view.energy_wh == charge.meter_stop_wh - charge.meter_start_wh
        return view, charge

    async def shown(self, connector: int = 1) -> str:
        """What the operator sees of a connector."""
        [view] = (await self.house.operator.stations(cursor=None, limit=9)).items
        return str(view.connectors[str(connector)])

    async def registration(self) -> str:
        [view] = (await self.house.operator.stations(cursor=None, limit=9)).items
        return str(view.registration)

    async def log(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What is kept of the station's reports beside charging, oldest first."""
        page = await self.house.operator.station_log(CS, kind=kind, cursor=None, limit=99)
        return [entry.report for entry in reversed(page.items)]

    def answers(self, kind: str) -> list[Any]:
        """What the central system has answered to reports of this kind."""
        return [s.message for s in self.station.history if s.kind is StepKind.ANSWERED and s.text == kind]

    def soon(self, seconds: float) -> datetime:
        return self.house.clock.now() + timedelta(seconds=seconds)


def connecting(listener: MemoryListener, version: str, odd: tuple[str, ...] = ()) -> Callable[[], Any]:
    """How the station connects, in memory; each connection has an epoch of its own."""
    epochs = itertools.count(1)

    @asynccontextmanager
    async def connect() -> AsyncIterator[StationEnd]:
        stream, epoch = await listener.connect(), f"s{next(epochs)}"
        dialect = spoken(version)
        async with open_central_system(
            "ws://cs/ocpp",
            CS,
            None,
            epoch=epoch,
            stream=stream,
            dialect=dialect,
            carried_by=lambda transport: OddTransport(transport, odd),
        ) as end:
            yield end

    return connect


@asynccontextmanager
async def scene(
    nursery: trio.Nursery,
    version: str = "1.6",
    behaviour: str = "normal",
    settings: NodeSettings | None = None,
    odd: tuple[str, ...] = (),
    **options: Any,
) -> AsyncIterator[Scene]:
    """A station with two connectors that has booted and is accepted."""
    listener, epochs = MemoryListener(), map("c{}".format, itertools.count(1))
    async with open_house("IE-001", nursery, places=(place(),), users=USERS, settings=settings) as house:
        serve = partial(serve_stations, [listener], directory=Directory(password=None), door=house.stations)
        server = await nursery.start(partial(serve, epochs=lambda: next(epochs)))
        station = SimulatedStation(
            CS,
            connect=connecting(listener, version, odd),
            clock=house.clock,
            random=random.Random(7).random,
            ocpp_version=version,
            behaviour=behaviour,
            connectors=2,
            **options,
        )
        async with trio.open_nursery() as life:
            await life.start(station.run)
            await station.registered.wait()
            await trio.sleep(1)
            yield Scene(house, station)
            life.cancel_scope.cancel()
        await server.close_all()


async def until(holds: Callable[[], Awaitable[bool]] | Callable[[], bool], within_s: float = LONG_S) -> None:
    """Lets virtual time go by until this holds; fails if it does not in time."""
    with trio.fail_after(within_s):
        while True:
            found = holds()
            if found if isinstance(found, bool) else await found:
                return
            await trio.sleep(1)
