"""What OCPP 1.6, its errata and the security whitepaper ask of single messages, beyond a sound round trip."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from importlib import resources
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp import exceptions as ocpp

from protocols.ocpp.v16 import V16
from protocols.ocpp.v201 import V201
from statecharts import station_commands as commands
from statecharts import station_reports as reports
from statecharts.station_commands import CallVerdict, LocalListEntry
from statecharts.station_vocabulary import (
    ChargingPeriod,
    ChargingProfile,
    ChargingSchedule,
    IdTagInfo,
    IdTagStatus,
)
from statecharts.vocabulary import Acknowledgement

REPORTS, COMMANDS = V16.reports, V16.commands
AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
PROFILE = ChargingProfile(
    profile_id=1,
    stack_level=0,
    purpose="TxProfile",
    kind="Absolute",
    schedules=(ChargingSchedule(rate_unit="A", periods=(ChargingPeriod(start_s=0, limit=Decimal("21.4")),)),),
)


def written(command: Any) -> Any:
    return msgspec.json.decode(COMMANDS.write_request(command))


def reported(action: str, payload: dict[str, Any]) -> tuple[Any, list[str]]:
    noticed: list[str] = []
    return REPORTS.read_request(action, msgspec.json.encode(payload), noticed.append), noticed


def profile(**changed: Any) -> ChargingProfile:
    return msgspec.structs.replace(PROFILE, **changed)


def limited_to(rate: str) -> ChargingProfile:
    period = ChargingPeriod(start_s=0, limit=Decimal(rate))
    return profile(schedules=(ChargingSchedule(rate_unit="W", periods=(period,)),))


# -- all of it ---------------------------------------------------------------------------------------------------------


def test_no_action_of_the_published_schemas_is_left_out() -> None:
    files = (resources.files("ocpp") / "v16" / "schemas").iterdir()
    published = {file.name.removesuffix(".json").removesuffix("Response") for file in files}
    assert {*REPORTS.actions, *COMMANDS.actions} == published
    assert len(published) == 39
    assert {*REPORTS.actions} & {*COMMANDS.actions} == {"DataTransfer"}


def test_every_action_of_ocpp_1_6_means_something_to_the_node() -> None:
    assert REPORTS.plain_actions == COMMANDS.plain_actions == frozenset()


# -- which action says it ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "action"),
    [
        (commands.TriggerMessage(what="StatusNotification"), "TriggerMessage"),
        (commands.TriggerMessage(what="DiagnosticsStatusNotification"), "TriggerMessage"),
        (commands.TriggerMessage(what="LogStatusNotification"), "ExtendedTriggerMessage"),
        (commands.TriggerMessage(what="SignChargingStationCertificate"), "ExtendedTriggerMessage"),
        (commands.GetLog(location="u"), "GetDiagnostics"),
        (commands.GetLog(location="u", request_id=1), "GetLog"),
        (commands.UpdateFirmware(location="u", retrieve_at=AT, request_id=1), "UpdateFirmware"),
        (
            commands.UpdateFirmware(location="u", retrieve_at=AT, request_id=1, signature="s", signing_certificate="c"),
            "SignedUpdateFirmware",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_extension_is_used_only_for_what_needs_it(command: Any, action: str) -> None:
    assert COMMANDS.action_of(command) == action
    COMMANDS.write_request(command)


@pytest.mark.parametrize(
    "command",
    [
        commands.TriggerMessage(what="TransactionEvent"),
        commands.GetTransactionStatus(transaction_id=7),
        commands.PlainCommand(action="CostUpdated"),
        commands.Reset(kind="Hard", connector_id=1),
        commands.Reset(kind="OnIdle"),
        commands.GetInstalledCertificateIds(),
        commands.GetInstalledCertificateIds(certificate_types=("CSMSRootCertificate", "ManufacturerRootCertificate")),
        commands.InstallCertificate(certificate_type="V2GRootCertificate", certificate="PEM"),
        commands.GetLog(location="u", log_type="SecurityLog"),
        commands.UpdateFirmware(location="u", retrieve_at=AT, install_at=AT),
        commands.UpdateFirmware(location="u", retrieve_at=AT, signature="s", signing_certificate="c"),
        commands.UpdateFirmware(location="u", retrieve_at=AT, request_id=1, signature="s"),
        commands.SetChargingProfile(connector_id=1, charging_profile=profile(schedules=())),
        commands.SetChargingProfile(connector_id=1, charging_profile=profile(schedules=PROFILE.schedules * 2)),
        commands.SetChargingProfile(connector_id=1, charging_profile=profile(kind="Dynamic")),
    ],
    ids=repr,
)
def test_what_ocpp_1_6_cannot_say_is_refused_before_it_is_sent(command: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        COMMANDS.write_request(command)


# -- words that the versions spell differently -------------------------------------------------------------------------


def test_words_are_those_of_ocpp_1_6_on_the_wire() -> None:
    station_max = commands.SetChargingProfile(
        connector_id=0, charging_profile=profile(purpose="ChargingStationMaxProfile")
    )
    assert written(station_max)["csChargingProfiles"]["chargingProfilePurpose"] == "ChargePointMaxProfile"
    clear = commands.ClearChargingProfile(purpose="ChargingStationMaxProfile")
    assert written(clear) == {"chargingProfilePurpose": "ChargePointMaxProfile"}
    ids = commands.GetInstalledCertificateIds(certificate_types=("CSMSRootCertificate",))
    assert written(ids) == {"certificateType": "CentralSystemRootCertificate"}
    sign = commands.TriggerMessage(what="SignChargingStationCertificate", connector_id=1)
    assert written(sign) == {"requestedMessage": "SignChargePointCertificate", "connectorId": 1}


def test_an_upload_that_failed_is_the_same_word_from_diagnostics_and_logs() -> None:
    failed = reports.LogStatus(status="UploadFailure")
    assert reported("DiagnosticsStatusNotification", {"status": "UploadFailed"}) == (failed, [])
    assert reported("LogStatusNotification", {"status": "UploadFailure"}) == (failed, [])
    assert msgspec.json.decode(REPORTS.write_request(failed)) == {"status": "UploadFailed"}


# -- smart charging ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", ["21.4", "0", "0.1", "32", "22000.3", "6.0", "1E+3"])
def test_a_rate_in_tenths_is_said_as_it_is(rate: str) -> None:
    command = commands.SetChargingProfile(connector_id=1, charging_profile=limited_to(rate))
    text = COMMANDS.write_request(command)
    assert COMMANDS.read_request("SetChargingProfile", text, lambda what: None) == command
    assert b"e" not in text.split(b'"limit":')[1].lower().split(b"}")[0]


@pytest.mark.parametrize("rate", ["21.45", "0.01", "1E-7", "NaN", "Infinity"])
def test_a_rate_between_tenths_is_never_sent(rate: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"multiple of 0\.1"):
        COMMANDS.write_request(commands.SetChargingProfile(connector_id=1, charging_profile=limited_to(rate)))


def test_a_rate_between_tenths_in_an_answer_is_taken() -> None:
    period = {"startPeriod": 0, "limit": 21.45}
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [period]}
    answer = {"status": "Accepted", "connectorId": 1, "chargingSchedule": schedule}
    outcome = COMMANDS.read_answer("GetCompositeSchedule", msgspec.json.encode(answer), lambda what: None)
    assert (outcome.verdict, outcome.data) == (CallVerdict.ACCEPTED, answer)


@pytest.mark.parametrize(("purpose", "connector_id"), [("ChargingStationMaxProfile", 1), ("TxProfile", 0)])
def test_a_profile_is_set_only_where_its_purpose_allows(purpose: str, connector_id: int) -> None:
    command = commands.SetChargingProfile(connector_id=connector_id, charging_profile=profile(purpose=purpose))
    with pytest.raises(msgspec.ValidationError, match=r"3\.13"):
        COMMANDS.write_request(command)


@pytest.mark.parametrize("changed", [{"purpose": "TxDefaultProfile"}, {"transaction_id": 7}])
def test_errata_3_41_a_remote_start_carries_a_tx_profile_without_transaction(changed: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"errata 3\.41"):
        COMMANDS.write_request(commands.RemoteStartTransaction(id_tag="A", charging_profile=profile(**changed)))
    assert "transactionId" not in written(commands.RemoteStartTransaction(id_tag="A", charging_profile=PROFILE))


# -- the local list ----------------------------------------------------------------------------------------------------


def test_a_full_list_says_of_each_tag_what_it_may() -> None:
    nameless = LocalListEntry(id_tag="A")
    with pytest.raises(msgspec.ValidationError, match="Differential"):
        COMMANDS.write_request(commands.SendLocalList(version=1, update="Full", entries=(nameless,)))
    change = commands.SendLocalList(version=2, update="Differential", entries=(nameless,))
    assert written(change)["localAuthorizationList"] == [{"idTag": "A"}]


def test_an_empty_full_list_is_left_out_which_empties_the_stations() -> None:
    assert written(commands.SendLocalList(version=1, update="Full")) == {"listVersion": 1, "updateType": "Full"}


# -- rule 19: the idTag of a stop --------------------------------------------------------------------------------------


@pytest.mark.parametrize("id_tag", ["ANOTHER", None])
def test_a_stop_may_name_another_tag_or_none(id_tag: str | None) -> None:
    payload = {"transactionId": 7, "meterStop": 2500, "timestamp": "2026-05-04T03:02:01Z"}
    report, noticed = reported("StopTransaction", payload | ({"idTag": id_tag} if id_tag else {}))
    assert (report.id_tag, noticed) == (id_tag, [])


# -- rule 29: idTags are any 20 characters -----------------------------------------------------------------------------


@given(id_tag=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=20))
def test_any_id_tag_of_twenty_printable_characters_is_carried_unchanged(id_tag: str) -> None:
    assert reported("Authorize", {"idTag": id_tag})[0].id_tag == id_tag
    assert written(commands.RemoteStartTransaction(id_tag=id_tag)) == {"idTag": id_tag}


@pytest.mark.parametrize(
    "command",
    [
        commands.RemoteStartTransaction(id_tag="x" * 21),
        commands.ReserveNow(reservation_id=1, connector_id=1, expiry_date=AT, id_tag="x" * 21),
        commands.ReserveNow(reservation_id=1, connector_id=1, expiry_date=AT, id_tag="A", parent_id_tag="x" * 21),
        commands.SendLocalList(version=1, update="Differential", entries=(LocalListEntry(id_tag="x" * 21),)),
        commands.ChangeConfiguration(key="x" * 51, value=""),
        commands.ChangeConfiguration(key="x", value="x" * 501),
        commands.CentralDataTransfer(vendor_id="x" * 256),
        commands.GetLog(location="x" * 513, request_id=1),
        commands.InstallCertificate(certificate_type="CSMSRootCertificate", certificate="x" * 5501),
        commands.CertificateSigned(certificate_chain="x" * 10_001),
    ],
    ids=lambda command: type(command).__name__,
)
def test_text_longer_than_its_field_is_never_sent(command: Any) -> None:
    with pytest.raises(msgspec.ValidationError, match="length"):
        COMMANDS.write_request(command)


# -- rule 31: points in time -------------------------------------------------------------------------------------------


def test_times_of_commands_are_said_in_utc_and_those_of_events_read_from_any_zone() -> None:
    event = {"type": "SettingSystemTime", "timestamp": "2026-05-04T05:02:01.25+02:00"}
    moment = AT.replace(microsecond=250_000)
    assert reported("SecurityEventNotification", event)[0].timestamp == moment
    update = commands.UpdateFirmware(location="u", retrieve_at=moment)
    assert written(update)["retrieveDate"] == "2026-05-04T03:02:01.250000Z"


# -- rule 32: tolerance in what we take --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "payload", "report"),
    [
        ("FirmwareStatusNotification", {"status": "Unpacking"}, reports.FirmwareStatus(status="Unpacking")),
        (
            "SignedFirmwareStatusNotification",
            {"status": "Unpacking", "requestId": None},
            reports.FirmwareStatus(status="Unpacking"),
        ),
        ("DiagnosticsStatusNotification", {"status": "Zipping"}, reports.LogStatus(status="Zipping")),
        (
            "LogStatusNotification",
            {"status": "Zipping", "requestId": 7},
            reports.LogStatus(status="Zipping", request_id=7),
        ),
        ("Heartbeat", {"uptime": 7}, reports.Heartbeat()),
        ("SignCertificate", {"csr": "PEM", "acme": True}, reports.SignCertificate(csr="PEM")),
    ],
)
def test_words_fields_and_nulls_that_nobody_knows_are_taken_and_noticed(
    action: str, payload: dict[str, Any], report: Any
) -> None:
    read, noticed = reported(action, payload)
    assert read == report
    assert len(noticed) == 1


def test_a_report_without_what_it_is_about_is_not_taken() -> None:
    with pytest.raises(ocpp.OccurenceConstraintViolationError):
        reported("SecurityEventNotification", {"type": "FirmwareUpdated"})
    with pytest.raises(ocpp.TypeConstraintViolationError):
        reported("LogStatusNotification", {"status": 7})


def test_a_status_of_a_connector_stays_one_of_the_nine() -> None:
    with pytest.raises(ocpp.PropertyConstraintViolationError):
        reported("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Unpacking"})


@pytest.mark.parametrize("interval", ["300", 300.5, True])
def test_j_errata_2_3_the_interval_of_a_boot_answer_is_a_whole_number(interval: Any) -> None:
    answer = {"status": "Accepted", "currentTime": "2026-05-04T03:02:01Z", "interval": interval}
    with pytest.raises(ocpp.TypeConstraintViolationError):
        REPORTS.read_answer("BootNotification", msgspec.json.encode(answer), lambda what: None)


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "status"), [("GetInstalledCertificateIds", "NotFound"), ("TriggerMessage", "NotImplemented")]
)
def test_a_station_that_has_nothing_to_give_says_so_in_its_own_word(action: str, status: str) -> None:
    outcome = COMMANDS.read_answer(action, COMMANDS.write_answer(action, (status, {})), lambda what: None)
    assert (outcome.verdict, outcome.status) == (CallVerdict.REJECTED, status)


def test_a_certificate_request_is_answered_and_every_other_notification_is_acknowledged() -> None:
    assert REPORTS.write_answer("SignCertificate", reports.StatusAnswer(status="Accepted")) == b'{"status":"Accepted"}'
    for action in ("SecurityEventNotification", "LogStatusNotification", "FirmwareStatusNotification"):
        assert REPORTS.write_answer(action, Acknowledgement()) == b"{}"


def test_a_tag_of_a_list_may_belong_to_a_group_and_expire() -> None:
    info = IdTagInfo(status=IdTagStatus.ACCEPTED, parent_id_tag="GROUP", expiry_date=AT)
    order = commands.SendLocalList(version=3, update="Full", entries=(LocalListEntry(id_tag="A", id_tag_info=info),))
    (entry,) = written(order)["localAuthorizationList"]
    assert entry["idTagInfo"] == {"status": "Accepted", "parentIdTag": "GROUP", "expiryDate": "2026-05-04T03:02:01Z"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("InvalidChargingStationCertificate", "InvalidChargePointCertificate"),
        ("InvalidCsmsCertificate", "InvalidCentralSystemCertificate"),
        ("FailedToAuthenticateAtCsms", "FailedToAuthenticateAtCentralSystem"),
        ("CsmsFailedToAuthenticate", "CentralSystemFailedToAuthenticate"),
        ("FirmwareUpdated", "FirmwareUpdated"),
        ("AVendorsOwn", "AVendorsOwn"),
    ],
)
def test_security_events_have_the_words_of_their_version(ours: str, theirs: str) -> None:
    event = reports.SecurityEvent(kind=ours, timestamp=datetime(2026, 3, 1, tzinfo=UTC))
    said = V16.reports.write_request(event)
    assert msgspec.json.decode(said)["type"] == theirs
    assert V16.reports.read_request("SecurityEventNotification", said, pytest.fail) == event
    newer = msgspec.json.decode(V201.reports.write_request(event))
    assert newer["type"] == ours
