"""The real listener in memory with a central system behind it, and one simulated station that speaks to it."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio
import trio.testing
from central_in_memory import Central, new_station

from actors.simulated_station import SimulatedStation
from protocols.ocpp.client import StationEnd, open_central_system
from protocols.ocpp.server import serve_stations
from protocols.ocpp.versions import spoken
from statecharts.oddities import OddMessage
from statecharts.ports import StationConnection
from statecharts.promises import Promise
from statecharts.station_commands import StationCommand
from statecharts.station_credentials import SecurityProfile, Shown, StationCredentials, TurnedAway
from statecharts.station_reports import (
    ReportAnswer,
    StationReport,
)


class OpenDirectory:
    def credentials(self, identity: str) -> StationCredentials | None:
        return StationCredentials(profile=SecurityProfile.NONE) if identity == "CS01" else None

    async def introduce(self, identity: str, shown: Shown) -> None:
        """Strangers stay strangers."""

    def ocpp_version(self, identity: str) -> str | None:
        return None


class Hall(trio.abc.Listener[trio.abc.Stream]):
    """A listener without a network, and the door behind it; answers are those of the central system in memory."""

    def __init__(self, version: str) -> None:
        self.version, self.central = version, Central()
        self.connections: list[StationConnection] = []
        self._arrived, self._accepted = trio.open_memory_channel[trio.abc.Stream](16)
        self._epochs = itertools.count(1)

    async def accept(self) -> trio.abc.Stream:
        return await self._accepted.receive()

    async def aclose(self) -> None:
        self._accepted.close()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[StationEnd]:
        near, far = trio.testing.memory_stream_pair()
        await self._arrived.send(far)
        epoch = f"station{next(self._epochs)}"
        dialect = spoken(self.version)
        async with open_central_system("ws://cs/ocpp", "CS01", None, epoch=epoch, stream=near, dialect=dialect) as end:
            yield end

    def connected(self, identity: str, connection: StationConnection) -> Promise[None]:
        self.connections.append(connection)
        opened: Promise[None] = Promise()
        opened.set(None)
        return opened

    def reported(self, identity: str, connection: StationConnection, report: StationReport) -> ReportAnswer:
        self.central.heard.append((trio.current_time(), report))
        answer = self.central.answer(report)
        assert answer is not None
        return answer

    def odd(self, identity: str, odd: OddMessage) -> Promise[None]:
        noted: Promise[None] = Promise()
        noted.set(None)
        return noted

    def disconnected(self, identity: str, connection: StationConnection) -> None:
        self.connections.remove(connection)

    def is_charging(self, identity: str) -> bool:
        return False

    def turned_away(self, identity: str, event: TurnedAway) -> None:
        raise AssertionError(f"nobody is turned away here: {event}")


@asynccontextmanager
async def on_the_wire(
    behaviour: str = "normal", version: str = "1.6", connectors: int = 1
) -> AsyncIterator[tuple[Hall, SimulatedStation]]:
    hall, epochs = Hall(version), itertools.count(1)
    station = new_station(hall.central, behaviour, connect=hall.connect, ocpp_version=version, connectors=connectors)
    serve = partial(
        serve_stations, [hall], directory=OpenDirectory(), door=hall, epochs=lambda: f"central{next(epochs)}"
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        await nursery.start(station.run)
        await station.registered.wait()
        yield hall, station
        nursery.cancel_scope.cancel()


async def word(hall: Hall, command: StationCommand) -> str:
    """The status word that the station answers this command with."""
    return (await hall.connections[0].call(command)).status
