"""Cases of the compliancy test tool for a central system of OCPP 1.6, by their ids: what must hold at the end of each.

The charging station is simulated, the central system whole: its listener, its actors, its journal.
"""

from __future__ import annotations

from decimal import Decimal

import pytest
import trio
from trio.testing import MockClock

from statecharts.station_commands import (
    CallVerdict,
    CancelReservation,
    CentralDataTransfer,
    CertificateHash,
    ChangeAvailability,
    ChangeConfiguration,
    ClearCache,
    ClearChargingProfile,
    DeleteCertificate,
    GetCompositeSchedule,
    GetConfiguration,
    GetInstalledCertificateIds,
    GetLocalListVersion,
    GetLog,
    InstallCertificate,
    LocalListEntry,
    RemoteStartTransaction,
    RemoteStopTransaction,
    ReserveNow,
    Reset,
    SendLocalList,
    SetChargingProfile,
    TriggerMessage,
    UnlockConnector,
    UpdateFirmware,
)
from statecharts.station_vocabulary import ChargingPeriod, ChargingProfile, ChargingSchedule, IdTagInfo, IdTagStatus
from tests.conformance.oca_scene import BLOCKED, CARD, EXPIRED, INVALID, LONG_S, scene, until
from tests.conformance.oca_tool import tool
from tests.unit.simulator.papers import certificate

FIRMWARE, LOGS = "https://firmware.example/2.bin", "ftps://logs.example/"


# -- cold boot, sessions -----------------------------------------------------------------------------------------------


async def test_tc_001_csms_cold_boot(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        [answer] = at.answers("BootNotification")
        assert (answer.status, answer.interval_s > 0) == ("Accepted", True)
        assert (await at.registration(), await at.shown(1), await at.shown(2)) == ("Accepted", "Available", "Available")


async def test_tc_003_csms_regular_session_plugin_first(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.station.plug(1)
        await at.station.swipe(1, CARD)
        await trio.sleep(LONG_S)
        assert await at.shown() == "Charging"
        await at.station.swipe(1, CARD)
        await trio.sleep(30)
        _, charge = await at.settled()
        assert (charge.reason, charge.energy_wh(0) > 1_000) == ("Local", True)


async def test_tc_004_1_csms_regular_session_identification_first(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scene(nursery) as at:
        await at.station.swipe(1, CARD)
        await trio.sleep(1)
        assert await at.shown() == "Preparing"
        await trio.sleep(LONG_S)
        await at.station.unplug(1)
        await trio.sleep(30)
        await at.settled()


async def test_tc_004_2_csms_identification_first_connection_timeout(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scene(nursery, behaviour="never_starts") as at:
        await at.station.swipe(1, CARD)
        await trio.sleep(LONG_S)
        assert (await at.shown(), await at.charges()) == ("Available", [])


async def test_tc_005_1_csms_ev_side_disconnected(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.station.swipe(1, CARD)
        await trio.sleep(LONG_S)
        await at.station.unplug(1)
        await trio.sleep(10)
        _, charge = await at.settled()
        assert (charge.reason, await at.shown()) == ("EVDisconnected", "Available")


async def test_tc_007_csms_regular_start_cached_id(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.station.configure("AuthorizationCacheEnabled", "true")
        await at.station.configure("LocalPreAuthorize", "true")
        for _ in range(2):
            await at.station.swipe(1, CARD)
            await trio.sleep(60)
            await at.station.unplug(1)
            await trio.sleep(60)
        assert len(at.answers("AuthorizeIdTag")) == 1
        assert [view.state for view in await at.charges()] == ["Settled", "Settled"]


# -- from afar ---------------------------------------------------------------------------------------------------------


async def test_tc_010_csms_remote_start_cable_plugged_in_first(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scene(nursery) as at:
        await at.station.plug(1)
        await at.start()
        await until(lambda: at.station.state(1) == "Charging")
        await trio.sleep(1)
        assert [view.state for view in await at.charges()] == ["TxRunning"]


async def test_tc_011_1_csms_remote_start_first(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.start()
        await trio.sleep(LONG_S)
        assert ([view.state for view in await at.charges()], await at.shown()) == (["TxRunning"], "Charging")


async def test_tc_011_2_csms_remote_start_time_out(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery, behaviour="never_starts") as at:
        view = await at.start()
        await trio.sleep(LONG_S)
        assert await at.shown() == "Available"
        [ended] = await at.charges()
        assert (ended.transaction_id, ended.state) == (view.transaction_id, "Expired")


async def test_tc_012_csms_remote_stop(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        view = await at.start()
        await trio.sleep(LONG_S)
        await at.house.operator.stop("local", view.transaction_id)
        await trio.sleep(60)
        _, charge = await at.settled()
        assert charge.reason == "Remote"


@pytest.mark.parametrize(("kind", "reason"), [("Hard", "HardReset"), ("Soft", "SoftReset")])
async def test_tc_013_csms_tc_014_csms_reset(
    autojump_clock: MockClock, nursery: trio.Nursery, kind: str, reason: str
) -> None:
    async with scene(nursery) as at:
        await at.station.swipe(1, CARD)
        await trio.sleep(LONG_S)
        assert await at.word(Reset(kind=kind)) == "Accepted"
        await trio.sleep(60)
        _, charge = await at.settled()
        assert (charge.reason, len(at.answers("BootNotification"))) == (reason, 2)


@pytest.mark.parametrize("charging", [False, True])
async def test_tc_017_csms_tc_018_csms_unlock_connector(
    autojump_clock: MockClock, nursery: trio.Nursery, charging: bool
) -> None:
    async with scene(nursery) as at:
        if charging:
            await at.station.swipe(1, CARD)
            await trio.sleep(LONG_S)
        assert await at.word(UnlockConnector(connector_id=1)) == "Unlocked"
        await trio.sleep(60)
        assert [view.state for view in await at.charges()] == (["Settled"] if charging else [])


async def test_tc_019_csms_retrieve_configuration(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        everything = (await at.ask(GetConfiguration())).data["configurationKey"]
        one = (await at.ask(GetConfiguration(keys=("HeartbeatInterval",)))).data["configurationKey"]
        assert one[0] in everything


async def test_tc_021_csms_change_configuration(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        assert await at.word(ChangeConfiguration(key="MeterValueSampleInterval", value="7")) == "Accepted"


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("id_tag", "status"),
    [(INVALID, IdTagStatus.INVALID), (EXPIRED, IdTagStatus.EXPIRED), (BLOCKED, IdTagStatus.BLOCKED)],
)
async def test_tc_023_1_csms_tc_023_2_csms_tc_023_3_csms_authorize_refused(
    autojump_clock: MockClock, nursery: trio.Nursery, id_tag: str, status: IdTagStatus
) -> None:
    async with scene(nursery) as at:
        await at.station.plug(1)
        await at.station.swipe(1, id_tag)
        await trio.sleep(30)
        assert at.answers("AuthorizeIdTag")[0].id_tag_info.status is status
        assert (at.station.state(1), await at.charges()) == ("Plugged", [])


async def test_tc_024_csms_lock_failure(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.station.break_down(1, "ConnectorLockFailure")
        await trio.sleep(1)
        assert (await at.shown(1), await at.shown(2)) == ("Faulted", "Available")


async def test_tc_026_csms_remote_start_rejected(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery, behaviour="rejects") as at:
        await at.start()
        await trio.sleep(LONG_S)
        assert [view.state for view in await at.charges()] == ["Expired"]


async def test_tc_028_csms_remote_stop_rejected(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        assert await at.word(RemoteStopTransaction(transaction_id=4711)) == "Rejected"


async def test_tc_031_csms_unlock_unknown_connector(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        assert await at.word(UnlockConnector(connector_id=9)) == "NotSupported"


# -- power and line ----------------------------------------------------------------------------------------------------


async def test_tc_032_1_csms_power_failure_ends_transactions(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.station.swipe(1, CARD)
        await trio.sleep(LONG_S)
        await at.station.lose_power(300)
        await trio.sleep(LONG_S)
        _, charge = await at.settled()
        assert (charge.reason, at.station.owed, len(at.answers("BootNotification"))) == ("PowerLoss", 0, 2)


async def test_tc_037_1_csms_offline_start_valid_id_tag(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.station.configure("AllowOfflineTxForUnknownId", "true")
        await at.station.lose_connection(120)
        await at.station.swipe(1, CARD)
        await trio.sleep(LONG_S)
        [view], [charge] = await at.charges(), at.station.charges
        assert (view.state, view.start_timestamp) == ("TxRunning", charge.started_at)


async def test_tc_037_3_csms_offline_start_invalid_id_tag(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.station.configure("AllowOfflineTxForUnknownId", "true")
        await at.station.lose_connection(120)
        await at.station.swipe(1, INVALID)
        await trio.sleep(LONG_S)
        _, charge = await at.settled()
        assert (charge.reason, charge.transaction_id is not None) == ("DeAuthorized", True)


async def test_tc_039_csms_offline_transaction(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.station.configure("AllowOfflineTxForUnknownId", "true")
        await at.station.lose_connection(900)
        await at.station.swipe(1, CARD)
        await trio.sleep(LONG_S)
        await at.station.unplug(1)
        await trio.sleep(LONG_S)
        view, charge = await at.settled()
        assert (view.start_timestamp, view.end_timestamp) == (charge.started_at, charge.stopped_at)


# -- settings, lists ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "word"), [("Nonsense", "1", "NotSupported"), ("HeartbeatInterval", "soon", "Rejected")]
)
async def test_tc_040_1_csms_tc_040_2_csms_configuration_refused(
    autojump_clock: MockClock, nursery: trio.Nursery, key: str, value: str, word: str
) -> None:
    async with scene(nursery) as at:
        assert await at.word(ChangeConfiguration(key=key, value=value)) == word


async def test_tc_042_csms_tc_043_csms_local_list(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        assert (await at.ask(GetLocalListVersion())).data == {"listVersion": 0}
        entry = LocalListEntry(id_tag=CARD, id_tag_info=IdTagInfo(status=IdTagStatus.ACCEPTED))
        assert await at.word(SendLocalList(version=1, update="Full", entries=(entry,))) == "Accepted"
        removed = (LocalListEntry(id_tag=CARD),)
        assert await at.word(SendLocalList(version=2, update="Differential", entries=removed)) == "Accepted"
        assert await at.word(SendLocalList(version=2, update="Differential")) == "VersionMismatch"
        assert (await at.ask(GetLocalListVersion())).data == {"listVersion": 2}


# -- firmware, logs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("location", "last"), [(FIRMWARE, "Installed"), ("nowhere", "DownloadFailed")])
async def test_tc_044_1_csms_tc_044_2_csms_firmware_update(
    autojump_clock: MockClock, nursery: trio.Nursery, location: str, last: str
) -> None:
    async with scene(nursery) as at:
        await at.ask(UpdateFirmware(location=location, retrieve_at=at.soon(10)))
        await trio.sleep(LONG_S)
        told = [entry["status"] for entry in await at.log("FirmwareStatus")]
        assert (told[0], told[-1]) == ("Downloading", last)


@pytest.mark.parametrize(("location", "last"), [(LOGS, "Uploaded"), ("nowhere", "UploadFailure")])
async def test_tc_045_1_csms_tc_045_2_csms_diagnostics(
    autojump_clock: MockClock, nursery: trio.Nursery, location: str, last: str
) -> None:
    async with scene(nursery) as at:
        assert (await at.ask(GetLog(location=location))).data["fileName"]
        await trio.sleep(LONG_S)
        assert [entry["status"] for entry in await at.log("LogStatus")] == ["Uploading", last]


# -- reservations ------------------------------------------------------------------------------------------------------


async def test_tc_046_csms_reservation_of_a_connector_is_used(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        kept = ReserveNow(reservation_id=1, connector_id=1, expiry_date=at.soon(900), id_tag=CARD)
        assert await at.word(kept) == "Accepted"
        await trio.sleep(1)
        assert await at.shown() == "Reserved"
        await at.station.swipe(1, CARD)
        await trio.sleep(LONG_S)
        assert [view.state for view in await at.charges()] == ["TxRunning"]


async def test_tc_047_csms_reservation_expires(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.word(ReserveNow(reservation_id=1, connector_id=1, expiry_date=at.soon(60), id_tag=CARD))
        await trio.sleep(90)
        assert await at.shown() == "Available"


@pytest.mark.parametrize("word", ["Faulted", "Occupied", "Unavailable", "Rejected"])
async def test_tc_048_csms_reservation_refused(autojump_clock: MockClock, nursery: trio.Nursery, word: str) -> None:
    async with scene(nursery) as at:
        number = 0 if word == "Rejected" else 1
        if word == "Faulted":
            await at.station.break_down(1, "GroundFailure")
        elif word == "Occupied":
            await at.station.plug(1)
        elif word == "Unavailable":
            await at.word(ChangeAvailability(connector_id=1, kind="Inoperative"))
        await trio.sleep(1)
        order = ReserveNow(reservation_id=1, connector_id=number, expiry_date=at.soon(60), id_tag=CARD)
        assert await at.word(order) == word


async def test_tc_051_csms_tc_052_csms_cancel_reservation(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.word(ReserveNow(reservation_id=1, connector_id=1, expiry_date=at.soon(60), id_tag=CARD))
        assert await at.word(CancelReservation(reservation_id=1)) == "Accepted"
        assert await at.word(CancelReservation(reservation_id=1)) == "Rejected"


# -- triggers, smart charging, data ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what",
    [
        *("BootNotification", "Heartbeat", "MeterValues", "StatusNotification"),
        *("DiagnosticsStatusNotification", "FirmwareStatusNotification"),
    ],
)
async def test_tc_054_csms_trigger_message(autojump_clock: MockClock, nursery: trio.Nursery, what: str) -> None:
    async with scene(nursery) as at:
        before = len(at.station.history)
        assert await at.word(TriggerMessage(what=what)) == "Accepted"
        await trio.sleep(1)
        named = {"DiagnosticsStatusNotification": "LogStatus", "FirmwareStatusNotification": "FirmwareStatus"}
        later = [step.text for step in at.station.history[before:] if step.kind == "answered"]
        assert named.get(what, what) in later


async def test_tc_055_csms_trigger_message_rejected(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        assert await at.word(TriggerMessage(what="MeterValues", connector_id=9)) == "Rejected"


def profile(purpose: str, **more: int) -> ChargingProfile:
    periods = (ChargingPeriod(start_s=0, limit=Decimal(3_600)),)
    schedule = ChargingSchedule(rate_unit="W", periods=periods, duration_s=3_600)
    whole = {"profile_id": 1, "stack_level": 0, "purpose": purpose, "kind": "Relative", **more}
    return ChargingProfile(schedules=(schedule,), **whole)


async def test_tc_056_csms_tc_066_csms_tc_067_csms_default_profile(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    async with scene(nursery) as at:
        assert (
            await at.word(SetChargingProfile(connector_id=1, charging_profile=profile("TxDefaultProfile")))
            == "Accepted"
        )
        schedule = (await at.ask(GetCompositeSchedule(connector_id=1, duration_s=300))).data["chargingSchedule"]
        assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 3_600}]
        assert await at.word(ClearChargingProfile(profile_id=1)) == "Accepted"
        assert await at.word(ClearChargingProfile(profile_id=1)) == "Unknown"


async def test_tc_057_csms_tx_profile(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.station.swipe(1, CARD)
        await trio.sleep(60)
        number = at.station.charges[0].transaction_id
        assert number is not None
        own = SetChargingProfile(connector_id=1, charging_profile=profile("TxProfile", transaction_id=number))
        assert await at.word(own) == "Accepted"
        before = at.station.energy_wh(1)
        await trio.sleep(1_000)
        assert at.station.energy_wh(1) - before == 1_000


async def test_tc_059_csms_remote_start_with_profile(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        await at.station.plug(1)
        order = RemoteStartTransaction(id_tag=CARD, connector_id=1, charging_profile=profile("TxProfile"))
        assert await at.word(order) == "Accepted"
        await trio.sleep(1_000)
        assert at.station.energy_wh(1) == 1_000


async def test_tc_064_csms_data_transfer(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        assert await at.word(CentralDataTransfer(vendor_id="nobody", data="{}")) == "UnknownVendorId"


# -- security ----------------------------------------------------------------------------------------------------------


async def test_tc_075_csms_tc_076_csms_certificates(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        kind = "CSMSRootCertificate"
        installed = InstallCertificate(certificate_type=kind, certificate=certificate("Root"))
        assert await at.word(installed) == "Accepted"
        found = (await at.ask(GetInstalledCertificateIds(certificate_types=(kind,)))).data["certificateHashData"]
        [hashes] = found
        named = CertificateHash(
            algorithm=hashes["hashAlgorithm"],
            issuer_name_hash=hashes["issuerNameHash"],
            issuer_key_hash=hashes["issuerKeyHash"],
            serial_number=hashes["serialNumber"],
        )
        assert await at.word(DeleteCertificate(certificate=named)) == "Accepted"
        assert await at.word(GetInstalledCertificateIds(certificate_types=(kind,))) == "NotFound"


async def test_tc_079_csms_security_log(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with scene(nursery) as at:
        assert await at.word(GetLog(location=LOGS, log_type="SecurityLog", request_id=5)) == "Accepted"
        await trio.sleep(60)
        assert [entry["status"] for entry in await at.log("LogStatus")] == ["Uploading", "Uploaded"]


@pytest.mark.parametrize(("signature", "last"), [("c2ln", "Installed"), ("no base64", "InvalidSignature")])
async def test_tc_080_csms_tc_081_csms_secure_firmware_update(
    autojump_clock: MockClock, nursery: trio.Nursery, signature: str, last: str
) -> None:
    async with scene(nursery) as at:
        order = UpdateFirmware(
            location=FIRMWARE,
            retrieve_at=at.soon(1),
            request_id=5,
            signature=signature,
            signing_certificate=certificate("Maker"),
        )
        assert await at.word(order) == "Accepted"
        await trio.sleep(LONG_S)
        assert (await at.log("FirmwareStatus"))[-1]["status"] == last
        assert len(await at.log("SecurityEvent")) == 1


# -- as the test tool itself answers -----------------------------------------------------------------------------------


async def test_tc_030_csms_unlock_failure(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery, "ocpp1.6") as at:
        action, asked, outcome = await at.sent(UnlockConnector(connector_id=1), status="UnlockFailed")
        assert (action, asked) == ("UnlockConnector", {"connectorId": 1})
        assert (outcome.verdict, outcome.status) == (CallVerdict.REJECTED, "UnlockFailed")


async def test_tc_049_csms_reservation_of_a_whole_station(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with tool(nursery, "ocpp1.6") as at:
        wish = ReserveNow(reservation_id=7, connector_id=0, expiry_date=at.soon(600), id_tag=CARD)
        _, asked, outcome = await at.sent(wish, status="Accepted")
        assert (asked["connectorId"], outcome.verdict) == (0, CallVerdict.ACCEPTED)
        begun = {"connectorId": 2, "idTag": CARD, "meterStart": 0, "timestamp": at.now(), "reservationId": 7}
        answer = await at.say("StartTransaction", **begun)
        assert answer["idTagInfo"]["status"] == "Accepted"


@pytest.mark.parametrize("word", ["Accepted", "Rejected"])
async def test_tc_061_csms_clear_cache(autojump_clock: MockClock, nursery: trio.Nursery, word: str) -> None:
    async with tool(nursery, "ocpp1.6") as at:
        action, asked, outcome = await at.sent(ClearCache(), status=word)
        assert (action, asked, outcome.status) == ("ClearCache", {}, word)


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        ("InvalidChargePointCertificate", "InvalidChargingStationCertificate"),
        ("InvalidCentralSystemCertificate", "InvalidCsmsCertificate"),
    ],
)
async def test_tc_077_csms_tc_078_csms_invalid_certificates(
    autojump_clock: MockClock, nursery: trio.Nursery, kind: str, kept: str
) -> None:
    async with tool(nursery, "ocpp1.6") as at:
        assert await at.say("SecurityEventNotification", type=kind, timestamp=at.now()) == {}
        assert [entry["kind"] for entry in await at.log("SecurityEvent")] == [kept]
