"""Cases of the compliancy test tool for a central system of OCPP 2.0.1, by their ids: what must hold at its end.

The ids and titles are those that are known publicly; what a case does in between is read off the specification.
"""

from __future__ import annotations

from typing import Any

import pytest
import trio
from trio.testing import MockClock

from statecharts.station_commands import (
    CallVerdict,
    CentralDataTransfer,
    CertificateHash,
    ChangeAvailability,
    ChangeConfiguration,
    ClearCache,
    DeleteCertificate,
    GetBaseReport,
    GetConfiguration,
    GetInstalledCertificateIds,
    GetLog,
    GetTransactionStatus,
    InstallCertificate,
    PlainCommand,
    Reset,
    TriggerMessage,
    UnlockConnector,
    UpdateFirmware,
)
from statecharts.station_session import remote_start_id
from tests.conformance.oca_scene import BLOCKED, CARD, CS, EXPIRED, INVALID, LONG_S
from tests.conformance.oca_tool import TOKEN, Tool, tool
from tests.unit.simulator.papers import certificate

FIRMWARE, LOGS = "https://firmware.example/2.bin", "ftps://logs.example/"
REJECTED = CallVerdict.REJECTED


async def started(at: Tool, **other: Any) -> Any:
    """What the first event of a charge with a card is answered."""
    return await at.event("Started", 1_000, **{"idToken": TOKEN, **other})


def of_charging(state: str) -> dict[str, Any]:
    return {"transactionInfo": {"chargingState": state}}


# -- B: provisioning ---------------------------------------------------------------------------------------------------


async def test_tc_b_01_csms_cold_boot(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        answer = await at.say("BootNotification", chargingStation={"vendorName": "V", "model": "M"}, reason="PowerUp")
        assert (answer["status"], answer["interval"] > 0) == ("Accepted", True)
        assert (await at.shown(1), await at.shown(2)) == ("Available", "Available")
        assert "currentTime" in await at.say("Heartbeat")


@pytest.mark.parametrize("keys", [("A.B",), ("A.B", "C@1.D")], ids=["single", "multiple"])
async def test_tc_b_06_csms_tc_b_07_csms_get_variables(
    autojump_clock: MockClock, nursery: trio.Nursery, keys: tuple[str, ...]
) -> None:
    async with tool(nursery) as at:
        found = {"attributeStatus": "Accepted", "attributeValue": "7"}
        named = {"component": {"name": "A"}, "variable": {"name": "B"}}
        at.answers["GetVariables"] = {"getVariableResult": [{**found, **named}]}
        outcome = await at.ask(GetConfiguration(keys=keys))
        [(action, asked)] = at.asked
        assert (action, len(asked["getVariableData"])) == ("GetVariables", len(keys))
        assert outcome.verdict is CallVerdict.ACCEPTED and "'7'" in str(outcome.data)


@pytest.mark.parametrize("status", ["Accepted", "RebootRequired", "Rejected"])
async def test_tc_b_09_csms_set_variables(autojump_clock: MockClock, nursery: trio.Nursery, status: str) -> None:
    async with tool(nursery) as at:
        at.answers["SetVariables"] = {"setVariableResult": [
            {"attributeStatus": status, "component": {"name": "A"}, "variable": {"name": "B"}}
        ]}  # fmt: skip
        outcome = await at.ask(ChangeConfiguration(key="A.B", value="7"))
        [(_, asked)] = at.asked
        assert asked["setVariableData"][0]["attributeValue"] == "7"
        assert (outcome.verdict is REJECTED, outcome.status) == (status == "Rejected", status)


@pytest.mark.parametrize("base", ["ConfigurationInventory", "FullInventory"])
async def test_tc_b_12_csms_tc_b_13_csms_get_base_report(
    autojump_clock: MockClock, nursery: trio.Nursery, base: str
) -> None:
    async with tool(nursery) as at:
        _, asked, _ = await at.sent(GetBaseReport(request_id=5, base=base))
        assert asked == {"requestId": 5, "reportBase": base}
        for seq_no in range(2):
            part = {"requestId": 5, "generatedAt": at.now(), "seqNo": seq_no, "tbc": seq_no == 0}
            assert await at.say("NotifyReport", **part) == {}
        assert len(await at.log("NotifyReport")) == 2


@pytest.mark.parametrize(("kind", "said"), [("Soft", "OnIdle"), ("Hard", "Immediate")])
@pytest.mark.parametrize("charging", [False, True])
@pytest.mark.parametrize("evse", [None, 1])
async def test_tc_b_20_csms_tc_b_21_csms_tc_b_22_csms_tc_b_25_csms_tc_b_26_csms_tc_b_27_csms_reset(
    autojump_clock: MockClock, nursery: trio.Nursery, kind: str, said: str, charging: bool, evse: int | None
) -> None:
    async with tool(nursery) as at:
        if charging:
            await started(at)
        word = "Scheduled" if charging and kind == "Soft" else "Accepted"
        _, asked, outcome = await at.sent(Reset(kind=kind, connector_id=evse), status=word)
        assert asked == {"type": said} | ({"evseId": evse} if evse else {})
        assert outcome.verdict is CallVerdict.ACCEPTED
        if charging:
            await at.event("Ended", 1_500, triggerReason="ResetCommand", transactionInfo={"stoppedReason": "Reboot"})
            assert (await at.charge()).state == "Settled"


@pytest.mark.parametrize(("word", "verdict"), [("Accepted", CallVerdict.ACCEPTED), ("Failed", REJECTED)])
async def test_tc_b_42_csms_tc_b_44_csms_set_network_profile(
    autojump_clock: MockClock, nursery: trio.Nursery, word: str, verdict: CallVerdict
) -> None:
    async with tool(nursery) as at:
        profile = {"ocppVersion": "OCPP20", "ocppTransport": "JSON", "ocppCsmsUrl": "wss://cs/ocpp",
                   "messageTimeout": 30, "securityProfile": 2, "ocppInterface": "Wired0"}  # fmt: skip
        command = PlainCommand(action="SetNetworkProfile", payload={"configurationSlot": 1, "connectionData": profile})
        action, asked, outcome = await at.sent(command, status=word)
        assert (action, asked["connectionData"]) == ("SetNetworkProfile", profile)
        assert (outcome.verdict, outcome.status) == (verdict, word)


# -- C: authorisation --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tag", "status"), [(INVALID, "Invalid"), (BLOCKED, "Blocked"), (EXPIRED, "Expired")])
async def test_tc_c_02_csms_tc_c_06_csms_tc_c_07_csms_authorize_refused(
    autojump_clock: MockClock, nursery: trio.Nursery, tag: str, status: str
) -> None:
    async with tool(nursery) as at:
        answer = await at.say("Authorize", idToken={"idToken": tag, "type": "ISO14443"})
        assert answer["idTokenInfo"]["status"] == status and await at.charges() == []


@pytest.mark.parametrize(("tag", "status"), [(CARD, "Accepted"), (INVALID, "Invalid")])
async def test_tc_c_08_csms_tc_c_20_csms_authorisation_by_cache(
    autojump_clock: MockClock, nursery: trio.Nursery, tag: str, status: str
) -> None:
    """The station let the driver begin by its cache: the event tells it what holds now."""
    async with tool(nursery) as at:
        answer = await started(at, idToken={"idToken": tag, "type": "ISO14443"})
        assert answer["idTokenInfo"]["status"] == status
        assert ("not-authorised" in (await at.charge()).flags) is (status != "Accepted")


@pytest.mark.parametrize("word", ["Accepted", "Rejected"])
async def test_tc_c_37_csms_tc_c_38_csms_clear_cache(
    autojump_clock: MockClock, nursery: trio.Nursery, word: str
) -> None:
    async with tool(nursery) as at:
        action, asked, outcome = await at.sent(ClearCache(), status=word)
        assert (action, asked, outcome.status) == ("ClearCache", {}, word)


# -- E: transactions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trigger", "state", "named_first"),
    [
        ("ChargingStateChanged", "SuspendedEVSE", True),
        ("ChargingStateChanged", "Charging", True),
        ("CablePluggedIn", "EVConnected", False),
        ("Authorized", "Idle", True),
        ("SignedDataReceived", "EVConnected", False),
        ("EVDetected", "Idle", False),
    ],
    ids=["PowerPathClosed", "EnergyTransfer", "EVConnected", "Authorized", "DataSigned", "ParkingBayOccupied"],
)
async def test_tc_e_01_csms_tc_e_02_csms_tc_e_09_csms_tc_e_10_csms_tc_e_11_csms_tc_e_12_csms_start_options(
    autojump_clock: MockClock, nursery: trio.Nursery, trigger: str, state: str, named_first: bool
) -> None:
    async with tool(nursery) as at:
        named = {"idToken": TOKEN} if named_first else {}
        first = await at.event("Started", 1_000, triggerReason=trigger, **of_charging(state), **named)
        assert ("idTokenInfo" in first) is named_first
        if not named_first:
            assert await at.charges() == []
            second = await at.event("Updated", idToken=TOKEN, triggerReason="Authorized")
            assert second["idTokenInfo"]["status"] == "Accepted"
        await at.event("Updated", 1_400, triggerReason="ChargingStateChanged", **of_charging("Charging"))
        data = await at.charge()
        assert (data.state, data.charge.meter_start_wh, data.charge.energy_wh) == ("TxRunning", 1_000, 400)
        assert await at.shown() == "Charging"


@pytest.mark.parametrize("plug_first", [True, False])
async def test_tc_e_03_csms_tc_e_04_csms_tc_e_38_csms_local_start(
    autojump_clock: MockClock, nursery: trio.Nursery, plug_first: bool
) -> None:
    async with tool(nursery) as at:
        assert (await at.say("Authorize", idToken=TOKEN))["idTokenInfo"]["status"] == "Accepted"
        await at.shows("Occupied")
        trigger = "CablePluggedIn" if plug_first else "Authorized"
        await at.event("Started", 1_000, triggerReason=trigger, **({} if plug_first else {"idToken": TOKEN}))
        await at.event("Updated", idToken=TOKEN, triggerReason="Authorized", **of_charging("EVConnected"))
        await at.event("Updated", triggerReason="ChargingStateChanged", **of_charging("SuspendedEV"))
        assert await at.shown() == "SuspendedEV"
        await at.event("Updated", 1_100, triggerReason="ChargingStateChanged", **of_charging("Charging"))
        assert ((await at.charge()).state, await at.shown()) == ("TxRunning", "Charging")


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [
        ("StopAuthorized", "Local"),
        ("StopAuthorized", None),
        ("ChargingStateChanged", "EVDisconnected"),
        ("Deauthorized", "DeAuthorized"),
        ("EVDeparted", "Local"),
        ("EVCommunicationLost", "EVDisconnected"),
        ("RemoteStop", "Remote"),
        ("ChargingStateChanged", "StoppedByEV"),
        ("EVConnectTimeout", "Timeout"),
    ],
)
async def test_tc_e_07_csms_tc_e_08_csms_tc_e_14_csms_tc_e_15_csms_tc_e_16_csms_tc_e_17_csms_stop_options(
    autojump_clock: MockClock, nursery: trio.Nursery, trigger: str, reason: str | None
) -> None:
    async with tool(nursery) as at:
        await started(at)
        info = {} if reason is None else {"transactionInfo": {"stoppedReason": reason}}
        await at.event("Ended", 2_500, triggerReason=trigger, **info)
        data = await at.charge()
        assert (data.state, data.charge.energy_wh, data.charge.reason) == ("Settled", 1_500, reason or "Local")
        await at.shows("Available")
        assert await at.shown() == "Available"


@pytest.mark.parametrize(
    ("trigger", "reason"),
    [("EVDeparted", "Local"), ("EVCommunicationLost", "EVDisconnected"), ("EVConnectTimeout", "Timeout")],
    ids=["ParkingBayUnoccupied", "EVDisconnected", "Deauthorized by timeout"],
)
async def test_tc_e_19_csms_tc_e_20_csms_tc_e_39_csms_stop_without_the_driver(
    autojump_clock: MockClock, nursery: trio.Nursery, trigger: str, reason: str
) -> None:
    async with tool(nursery) as at:
        await started(at)
        await at.event("Ended", 1_000, triggerReason=trigger, transactionInfo={"stoppedReason": reason})
        data = await at.charge()
        assert (data.state, data.charge.energy_wh, data.charge.reason) == ("Settled", 0, reason)


async def test_tc_e_21_csms_remote_stop(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        await started(at)
        number = (await at.charge()).id
        await at.house.operator.stop("local", number)
        await trio.sleep(1)
        assert at.asked == [("RequestStopTransaction", {"transactionId": "octt-1"})]
        stopped = {"stoppedReason": "Remote"}
        await at.event("Ended", 2_000, triggerReason="RemoteStop", transactionInfo=stopped)
        assert ((await at.charge()).state, (await at.charge()).charge.reason) == ("Settled", "Remote")


@pytest.mark.parametrize("state", ["SuspendedEV", "EVConnected"])
async def test_tc_e_22_csms_tc_e_26_csms_a_pause_ends_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery, state: str
) -> None:
    async with tool(nursery) as at:
        await started(at)
        await at.event("Updated", 1_500, triggerReason="ChargingStateChanged", **of_charging(state))
        await trio.sleep(LONG_S)
        assert (await at.charge()).state == "TxRunning"
        await at.event("Ended", 1_500, triggerReason="EVCommunicationLost")
        assert (await at.charge()).charge.energy_wh == 500


@pytest.mark.parametrize("ongoing", [True, False, None])
@pytest.mark.parametrize("queued", [True, False])
async def test_tc_e_29_csms_tc_e_30_csms_tc_e_31_csms_tc_e_33_csms_tc_e_34_csms_transaction_status(
    autojump_clock: MockClock, nursery: trio.Nursery, ongoing: bool | None, queued: bool
) -> None:
    async with tool(nursery) as at:
        await started(at)
        number = None if ongoing is None else int((await at.charge()).id)
        said = {"messagesInQueue": queued} | ({} if ongoing is None else {"ongoingIndicator": ongoing})
        action, asked, outcome = await at.sent(GetTransactionStatus(transaction_id=number), **said)
        assert (action, asked) == ("GetTransactionStatus", {} if number is None else {"transactionId": "octt-1"})
        assert outcome.data == said


async def test_tc_e_53_csms_sequence_numbers_begin_anew(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        for name in ("octt-1", "octt-2"):
            of = {"transactionId": name}
            assert await started(at, seqNo=0, transactionInfo=of)
            await at.event("Ended", 1_700, seqNo=1, transactionInfo=of)
        assert [data.charge.energy_wh for data in await at.charges()] == [700, 700]


# -- F: remote control -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asks_first", [True, False])
async def test_tc_f_01_csms_tc_f_02_csms_tc_f_03_csms_remote_start(
    autojump_clock: MockClock, nursery: trio.Nursery, asks_first: bool
) -> None:
    async with tool(nursery) as at:
        await at.house.operator.start_local(CS, 1, CARD)
        await trio.sleep(1)
        [(action, asked)] = at.asked
        assert (action, asked["evseId"], asked["idToken"]["idToken"]) == ("RequestStartTransaction", 1, CARD)
        if asks_first:
            assert (await at.say("Authorize", idToken=asked["idToken"]))["idTokenInfo"]["status"] == "Accepted"
        of = {"transactionInfo": {"remoteStartId": asked["remoteStartId"]}}
        answer = await started(at, triggerReason="RemoteStart", idToken=asked["idToken"], **of)
        assert answer["idTokenInfo"]["status"] == "Accepted" and asked["remoteStartId"] == remote_start_id(CARD)
        assert (await at.charge()).state == "TxRunning"


async def test_tc_f_04_csms_remote_start_cable_plugin_timeout(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        await at.house.operator.start_local(CS, 1, CARD)
        await trio.sleep(LONG_S)
        [view] = (await at.house.operator.transactions(role="local", state=None, cursor=None, limit=9)).items
        assert (view.state, await at.charges()) == ("Expired", [])


async def test_tc_f_06_csms_unlock_connector(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        action, asked, outcome = await at.sent(UnlockConnector(connector_id=1), status="Unlocked")
        assert (action, asked) == ("UnlockConnector", {"evseId": 1, "connectorId": 1})
        assert (outcome.verdict, outcome.status) == (CallVerdict.ACCEPTED, "Unlocked")


@pytest.mark.parametrize("what", ["MeterValues", "TransactionEvent"])
@pytest.mark.parametrize("evse", [1, None])
async def test_tc_f_11_csms_tc_f_12_csms_tc_f_13_csms_tc_f_14_csms_trigger_for_evses(
    autojump_clock: MockClock, nursery: trio.Nursery, what: str, evse: int | None
) -> None:
    async with tool(nursery) as at:
        action, asked, _ = await at.sent(TriggerMessage(what=what, connector_id=evse))
        assert (action, asked) == (
            "TriggerMessage",
            {"requestedMessage": what} | ({"evse": {"id": 1}} if evse else {}),
        )


@pytest.mark.parametrize(
    ("what", "report"),
    [
        ("LogStatusNotification", {"status": "Idle"}),
        ("FirmwareStatusNotification", {"status": "Idle"}),
        ("Heartbeat", {}),
    ],
)
async def test_tc_f_15_csms_tc_f_18_csms_tc_f_20_csms_trigger_for_the_station(
    autojump_clock: MockClock, nursery: trio.Nursery, what: str, report: dict[str, Any]
) -> None:
    async with tool(nursery) as at:
        _, asked, outcome = await at.sent(TriggerMessage(what=what))
        assert (asked, outcome.verdict) == ({"requestedMessage": what}, CallVerdict.ACCEPTED)
        assert (await at.call(what, report))[0] == 3


@pytest.mark.parametrize(("status", "shown"), [("Available", "Available"), ("Occupied", "Preparing")])
async def test_tc_f_23_csms_tc_f_24_csms_trigger_for_a_status(
    autojump_clock: MockClock, nursery: trio.Nursery, status: str, shown: str
) -> None:
    async with tool(nursery) as at:
        _, asked, _ = await at.sent(TriggerMessage(what="StatusNotification", connector_id=1))
        assert asked == {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}}
        await at.shows(status)
        assert await at.shown() == shown


async def test_tc_f_27_csms_trigger_not_implemented(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        _, _, outcome = await at.sent(TriggerMessage(what="SignV2GCertificate"), status="NotImplemented")
        assert (outcome.verdict, outcome.status) == (REJECTED, "NotImplemented")


# -- G: availability ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("evse", [1, 0], ids=["EVSE", "station"])
@pytest.mark.parametrize("kind", ["Inoperative", "Operative"])
@pytest.mark.parametrize("charging", [False, True])
async def test_tc_g_03_csms_tc_g_04_csms_tc_g_05_csms_tc_g_06_csms_tc_g_11_csms_tc_g_14_csms_change_availability(
    autojump_clock: MockClock, nursery: trio.Nursery, evse: int, kind: str, charging: bool
) -> None:
    async with tool(nursery) as at:
        if charging:
            await started(at)
        word = "Scheduled" if charging else "Accepted"
        _, asked, outcome = await at.sent(ChangeAvailability(connector_id=evse, kind=kind), status=word)
        assert asked == {"operationalStatus": kind} | ({"evse": {"id": 1}} if evse else {})
        assert (outcome.verdict, outcome.status) == (CallVerdict.ACCEPTED, word)
        if charging:
            await at.event("Ended", 1_500)
        await at.shows("Unavailable" if kind == "Inoperative" else "Available")
        assert await at.shown() == ("Unavailable" if kind == "Inoperative" else "Available")


async def test_tc_g_20_csms_lock_failure(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        event = {"eventId": 1, "timestamp": at.now(), "trigger": "Alerting", "actualValue": "true",
                 "eventNotificationType": "HardWiredMonitor", "component": {"name": "ConnectorPlugRetentionLock"},
                 "variable": {"name": "Problem"}}  # fmt: skip
        assert await at.say("NotifyEvent", generatedAt=at.now(), seqNo=0, eventData=[event]) == {}
        [kept] = await at.log("NotifyEvent")
        assert kept["content"][0]["component"] == {"name": "ConnectorPlugRetentionLock"}


# -- J: meter values ---------------------------------------------------------------------------------------------------


async def test_tc_j_01_csms_clock_aligned_without_a_transaction(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with tool(nursery) as at:
        reading = {"timestamp": at.now(), "sampledValue": [{"value": 7, "context": "Sample.Clock"}]}
        assert await at.say("MeterValues", evseId=1, meterValue=[reading]) == {}
        asked = {"station": None, "kind": None, "state": "open", "cursor": None, "limit": 9}
        assert (await at.house.operator.orphans(**asked)).items == ()


SIGNED = {"signedMeterData": "c2ln", "signingMethod": "", "encodingMethod": "OCMF", "publicKey": ""}


@pytest.mark.parametrize("kind", ["Updated", "Ended"])
@pytest.mark.parametrize(
    "sample",
    [{"context": "Sample.Clock"}, {"context": "Sample.Periodic"}, {"signedMeterValue": SIGNED}],
    ids=["clock-aligned", "sampled", "signed"],
)
async def test_tc_j_02_csms_tc_j_03_csms_tc_j_04_csms_tc_j_09_csms_tc_j_10_csms_tc_j_11_csms_readings_of_a_transaction(
    autojump_clock: MockClock, nursery: trio.Nursery, kind: str, sample: dict[str, Any]
) -> None:
    async with tool(nursery) as at:
        await started(at)
        await at.event(kind, [{"value": 1_750, **sample}], triggerReason="MeterValueClock")
        data = await at.charge()
        assert (data.state, data.charge.energy_wh) == ("TxRunning" if kind == "Updated" else "Settled", 750)


@pytest.mark.parametrize("known", [True, False])
async def test_tc_j_07_csms_tc_j_08_csms_readings_at_the_beginning(
    autojump_clock: MockClock, nursery: trio.Nursery, known: bool
) -> None:
    async with tool(nursery) as at:
        where = {"id": 1, "connectorId": 1}
        begin = [{"value": 1_000, "context": "Transaction.Begin"}]
        await at.event("Started", begin if known else None, idToken=TOKEN, evse=where)
        if not known:
            await at.event("Updated", begin, evse=where)
        await at.event("Ended", 1_600)
        assert (await at.charge()).charge.energy_wh == 600


# -- L: firmware -------------------------------------------------------------------------------------------------------


def update(at: Tool) -> UpdateFirmware:
    paper = certificate("Maker")
    return UpdateFirmware(
        location=FIRMWARE, retrieve_at=at.soon(1), request_id=5, signature="c2ln", signing_certificate=paper
    )


@pytest.mark.parametrize(
    "last",
    [
        *("Installed", "InstallScheduled", "DownloadScheduled", "InvalidSignature", "DownloadFailed"),
        *("InstallVerificationFailed", "InstallationFailed"),
    ],
)
async def test_tc_l_01_csms_tc_l_02_csms_tc_l_03_csms_tc_l_06_csms_tc_l_07_csms_tc_l_08_csms_tc_l_09_csms_firmware(
    autojump_clock: MockClock, nursery: trio.Nursery, last: str
) -> None:
    async with tool(nursery) as at:
        action, asked, outcome = await at.sent(update(at))
        assert (action, asked["requestId"], asked["firmware"]["location"]) == ("UpdateFirmware", 5, FIRMWARE)
        assert outcome.verdict is CallVerdict.ACCEPTED
        for status in ("Downloading", last):
            assert await at.say("FirmwareStatusNotification", status=status, requestId=5) == {}
        assert [entry["status"] for entry in await at.log("FirmwareStatus")] == ["Downloading", last]


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        ("RevokedCertificate", REJECTED),
        ("InvalidCertificate", REJECTED),
        ("AcceptedCanceled", CallVerdict.ACCEPTED),
        ("Rejected", REJECTED),
    ],
)
async def test_tc_l_04_csms_tc_l_05_csms_tc_l_10_csms_tc_l_11_csms_firmware_refused_or_replaced(
    autojump_clock: MockClock, nursery: trio.Nursery, word: str, verdict: CallVerdict
) -> None:
    async with tool(nursery) as at:
        _, _, outcome = await at.sent(update(at), status=word)
        assert (outcome.verdict, outcome.status) == (verdict, word)


# -- M: certificates ---------------------------------------------------------------------------------------------------

HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "1"}


@pytest.mark.parametrize("kind", ["CSMSRootCertificate", "ManufacturerRootCertificate"])
@pytest.mark.parametrize("word", ["Accepted", "Failed"])
async def test_tc_m_01_csms_tc_m_02_csms_tc_m_05_csms_install_certificate(
    autojump_clock: MockClock, nursery: trio.Nursery, kind: str, word: str
) -> None:
    async with tool(nursery) as at:
        paper = certificate("Root")
        command = InstallCertificate(certificate_type=kind, certificate=paper)
        action, asked, outcome = await at.sent(command, status=word)
        assert (action, asked) == ("InstallCertificate", {"certificateType": kind, "certificate": paper})
        assert outcome.status == word


@pytest.mark.parametrize("kinds", [("ManufacturerRootCertificate",), ()], ids=["one", "all"])
@pytest.mark.parametrize("found", [True, False])
async def test_tc_m_13_csms_tc_m_18_csms_tc_m_19_csms_installed_certificates(
    autojump_clock: MockClock, nursery: trio.Nursery, kinds: tuple[str, ...], found: bool
) -> None:
    async with tool(nursery) as at:
        chain = [{"certificateType": "ManufacturerRootCertificate", "certificateHashData": HASH}]
        said = {"status": "Accepted", "certificateHashDataChain": chain} if found else {"status": "NotFound"}
        _, asked, outcome = await at.sent(GetInstalledCertificateIds(certificate_types=kinds), **said)
        assert asked == ({"certificateType": list(kinds)} if kinds else {})
        assert outcome.data == said


@pytest.mark.parametrize("word", ["Accepted", "Failed"])
async def test_tc_m_20_csms_tc_m_21_csms_delete_certificate(
    autojump_clock: MockClock, nursery: trio.Nursery, word: str
) -> None:
    async with tool(nursery) as at:
        named = CertificateHash(algorithm="SHA256", issuer_name_hash="aa", issuer_key_hash="bb", serial_number="1")
        _, asked, outcome = await at.sent(DeleteCertificate(certificate=named), status=word)
        assert (asked, outcome.status) == ({"certificateHashData": HASH}, word)


# -- N: diagnostics ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["DiagnosticsLog", "SecurityLog"])
@pytest.mark.parametrize("word", ["Accepted", "AcceptedCanceled", "Rejected"])
async def test_tc_n_25_csms_tc_n_34_csms_tc_n_35_csms_tc_n_36_csms_get_log(
    autojump_clock: MockClock, nursery: trio.Nursery, kind: str, word: str
) -> None:
    async with tool(nursery) as at:
        command = GetLog(location=LOGS, log_type=kind, request_id=5)
        _, asked, outcome = await at.sent(command, status=word)
        assert (asked["logType"], asked["requestId"], asked["log"]["remoteLocation"]) == (kind, 5, LOGS)
        assert (outcome.verdict is REJECTED) is (word == "Rejected")
        for status in ("Uploading", "Uploaded"):
            assert await at.say("LogStatusNotification", status=status, requestId=5) == {}
        assert [entry["status"] for entry in await at.log("LogStatus")] == ["Uploading", "Uploaded"]


@pytest.mark.parametrize(("report", "clear"), [(True, False), (True, True), (False, True)])
@pytest.mark.parametrize("word", ["Accepted", "Rejected"])
async def test_tc_n_27_csms_tc_n_28_csms_tc_n_29_csms_tc_n_30_csms_tc_n_31_csms_tc_n_32_csms_tc_n_62_csms_customer(
    autojump_clock: MockClock, nursery: trio.Nursery, report: bool, clear: bool, word: str
) -> None:
    async with tool(nursery) as at:
        wish = {"requestId": 5, "report": report, "clear": clear, "customerIdentifier": "anna"}
        command = PlainCommand(action="CustomerInformation", payload=wish)
        action, asked, outcome = await at.sent(command, status=word)
        assert (action, asked, outcome.status) == ("CustomerInformation", wish, word)
        told = {"data": "nothing", "seqNo": 0, "generatedAt": at.now(), "requestId": 5}
        assert await at.say("NotifyCustomerInformation", **told) == {}
        assert [entry["data"] for entry in await at.log("NotifyCustomerInformation")] == ["nothing"]


# -- P: data transfer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"vendorId": "nobody"}, "UnknownVendorId"),
        ({"vendorId": "org.openchargealliance.costmsg", "messageId": "Other"}, "UnknownMessageId"),
        ({"vendorId": "org.openchargealliance.costmsg", "messageId": "ConnectorUnplugged", "data": "x"}, "Rejected"),
    ],
)
async def test_tc_p_02_csms_data_transfer(
    autojump_clock: MockClock, nursery: trio.Nursery, said: dict[str, Any], status: str
) -> None:
    async with tool(nursery) as at:
        assert (await at.say("DataTransfer", **said))["status"] == status
        _, asked, outcome = await at.sent(CentralDataTransfer(vendor_id="nobody", data="7"), status="UnknownVendorId")
        assert (asked, outcome.verdict) == ({"vendorId": "nobody", "data": "7"}, REJECTED)


async def test_tc_p_03_csms_custom_data(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery) as at:
        custom = {"vendorId": "com.example", "mood": "good"}
        assert "currentTime" in await at.say("Heartbeat", customData=custom)
        answer = await started(at, customData=custom)
        assert answer["idTokenInfo"]["status"] == "Accepted" and (await at.charge()).state == "TxRunning"
