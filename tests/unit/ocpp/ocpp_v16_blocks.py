"""Hypothesis strategies for the messages of OCPP 1.6 outside its core profile, and the words of their answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from ocpp.v16 import enums
from ocpp_v16_values import ID_TAG_INFO, INTEGERS, MOMENTS, one_of, texts

from protocols.ocpp.v16.firmware import DIAGNOSTICS_WORDS, PLAIN_FIRMWARE_WORDS
from statecharts import station_commands as commands
from statecharts import station_reports as reports
from statecharts.feature_profiles import PLAIN_TRIGGERS
from statecharts.station_vocabulary import ChargingPeriod, ChargingProfile, ChargingSchedule
from statecharts.vocabulary import Acknowledgement

# -- smart charging ----------------------------------------------------------------------------------------------------

RATES = st.integers(0, 10**7).map(lambda tenths: Decimal(tenths) / 10)
SCHEDULES = st.builds(
    ChargingSchedule,
    rate_unit=one_of(enums.ChargingRateUnitType),
    periods=st.lists(
        st.builds(ChargingPeriod, start_s=INTEGERS, limit=RATES, phases=st.none() | st.integers(1, 3)), max_size=4
    ).map(tuple),
    duration_s=st.none() | INTEGERS,
    starts_at=st.none() | MOMENTS,
    rate_min=st.none() | RATES,
)


def profiles(purposes: st.SearchStrategy[str], *, transactions: bool = True) -> st.SearchStrategy[ChargingProfile]:
    return st.builds(
        ChargingProfile,
        profile_id=INTEGERS,
        stack_level=INTEGERS,
        purpose=purposes,
        kind=one_of(enums.ChargingProfileKindType),
        schedules=st.tuples(SCHEDULES),
        recurrency=st.none() | one_of(enums.RecurrencyKind),
        valid_from=st.none() | MOMENTS,
        valid_to=st.none() | MOMENTS,
        transaction_id=st.none() | INTEGERS if transactions else st.none(),
    )


TX_PROFILES = profiles(st.just("TxProfile"), transactions=False)
PURPOSES = st.sampled_from(["ChargingStationMaxProfile", "TxDefaultProfile", "TxProfile"])
SET_PROFILE = st.builds(
    commands.SetChargingProfile,
    connector_id=st.just(0),
    charging_profile=profiles(st.sampled_from(["ChargingStationMaxProfile", "TxDefaultProfile"])),
) | st.builds(
    commands.SetChargingProfile,
    connector_id=st.integers(1, 2**31 - 1),
    charging_profile=profiles(st.sampled_from(["TxDefaultProfile", "TxProfile"])),
)

# -- the local list ----------------------------------------------------------------------------------------------------

LISTED = st.builds(commands.LocalListEntry, id_tag=texts(20), id_tag_info=ID_TAG_INFO)
TAKEN_OUT = st.builds(commands.LocalListEntry, id_tag=texts(20))
LISTS = st.builds(
    commands.SendLocalList, version=INTEGERS, update=st.just("Full"), entries=st.lists(LISTED, max_size=4).map(tuple)
) | st.builds(
    commands.SendLocalList,
    version=INTEGERS,
    update=st.just("Differential"),
    entries=st.lists(LISTED | TAKEN_OUT, max_size=4).map(tuple),
)

# -- firmware, logs, certificates --------------------------------------------------------------------------------------

LOCATIONS = texts(512)
TRIES = {"retries": st.none() | INTEGERS, "retry_interval_s": st.none() | INTEGERS}
UPDATE = {"location": LOCATIONS, "retrieve_at": MOMENTS, **TRIES}
LOG = {"location": LOCATIONS, "oldest": st.none() | MOMENTS, "latest": st.none() | MOMENTS, **TRIES}
CERTIFICATE_TYPES = st.sampled_from(["CSMSRootCertificate", "ManufacturerRootCertificate"])
SIGNED_FIRMWARE_WORDS = [word.value for word in enums.FirmwareStatus]
LOG_WORDS = [word.value for word in enums.UploadLogStatus]
ANSWER = st.just(Acknowledgement())

REPORTS: dict[str, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    "FirmwareStatusNotification": (
        st.builds(reports.FirmwareStatus, status=st.sampled_from(sorted(PLAIN_FIRMWARE_WORDS))),
        ANSWER,
    ),
    "SignedFirmwareStatusNotification": (
        st.builds(reports.FirmwareStatus, status=st.sampled_from(SIGNED_FIRMWARE_WORDS), request_id=INTEGERS)
        | st.builds(
            reports.FirmwareStatus, status=st.sampled_from(sorted({*SIGNED_FIRMWARE_WORDS} - PLAIN_FIRMWARE_WORDS))
        ),
        ANSWER,
    ),
    "DiagnosticsStatusNotification": (
        st.builds(reports.LogStatus, status=st.sampled_from(sorted(DIAGNOSTICS_WORDS))),
        ANSWER,
    ),
    "LogStatusNotification": (
        st.builds(reports.LogStatus, status=st.sampled_from(LOG_WORDS), request_id=INTEGERS)
        | st.builds(reports.LogStatus, status=st.sampled_from(sorted({*LOG_WORDS} - DIAGNOSTICS_WORDS))),
        ANSWER,
    ),
    "SecurityEventNotification": (
        st.builds(reports.SecurityEvent, kind=texts(50), timestamp=MOMENTS, tech_info=st.none() | texts(255)),
        ANSWER,
    ),
    "SignCertificate": (
        st.builds(reports.SignCertificate, csr=texts(400)),
        st.builds(reports.StatusAnswer, status=one_of(enums.GenericStatus)),
    ),
}
COMMANDS: dict[str, st.SearchStrategy[Any]] = {
    "ReserveNow": st.builds(
        commands.ReserveNow,
        reservation_id=INTEGERS,
        connector_id=INTEGERS,
        expiry_date=MOMENTS,
        id_tag=texts(20),
        parent_id_tag=st.none() | texts(20),
    ),
    "CancelReservation": st.builds(commands.CancelReservation, reservation_id=INTEGERS),
    "SendLocalList": LISTS,
    "GetLocalListVersion": st.just(commands.GetLocalListVersion()),
    "SetChargingProfile": SET_PROFILE,
    "ClearChargingProfile": st.builds(
        commands.ClearChargingProfile,
        profile_id=st.none() | INTEGERS,
        connector_id=st.none() | INTEGERS,
        purpose=st.none() | PURPOSES,
        stack_level=st.none() | INTEGERS,
    ),
    "GetCompositeSchedule": st.builds(
        commands.GetCompositeSchedule,
        connector_id=INTEGERS,
        duration_s=INTEGERS,
        rate_unit=st.none() | one_of(enums.ChargingRateUnitType),
    ),
    "TriggerMessage": st.builds(
        commands.TriggerMessage, what=st.sampled_from(sorted(PLAIN_TRIGGERS)), connector_id=st.none() | INTEGERS
    ),
    "ExtendedTriggerMessage": st.builds(
        commands.TriggerMessage,
        what=st.sampled_from(["LogStatusNotification", "SignChargingStationCertificate"]),
        connector_id=st.none() | INTEGERS,
    ),
    "UpdateFirmware": st.builds(commands.UpdateFirmware, **UPDATE),
    "SignedUpdateFirmware": st.builds(
        commands.UpdateFirmware,
        **UPDATE,
        request_id=INTEGERS,
        install_at=st.none() | MOMENTS,
        signature=texts(200),
        signing_certificate=texts(400),
    ),
    "GetDiagnostics": st.builds(commands.GetLog, **LOG),
    "GetLog": st.builds(commands.GetLog, **LOG, log_type=one_of(enums.Log), request_id=INTEGERS),
    "InstallCertificate": st.builds(
        commands.InstallCertificate, certificate_type=CERTIFICATE_TYPES, certificate=texts(400)
    ),
    "DeleteCertificate": st.builds(
        commands.DeleteCertificate,
        certificate=st.builds(
            commands.CertificateHash,
            algorithm=one_of(enums.HashAlgorithm),
            issuer_name_hash=texts(128),
            issuer_key_hash=texts(128),
            serial_number=texts(40),
        ),
    ),
    "GetInstalledCertificateIds": st.builds(
        commands.GetInstalledCertificateIds, certificate_types=st.tuples(CERTIFICATE_TYPES)
    ),
    "CertificateSigned": st.builds(commands.CertificateSigned, certificate_chain=texts(400)),
}
STATUS_WORDS: dict[str, Any] = {
    "ReserveNow": enums.ReservationStatus,
    "CancelReservation": enums.CancelReservationStatus,
    "SendLocalList": enums.UpdateStatus,
    "SetChargingProfile": enums.ChargingProfileStatus,
    "ClearChargingProfile": enums.ClearChargingProfileStatus,
    "GetCompositeSchedule": enums.GetCompositeScheduleStatus,
    "TriggerMessage": enums.TriggerMessageStatus,
    "ExtendedTriggerMessage": enums.TriggerMessageStatus,
    "SignedUpdateFirmware": enums.UpdateFirmwareStatus,
    "GetLog": enums.LogStatus,
    "InstallCertificate": enums.CertificateStatus,
    "DeleteCertificate": enums.DeleteCertificateStatus,
    "GetInstalledCertificateIds": enums.GetInstalledCertificateStatus,
    "CertificateSigned": enums.CertificateSignedStatus,
}
FIELDS_ONLY: dict[str, dict[str, Any]] = {
    "GetConfiguration": {
        "configurationKey": [{"key": "HeartbeatInterval", "readonly": False, "value": "300"}],
        "unknownKey": ["x"],
    },
    "GetLocalListVersion": {"listVersion": 7},
    "GetDiagnostics": {"fileName": "log.gz"},
    "UpdateFirmware": {},
}
"""Commands whose answer has no status word, and such an answer."""
