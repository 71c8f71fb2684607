"""What a simulated station does beside charging, in every version: what a command leads to, not only its answer."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
import trio
from central_in_memory import EPOCH, ID_TAG, VirtualClock
from hall import on_the_wire, word
from papers import certificate
from trio.testing import MockClock

from statecharts.station_commands import (
    CancelReservation,
    ChangeConfiguration,
    ClearChargingProfile,
    GetCompositeSchedule,
    GetLocalListVersion,
    GetLog,
    LocalListEntry,
    RemoteStartTransaction,
    ReserveNow,
    SendLocalList,
    SetChargingProfile,
    TriggerMessage,
    UpdateFirmware,
)
from statecharts.station_reports import (
    AuthorizeIdTag,
    BootNotification,
    FirmwareStatus,
    IdTagAnswer,
    LogStatus,
    ReservationStatus,
    SecurityEvent,
    StartTransaction,
    TransactionEvent,
)
from statecharts.station_vocabulary import ChargingPeriod, ChargingProfile, ChargingSchedule, IdTagInfo, IdTagStatus

VERSIONS = ["1.6", "2.0.1", "2.1"]
EVERY_VERSION = pytest.mark.parametrize("version", VERSIONS)
CARD, OTHER_CARD = "04A1B2C3", "04D4E5F6"
FIRMWARE = "https://firmware.example/station-2.bin"


def in_a_while(seconds: int) -> datetime:
    return VirtualClock().now() + timedelta(seconds=seconds)


def profile(limit_w: int, **more: Any) -> ChargingProfile:
    schedule = ChargingSchedule(rate_unit="W", periods=(ChargingPeriod(start_s=0, limit=Decimal(limit_w)),))
    whole = {"profile_id": 1, "stack_level": 0, "purpose": "TxDefaultProfile", "kind": "Relative", **more}
    return ChargingProfile(schedules=(schedule,), **whole)


# -- reservations ------------------------------------------------------------------------------------------------------


@EVERY_VERSION
async def test_a_reserved_connector_is_for_its_driver_and_his_transaction_names_the_reservation(
    autojump_clock: MockClock, version: str
) -> None:
    async with on_the_wire(version=version, connectors=2) as (hall, station):
        kept = ReserveNow(reservation_id=9, connector_id=1, expiry_date=in_a_while(600), id_tag=CARD)
        assert await word(hall, kept) == "Accepted"
        assert (
            await word(hall, ReserveNow(reservation_id=10, connector_id=1, expiry_date=EPOCH, id_tag="X")) == "Occupied"
        )
        await station.swipe(1, OTHER_CARD)
        await station.plug(1)
        await trio.sleep(5)
        assert station.state(1) == "Reserved"
        assert await word(hall, RemoteStartTransaction(id_tag=OTHER_CARD, connector_id=1)) == "Rejected"
        await station.swipe(1, CARD.lower())
        await trio.sleep(5)
        assert station.state(1) == "Charging"
        begun = hall.central.reports(StartTransaction) or hall.central.reports(TransactionEvent)
        assert begun[0].reservation_id == 9
        assert hall.central.statuses(1)[:2] == ["Available", "Reserved"]
        assert await word(hall, CancelReservation(reservation_id=9)) == "Rejected"


@EVERY_VERSION
async def test_a_reservation_that_nobody_uses_expires(autojump_clock: MockClock, version: str) -> None:
    async with on_the_wire(version=version) as (hall, station):
        await word(hall, ReserveNow(reservation_id=9, connector_id=1, expiry_date=in_a_while(60), id_tag=CARD))
        await trio.sleep(70)
        assert station.state(1) == "Available"
        assert hall.central.statuses(1) == ["Available", "Reserved", "Available"]
        told = [(report.reservation_id, report.status) for report in hall.central.reports(ReservationStatus)]
        assert told == ([] if version == "1.6" else [(9, "Expired")])


async def test_a_reservation_of_a_group_is_used_by_any_of_its_tags(autojump_clock: MockClock) -> None:
    async with on_the_wire() as (hall, station):
        answers: dict[str, IdTagInfo] = {
            OTHER_CARD: IdTagInfo(status=IdTagStatus.ACCEPTED, parent_id_tag="GROUP"),
            "STRANGER": IdTagInfo(status=IdTagStatus.ACCEPTED, parent_id_tag="OTHERS"),
        }
        hall.central.answers[AuthorizeIdTag] = lambda report: IdTagAnswer(id_tag_info=answers[report.id_tag])
        until = in_a_while(600)
        kept = ReserveNow(reservation_id=9, connector_id=1, expiry_date=until, id_tag=CARD, parent_id_tag="GROUP")
        await word(hall, kept)
        await station.swipe(1, "STRANGER")
        await trio.sleep(5)
        assert station.state(1) == "Reserved"
        await station.swipe(1, OTHER_CARD)
        await trio.sleep(1)
        assert station.state(1) == "AwaitingCable"
        await station.plug(1)
        await trio.sleep(1)
        assert hall.central.reports(StartTransaction)[0].reservation_id == 9


@EVERY_VERSION
async def test_a_reservation_moves_with_its_number_and_is_cancelled(autojump_clock: MockClock, version: str) -> None:
    async with on_the_wire(version=version, connectors=2) as (hall, station):
        for connector in (1, 2):
            await word(
                hall, ReserveNow(reservation_id=9, connector_id=connector, expiry_date=in_a_while(600), id_tag=CARD)
            )
        assert (station.state(1), station.state(2)) == ("Available", "Reserved")
        assert await word(hall, CancelReservation(reservation_id=8)) == "Rejected"
        assert await word(hall, CancelReservation(reservation_id=9)) == "Accepted"
        assert station.state(2) == "Available"


# -- smart charging ----------------------------------------------------------------------------------------------------


@EVERY_VERSION
async def test_a_car_takes_no_more_than_the_charging_profiles_allow(autojump_clock: MockClock, version: str) -> None:
    async with on_the_wire(version=version) as (hall, station):
        await word(hall, RemoteStartTransaction(id_tag=ID_TAG, connector_id=1))
        await trio.sleep(30)
        assert await word(hall, SetChargingProfile(connector_id=1, charging_profile=profile(3_600))) == "Accepted"
        before = station.energy_wh(1)
        await trio.sleep(1_000)
        assert station.energy_wh(1) - before == 1_000
        composite = await hall.connections[0].call(GetCompositeSchedule(connector_id=1, duration_s=600))
        schedule = composite.data.get("chargingSchedule") or composite.data["schedule"]
        assert [(each["startPeriod"], each["limit"]) for each in schedule["chargingSchedulePeriod"]] == [(0, 3_600)]
        assert await word(hall, ClearChargingProfile(profile_id=2)) == "Unknown"
        assert await word(hall, ClearChargingProfile(purpose="TxDefaultProfile")) == "Accepted"
        before = station.energy_wh(1)
        await trio.sleep(3_600)
        assert station.energy_wh(1) - before == 11_000


@EVERY_VERSION
async def test_a_profile_of_a_transaction_needs_one_and_ends_with_it(autojump_clock: MockClock, version: str) -> None:
    async with on_the_wire(version=version) as (hall, station):
        order = SetChargingProfile(connector_id=1, charging_profile=profile(3_600, purpose="TxProfile"))
        assert await word(hall, order) == "Rejected"
        await word(hall, RemoteStartTransaction(id_tag=ID_TAG, connector_id=1))
        await trio.sleep(30)
        named = {"reference": station.charges[0].reference, "transaction_id": station.charges[0].transaction_id}
        own = profile(3_600, purpose="TxProfile", **named)
        assert await word(hall, SetChargingProfile(connector_id=1, charging_profile=own)) == "Accepted"
        await station.unplug(1)
        await trio.sleep(30)
        assert await word(hall, ClearChargingProfile()) == "Unknown"


@pytest.mark.parametrize(
    ("connector", "change"),
    [
        (1, {"stack_level": 10}),
        (1, {"schedules": (ChargingSchedule(rate_unit="W", periods=(ChargingPeriod(start_s=5, limit=Decimal(1)),)),)}),
        (9, {}),
    ],
)
async def test_a_profile_that_makes_no_sense_is_rejected(
    autojump_clock: MockClock, connector: int, change: dict[str, Any]
) -> None:
    async with on_the_wire() as (hall, _):
        order = msgspec.structs.replace(profile(1), **change)
        assert await word(hall, SetChargingProfile(connector_id=connector, charging_profile=order)) == "Rejected"


# -- local list --------------------------------------------------------------------------------------------------------


@EVERY_VERSION
async def test_the_local_list_decides_while_the_station_is_alone(autojump_clock: MockClock, version: str) -> None:
    async with on_the_wire(version=version) as (hall, station):
        accepted, blocked = IdTagInfo(status=IdTagStatus.ACCEPTED), IdTagInfo(status=IdTagStatus.BLOCKED)
        entries = (
            LocalListEntry(id_tag=CARD, id_tag_info=accepted),
            LocalListEntry(id_tag=OTHER_CARD, id_tag_info=blocked),
        )
        assert await word(hall, SendLocalList(version=3, update="Full", entries=entries)) == "Accepted"
        assert await word(hall, SendLocalList(version=3, update="Differential")) == "VersionMismatch"
        version_told = await hall.connections[0].call(GetLocalListVersion())
        assert 3 in version_told.data.values()
        await station.lose_connection(120)
        await station.plug(1)
        await station.swipe(1, OTHER_CARD)
        await trio.sleep(10)
        assert station.state(1) == "Plugged"
        await station.swipe(1, CARD.lower())
        await trio.sleep(10)
        assert station.state(1) == "Charging"


async def test_a_tag_is_taken_out_of_the_list_by_a_difference(autojump_clock: MockClock) -> None:
    async with on_the_wire() as (hall, station):
        entry = LocalListEntry(id_tag=CARD, id_tag_info=IdTagInfo(status=IdTagStatus.ACCEPTED))
        await word(hall, SendLocalList(version=1, update="Full", entries=(entry,)))
        await word(hall, SendLocalList(version=2, update="Differential", entries=(LocalListEntry(id_tag=CARD),)))
        await word(hall, ChangeConfiguration(key="LocalPreAuthorize", value="true"))
        await station.swipe(1, CARD)
        await trio.sleep(5)
        assert hall.central.reports(AuthorizeIdTag) == [AuthorizeIdTag(id_tag=CARD)]


@pytest.mark.parametrize(("known", "asked"), [(True, 0), (False, 1)])
async def test_a_tag_of_the_cache_is_not_asked_for_again(autojump_clock: MockClock, known: bool, asked: int) -> None:
    async with on_the_wire() as (hall, station):
        await station.configure("AuthorizationCacheEnabled", "true")
        await station.configure("LocalPreAuthorize", "true")
        if known:
            await word(hall, RemoteStartTransaction(id_tag=CARD, connector_id=1))
            await trio.sleep(30)
            await station.unplug(1)
        await trio.sleep(30)
        await station.swipe(1, CARD)
        await trio.sleep(5)
        assert len(hall.central.reports(AuthorizeIdTag)) == asked


# -- firmware and logs -------------------------------------------------------------------------------------------------


@EVERY_VERSION
async def test_firmware_goes_its_whole_way_and_the_station_boots_with_it(
    autojump_clock: MockClock, version: str
) -> None:
    async with on_the_wire(version=version) as (hall, _):
        number = None if version == "1.6" else 4
        order = UpdateFirmware(location=FIRMWARE, retrieve_at=in_a_while(60), request_id=number)
        assert await word(hall, order) == ("" if version == "1.6" else "Accepted")
        await trio.sleep(50)
        assert hall.central.reports(FirmwareStatus) == []
        await trio.sleep(120)
        told = [(report.status, report.request_id) for report in hall.central.reports(FirmwareStatus)]
        assert told == [(status, number) for status in ("Downloading", "Downloaded", "Installing", "Installed")]
        assert hall.central.reports(BootNotification)[-1].firmware_version == "station-2.bin"
        assert [event.kind for event in hall.central.reports(SecurityEvent)] == ["FirmwareUpdated"]


@EVERY_VERSION
async def test_firmware_waits_for_a_transaction_to_end(autojump_clock: MockClock, version: str) -> None:
    async with on_the_wire(version=version) as (hall, station):
        await word(hall, RemoteStartTransaction(id_tag=ID_TAG, connector_id=1))
        await trio.sleep(30)
        number = None if version == "1.6" else 4
        await word(hall, UpdateFirmware(location=FIRMWARE, retrieve_at=in_a_while(0), request_id=number))
        await trio.sleep(600)
        assert [report.status for report in hall.central.reports(FirmwareStatus)] == ["Downloading", "Downloaded"]
        await station.unplug(1)
        await trio.sleep(60)
        assert hall.central.reports(FirmwareStatus)[-1].status == "Installed"


@EVERY_VERSION
async def test_firmware_that_is_not_there_is_tried_again_as_often_as_asked(
    autojump_clock: MockClock, version: str
) -> None:
    async with on_the_wire(version=version) as (hall, _):
        number = None if version == "1.6" else 4
        order = UpdateFirmware(
            location="nowhere", retrieve_at=in_a_while(0), request_id=number, retries=2, retry_interval_s=30
        )
        await word(hall, order)
        await trio.sleep(300)
        told = [report.status for report in hall.central.reports(FirmwareStatus)]
        assert told == ["Downloading", "Downloading", "Downloading", "DownloadFailed"]


@EVERY_VERSION
async def test_signed_firmware_is_verified_and_installed_when_it_is_time(
    autojump_clock: MockClock, version: str
) -> None:
    async with on_the_wire(version=version) as (hall, _):
        signed = {"signing_certificate": certificate("Maker"), "signature": "c2lnbmF0dXJl", "request_id": 4}
        later = UpdateFirmware(location=FIRMWARE, retrieve_at=in_a_while(0), install_at=in_a_while(3_600), **signed)
        assert await word(hall, later) == "Accepted"
        await trio.sleep(60)
        told = [report.status for report in hall.central.reports(FirmwareStatus)]
        assert told == ["Downloading", "Downloaded", "SignatureVerified", "InstallScheduled"]
        assert await word(hall, TriggerMessage(what="FirmwareStatusNotification")) == "Accepted"
        await trio.sleep(3_700)
        told = [report.status for report in hall.central.reports(FirmwareStatus)]
        assert told[4:] == ["InstallScheduled", "Installing", "Installed"]


@pytest.mark.parametrize(
    ("signature", "trusted", "answer", "last"),
    [("no base64", True, "Accepted", "InvalidSignature"), ("c2ln", False, "InvalidCertificate", None)],
)
async def test_firmware_signed_wrongly_is_not_installed(
    autojump_clock: MockClock, signature: str, trusted: bool, answer: str, last: str | None
) -> None:
    async with on_the_wire() as (hall, _):
        maker = certificate("Maker") if trusted else "no certificate"
        order = UpdateFirmware(
            location=FIRMWARE, retrieve_at=in_a_while(0), signing_certificate=maker, signature=signature, request_id=4
        )
        assert await word(hall, order) == answer
        await trio.sleep(300)
        told = [report.status for report in hall.central.reports(FirmwareStatus)]
        assert told[-1:] == ([last] if last else [])
        assert len(hall.central.reports(SecurityEvent)) == 1


@EVERY_VERSION
@pytest.mark.parametrize(("location", "last"), [("ftps://logs.example/", "Uploaded"), ("nowhere", "UploadFailure")])
async def test_a_log_is_sent(autojump_clock: MockClock, version: str, location: str, last: str) -> None:
    async with on_the_wire(version=version) as (hall, _):
        outcome = await hall.connections[0].call(GetLog(location=location, request_id=3))
        assert outcome.data["filename"] == "CS01-DiagnosticsLog.log"
        await trio.sleep(60)
        told = [(report.status, report.request_id) for report in hall.central.reports(LogStatus)]
        assert told == [("Uploading", 3), (last, 3)]
        await word(hall, TriggerMessage(what="LogStatusNotification"))
        await trio.sleep(1)
        assert hall.central.reports(LogStatus)[-1] == LogStatus(status="Idle")


async def test_diagnostics_of_1_6_are_answered_by_the_name_of_a_file(autojump_clock: MockClock) -> None:
    async with on_the_wire() as (hall, _):
        outcome = await hall.connections[0].call(GetLog(location="ftps://logs.example/"))
        assert outcome.data == {"fileName": "CS01-DiagnosticsLog.log"}
        await trio.sleep(60)
        assert [report.status for report in hall.central.reports(LogStatus)] == ["Uploading", "Uploaded"]
