"""A simulated station of OCPP 2.0.1 and 2.1 against the real listener: what happens is what happens in 1.6."""

from __future__ import annotations

import itertools

import pytest
import trio
from central_in_memory import ID_TAG
from hall import on_the_wire, word
from trio.testing import MockClock

from statecharts.station_commands import (
    CallVerdict,
    ChangeAvailability,
    ChangeConfiguration,
    GetBaseReport,
    GetConfiguration,
    GetTransactionStatus,
    RemoteStartTransaction,
    RemoteStopTransaction,
    Reset,
    TriggerMessage,
    UnlockConnector,
)
from statecharts.station_reports import (
    BootNotification,
    MeterValues,
    NotifyReport,
    StatusNotification,
    TransactionEvent,
    TransactionEventKind,
)
from statecharts.station_session import remote_start_id

STARTED, UPDATED, ENDED = TransactionEventKind
EVERY_2 = pytest.mark.parametrize("version", ["2.0.1", "2.1"])


@EVERY_2
async def test_a_whole_transaction_is_told_in_events_numbered_from_zero(
    autojump_clock: MockClock, version: str
) -> None:
    async with on_the_wire(version=version) as (hall, station):
        call, central = hall.connections[0].call, hall.central
        started = await call(RemoteStartTransaction(id_tag=ID_TAG, connector_id=1))
        await trio.sleep(300)
        await station.pause(1)
        await trio.sleep(300)
        [charge] = station.charges
        stopped = await call(RemoteStopTransaction(transaction_id=7, reference=charge.reference))
        await trio.sleep(30)
        assert (started.verdict, stopped.verdict) == (CallVerdict.ACCEPTED, CallVerdict.ACCEPTED)
        events = central.reports(TransactionEvent)
        assert [event.seq_no for event in events] == [*range(len(events))]
        assert {event.reference for event in events} == {charge.reference}
        first, last = events[0], events[-1]
        assert (first.kind, first.trigger, first.id_tag) == (STARTED, "RemoteStart", ID_TAG)
        assert (first.remote_start_id, first.connector_id) == (remote_start_id(ID_TAG), 1)
        assert (last.kind, last.trigger, last.stopped_reason) == (ENDED, "RemoteStop", "Remote")
        between = [(event.kind, event.trigger, event.charging_state) for event in events[1:-1]]
        assert between.count((UPDATED, "ChargingStateChanged", "SuspendedEV")) == 1
        assert between.count((UPDATED, "MeterValuePeriodic", None)) == len(between) - 1 > 5
        assert int(last.samples[0].value) - int(first.samples[0].value) == station.energy_wh(1) > 500
        assert central.statuses(1) == ["Available", "Preparing", "Available"]
        assert {report.plug_id for report in central.reports(StatusNotification)} == {1}


@EVERY_2
async def test_what_was_metered_offline_says_so_and_misses_no_number(autojump_clock: MockClock, version: str) -> None:
    async with on_the_wire("loses_connection", version) as (hall, station):
        await hall.connections[0].call(RemoteStartTransaction(id_tag=ID_TAG, connector_id=1))
        await trio.sleep(600)
        events = hall.central.reports(TransactionEvent)
        assert [event.seq_no for event in events] == [*range(len(events))]
        assert [kind for kind, _ in itertools.groupby(event.offline for event in events)] == [False, True, False]
        assert (len(hall.central.reports(BootNotification)), station.owed) == (1, 0)


@EVERY_2
async def test_a_transaction_is_asked_for_while_it_runs_and_while_its_events_are_owed(
    autojump_clock: MockClock, version: str
) -> None:
    async with on_the_wire(version=version) as (hall, station):
        call = hall.connections[0].call
        await call(RemoteStartTransaction(id_tag=ID_TAG, connector_id=1))
        await trio.sleep(30)
        of_it = GetTransactionStatus(reference=station.charges[0].reference)
        assert (await call(of_it)).data == {"ongoingIndicator": True, "messagesInQueue": False}
        hall.central.answers[TransactionEvent] = lambda _: None
        await call(RemoteStopTransaction(transaction_id=1, reference=station.charges[0].reference))
        assert (await call(of_it)).data == {"ongoingIndicator": False, "messagesInQueue": True}
        assert (await call(GetTransactionStatus())).data == {"messagesInQueue": True}


@EVERY_2
async def test_settings_are_variables_of_components(autojump_clock: MockClock, version: str) -> None:
    async with on_the_wire(version=version) as (hall, _):
        call = hall.connections[0].call
        key = "SampledDataCtrlr.TxUpdatedInterval"
        assert (await call(ChangeConfiguration(key=key, value="15"))).status == "Accepted"
        assert (await call(ChangeConfiguration(key="Nonsense.Here", value="15"))).status == "UnknownVariable"
        got = (await call(GetConfiguration(keys=(key, "Nonsense.Here")))).data["getVariableResult"]
        assert [(each["attributeStatus"], each.get("attributeValue")) for each in got] == [
            ("Accepted", "15"),
            ("UnknownVariable", None),
        ]


@EVERY_2
async def test_a_base_report_comes_in_parts(autojump_clock: MockClock, version: str) -> None:
    async with on_the_wire(version=version) as (hall, _):
        assert await word(hall, GetBaseReport(request_id=5, base="SummaryInventory")) == "NotSupported"
        assert await word(hall, GetBaseReport(request_id=5)) == "Accepted"
        await trio.sleep(1)
        parts = hall.central.reports(NotifyReport)
        assert [(part.request_id, part.seq_no, part.more) for part in parts] == [
            (5, number, number < len(parts) - 1) for number in range(len(parts))
        ]
        names = [each["variable"]["name"] for part in parts for each in part.content]
        assert len(parts) > 1
        assert "TxUpdatedInterval" in names


@EVERY_2
async def test_what_only_2_x_answers(autojump_clock: MockClock, version: str) -> None:
    async with on_the_wire(version=version, connectors=2) as (hall, station):
        call = hall.connections[0].call
        await call(RemoteStartTransaction(id_tag=ID_TAG, connector_id=1))
        await trio.sleep(30)
        words = [
            (await call(command)).status
            for command in (
                UnlockConnector(connector_id=1),
                UnlockConnector(connector_id=9),
                TriggerMessage(what="TransactionEvent", connector_id=1),
                TriggerMessage(what="MeterValues", connector_id=2),
                TriggerMessage(what="PublishFirmwareStatusNotification"),
                ChangeAvailability(connector_id=0, kind="Inoperative"),
                Reset(kind="Soft", connector_id=1),
                Reset(kind="Soft"),
            )
        ]
        assert words == [
            *("OngoingAuthorizedTransaction", "UnknownConnector", "Accepted", "Accepted", "NotImplemented"),
            *("Scheduled", "Rejected", "Scheduled"),
        ]
        await trio.sleep(5)
        assert hall.central.reports(TransactionEvent)[-1].trigger == "Trigger"
        assert [values.connector_id for values in hall.central.reports(MeterValues)] == [2]
        await station.unplug(1)
        await trio.sleep(30)
        assert [boot.reason for boot in hall.central.reports(BootNotification)] == ["PowerUp", "RemoteReset"]
