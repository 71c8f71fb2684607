"""A simulated station against the real listener: both ends' own encoders and decoders, over memory on virtual time."""

from __future__ import annotations

import itertools
from datetime import timedelta

import trio
from central_in_memory import ID_TAG
from hall import on_the_wire
from trio.testing import MockClock

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
from statecharts.station_reports import (
    BootNotification,
    MeterValues,
    StartTransaction,
    StopTransaction,
)


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
