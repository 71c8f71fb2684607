"""What a simulated station does when its central system asks it to."""

from __future__ import annotations

import pytest
import trio
from central_in_memory import (
    ID_TAG,
    Central,
    Run,
    charging,
    new_station,
    settled,
)
from trio.testing import MockClock

from statecharts.station_commands import (
    CentralDataTransfer,
    ChangeAvailability,
    ChangeConfiguration,
    ClearCache,
    GetConfiguration,
    PlainCommand,
    RemoteStartTransaction,
    RemoteStopTransaction,
    Reset,
    StationCommand,
    TriggerMessage,
    UnlockConnector,
)
from statecharts.station_reports import (
    BootNotification,
    Heartbeat,
    MeterValues,
    StartAnswer,
    StartTransaction,
    StatusNotification,
    StopTransaction,
)


async def test_a_remote_start_without_connector_takes_one_with_a_cable_first(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(station := new_station(central, connectors=3))
    await station.plug(2)
    for expected in (2, 1, 3):
        await central.command(RemoteStartTransaction(id_tag=ID_TAG))
        await trio.sleep(10)
        assert station.state(expected) == "Charging"
    assert await central.command(RemoteStartTransaction(id_tag=ID_TAG)) == ("Rejected", {})


@pytest.mark.parametrize(
    ("command", "status"),
    [
        (RemoteStartTransaction(id_tag=ID_TAG, connector_id=1), "Rejected"),
        (RemoteStartTransaction(id_tag=ID_TAG, connector_id=9), "Rejected"),
        (RemoteStopTransaction(transaction_id=9), "Rejected"),
        (RemoteStopTransaction(transaction_id=100), "Accepted"),
        (Reset(kind="Lukewarm"), "Rejected"),
        (UnlockConnector(connector_id=9), "NotSupported"),
        (UnlockConnector(connector_id=1), "Unlocked"),
        (ChangeAvailability(connector_id=9, kind="Inoperative"), "Rejected"),
        (ChangeAvailability(connector_id=1, kind="Sleepy"), "Rejected"),
        (ChangeAvailability(connector_id=1, kind="Inoperative"), "Scheduled"),
        (ChangeAvailability(connector_id=0, kind="Inoperative"), "Scheduled"),
        (ChangeAvailability(connector_id=2, kind="Inoperative"), "Accepted"),
        (ChangeConfiguration(key="NumberOfConnectors", value="9"), "Rejected"),
        (ChangeConfiguration(key="HeartbeatInterval", value="soon"), "Rejected"),
        (ChangeConfiguration(key="LightIntensity", value="1"), "NotSupported"),
        (TriggerMessage(what="Heartbeat"), "Accepted"),
        (TriggerMessage(what="StatusNotification", connector_id=9), "Rejected"),
        (TriggerMessage(what="DiagnosticsStatusNotification"), "Accepted"),
        (TriggerMessage(what="TransactionEvent"), "NotImplemented"),
        (PlainCommand(action="CostUpdated"), "NotSupported"),
        (ClearCache(), "Accepted"),
        (CentralDataTransfer(vendor_id="acme"), "UnknownVendorId"),
    ],
)
async def test_while_connector_1_charges_each_command_gets_its_word(
    autojump_clock: MockClock, central: Central, run: Run, command: StationCommand, status: str
) -> None:
    await charging(central, new_station(central, connectors=2), run)
    assert await central.command(command) == (status, {})


@pytest.mark.parametrize(("kind", "reason"), [("Hard", "HardReset"), ("Soft", "SoftReset")])
async def test_a_reset_ends_what_runs_and_boots_anew(
    autojump_clock: MockClock, central: Central, run: Run, kind: str, reason: str
) -> None:
    await charging(central, station := new_station(central), run)
    assert await central.command(Reset(kind=kind)) == ("Accepted", {})
    await trio.sleep(60)
    assert [r.reason for r in central.reports(StopTransaction)] == [reason]
    assert len(central.reports(BootNotification)) == 2
    assert station.state(1) == "Available"


async def test_a_connector_taken_out_of_service_while_charging_is_unavailable_afterwards(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await charging(central, station := new_station(central), run)
    await central.command(ChangeAvailability(connector_id=1, kind="Inoperative"))
    await station.unplug(1)
    await settled()
    assert central.statuses(1)[-1] == "Unavailable"
    assert await central.command(RemoteStartTransaction(id_tag=ID_TAG, connector_id=1)) == ("Rejected", {})
    assert await central.command(ChangeAvailability(connector_id=1, kind="Operative")) == ("Accepted", {})
    assert station.state(1) == "Available"


async def test_unlocking_a_charging_connector_ends_its_transaction(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await charging(central, new_station(central), run)
    await central.command(UnlockConnector(connector_id=1))
    await trio.sleep(20)
    assert [r.reason for r in central.reports(StopTransaction)] == ["UnlockCommand"]
    assert central.statuses(1)[-2:] == ["Finishing", "Available"]


async def test_a_fault_ends_the_transaction_and_names_its_error(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await charging(central, station := new_station(central), run)
    await station.break_down(1, "GroundFailure")
    await settled()
    fault = central.reports(StatusNotification)[-1]
    assert (str(fault.status), fault.error_code) == ("Faulted", "GroundFailure")
    assert [r.reason for r in central.reports(StopTransaction)] == ["Other"]
    await station.repair(1)
    await settled()
    assert central.reports(StatusNotification)[-1].error_code == "NoError"
    assert station.state(1) == "Plugged"


async def test_get_configuration_lists_all_or_what_was_asked_for(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(new_station(central, connectors=2))
    _, everything = await central.command(GetConfiguration())
    assert {"key": "NumberOfConnectors", "readonly": True, "value": "2"} in everything["configurationKey"]
    _, some = await central.command(GetConfiguration(keys=("connectiontimeout", "Nonsense")))
    assert some == {
        "configurationKey": [{"key": "ConnectionTimeOut", "readonly": False, "value": "60"}],
        "unknownKey": ["Nonsense"],
    }


async def test_a_changed_heartbeat_interval_counts_at_once(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    await run(new_station(central))
    await central.command(ChangeConfiguration(key="HeartbeatInterval", value="10"))
    await trio.sleep(35)
    assert len(central.reports(Heartbeat)) == 3


async def test_the_answer_to_a_remote_start_leaves_before_the_start_itself(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    heard_at_answer: list[int] = []
    await run(station := new_station(central))
    await station.plug(1)
    await settled()

    def start(report: StartTransaction) -> StartAnswer:
        heard_at_answer.append(len(central.answered))
        return central.start(report)

    central.answers[StartTransaction] = start
    await central.command(RemoteStartTransaction(id_tag=ID_TAG))
    await settled()
    assert heard_at_answer == [1]


async def test_it_shows_its_state(autojump_clock: MockClock, central: Central, run: Run) -> None:
    await charging(central, station := new_station(central), run)
    assert repr(station) == "<SimulatedStation CS01 online, [1 Charging 0 Wh], 0 owed>"
    with pytest.raises(ValueError, match="has connectors 1 to 1, not 2"):
        await station.plug(2)


async def test_what_is_triggered_is_said_of_the_connector_that_is_named_or_of_all(
    autojump_clock: MockClock, central: Central, run: Run
) -> None:
    station = new_station(central, connectors=2)
    await charging(central, station, run)
    heard = len(central.heard)
    assert (await central.command(TriggerMessage(what="MeterValues", connector_id=1)))[0] == "Accepted"
    assert (await central.command(TriggerMessage(what="StatusNotification")))[0] == "Accepted"
    await settled()
    meter, *statuses = [report for _, report in central.heard[heard:]]
    assert isinstance(meter, MeterValues) and meter.samples[0].context == "Trigger"
    assert meter.transaction_id == station.charges[0].transaction_id
    assert [(status.connector_id, str(status.status)) for status in statuses] == [(1, "Charging"), (2, "Available")]
