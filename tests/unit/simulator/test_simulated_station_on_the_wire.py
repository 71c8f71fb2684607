"""A simulated station against the real listener: both ends' own encoders and decoders, over memory on virtual time."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import trio
import trio.testing
from central_in_memory import ID_TAG, Central, new_station
from trio.testing import MockClock

from actors.simulated_station import SimulatedStation
from protocols.ocpp.client import StationEnd, open_central_system
from protocols.ocpp.server import serve_stations
from statecharts.ports import StationConnection
from statecharts.promises import Promise
from statecharts.station_commands import (
    CallVerdict,
    CentralDataTransfer,
    ChangeAvailability,
    ChangeConfiguration,
    ClearCache,
    GetConfiguration,
    RemoteStartTransaction,
    RemoteStopTransaction,
    Reset,
    UnlockConnector,
)
from statecharts.station_credentials import SecurityProfile, StationCredentials, TurnedAway
from statecharts.station_reports import (
    BootNotification,
    MeterValues,
    ReportAnswer,
    StartTransaction,
    StationReport,
    StopTransaction,
)


class OpenDirectory:
    def credentials(self, identity: str) -> StationCredentials | None:
        return StationCredentials(profile=SecurityProfile.NONE) if identity == "CS01" else None

    def ocpp_version(self, identity: str) -> str | None:
        return None


class Hall(trio.abc.Listener[trio.abc.Stream]):
    """A listener without a network, and the door behind it; answers are those of the central system in memory."""

    def __init__(self) -> None:
        self.central = Central()
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
        async with open_central_system("ws://cs/ocpp", "CS01", None, epoch=epoch, stream=near) as end:
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

    def disconnected(self, identity: str, connection: StationConnection) -> None:
        self.connections.remove(connection)

    def is_charging(self, identity: str) -> bool:
        return False

    def turned_away(self, identity: str, event: TurnedAway) -> None:
        raise AssertionError(f"nobody is turned away here: {event}")


@asynccontextmanager
async def on_the_wire(behaviour: str = "normal") -> AsyncIterator[tuple[Hall, SimulatedStation]]:
    hall, epochs = Hall(), itertools.count(1)
    station = new_station(hall.central, behaviour, connect=hall.connect)
    serve = partial(
        serve_stations, [hall], directory=OpenDirectory(), door=hall, epochs=lambda: f"central{next(epochs)}"
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        await nursery.start(station.run)
        await station.registered.wait()
        yield hall, station
        nursery.cancel_scope.cancel()


async def test_a_whole_transaction_ends_with_the_energy_that_the_station_measured(autojump_clock: MockClock) -> None:
    async with on_the_wire() as (hall, station):
        started = await hall.connections[0].call(RemoteStartTransaction(id_tag=ID_TAG, connector_id=1))
        await trio.sleep(1800)
        stopped = await hall.connections[0].call(RemoteStopTransaction(transaction_id=100))
        await trio.sleep(30)
        assert (started.verdict, stopped.verdict) == (CallVerdict.ACCEPTED, CallVerdict.ACCEPTED)
        [start], [stop] = hall.central.reports(StartTransaction), hall.central.reports(StopTransaction)
        assert (start.id_tag, stop.transaction_id, stop.reason) == (ID_TAG, 100, "Remote")
        assert stop.meter_stop_wh - start.meter_start_wh == station.energy_wh(1) > 5_000
        assert (station.charges[0].started_at, station.charges[0].stopped_at) == (start.timestamp, stop.timestamp)
        assert hall.central.statuses(1) == ["Available", "Preparing", "Charging", "Finishing", "Available"]


async def test_what_was_measured_offline_arrives_after_the_loss_in_order(autojump_clock: MockClock) -> None:
    async with on_the_wire("loses_connection") as (hall, station):
        await hall.connections[0].call(RemoteStartTransaction(id_tag=ID_TAG, connector_id=1))
        await trio.sleep(600)
        assert len(hall.central.reports(BootNotification)) == 1
        assert sum(step.text == "connected" for step in station.history) == 2
        times = [values.samples[0].timestamp for values in hall.central.reports(MeterValues)]
        assert [b - a for a, b in itertools.pairwise(times)] == [timedelta(seconds=60)] * 8
        assert station.owed == 0


async def test_every_command_is_answered_in_words_that_the_schemas_allow(autojump_clock: MockClock) -> None:
    async with on_the_wire() as (hall, _):
        call = hall.connections[0].call
        everything = await call(GetConfiguration())
        assert {"key": "NumberOfConnectors", "readonly": True, "value": "1"} in everything.data["configurationKey"]
        words = [
            (await call(command)).status
            for command in (
                ChangeConfiguration(key="HeartbeatInterval", value="60"),
                ChangeConfiguration(key="Nonsense", value="60"),
                ClearCache(),
                CentralDataTransfer(vendor_id="acme"),
                UnlockConnector(connector_id=1),
                UnlockConnector(connector_id=2),
                ChangeAvailability(connector_id=0, kind="Inoperative"),
                RemoteStartTransaction(id_tag=ID_TAG),
                Reset(kind="Soft"),
            )
        ]
        assert words == [
            *("Accepted", "NotSupported", "Accepted", "UnknownVendorId", "Unlocked", "NotSupported"),
            *("Accepted", "Rejected", "Accepted"),
        ]
        await trio.sleep(30)
        assert len(hall.central.reports(BootNotification)) == 2
