"""Hypothesis strategies for what OCPP 2.0.1 and 2.1 can both say, typed, in both directions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import strategies as st

from statecharts import station_commands as commands
from statecharts import station_reports as reports
from statecharts import station_vocabulary as values


def texts(longest: int, shortest: int = 0) -> st.SearchStrategy[str]:
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=shortest, max_size=longest)


INTEGERS = st.integers(0, 2**31 - 1)
EVSES = st.integers(1, 255)
MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
CLOCKS = MOMENTS.map(lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000))
TAGS = texts(36, 1)
INFO = st.builds(
    values.IdTagInfo,
    status=st.sampled_from(values.IdTagStatus),
    expiry_date=st.none() | MOMENTS,
    parent_id_tag=st.none() | TAGS,
)
SAMPLES = st.lists(
    st.builds(
        reports.MeterSample,
        timestamp=MOMENTS,
        value=st.integers(-(2**50), 2**50).map(str) | st.sampled_from(("0.5", "21.4", "-3.25")),
        measurand=st.sampled_from(("Energy.Active.Import.Register", "Voltage", "SoC", "Power.Active.Import")),
        unit=st.sampled_from(("Wh", "kWh", "V", "Percent")),
        context=st.sampled_from(("Sample.Periodic", "Transaction.Begin", "Transaction.End")),
        phase=st.none() | st.sampled_from(("L1", "L1-N")),
        location=st.sampled_from(("Outlet", "EV")),
    ),
    max_size=4,
).map(tuple)
RATES = st.decimals(0, 1000, places=1)
SCHEDULES = st.builds(
    values.ChargingSchedule,
    rate_unit=st.sampled_from("AW"),
    periods=st.lists(
        st.builds(values.ChargingPeriod, start_s=INTEGERS, limit=RATES, phases=st.none() | st.integers(1, 3)),
        min_size=1,
        max_size=3,
    ).map(tuple),
    duration_s=st.none() | INTEGERS,
    starts_at=st.none() | MOMENTS,
    rate_min=st.none() | RATES,
    schedule_id=INTEGERS,
)
PROFILES = st.builds(
    values.ChargingProfile,
    profile_id=INTEGERS,
    stack_level=st.integers(0, 9),
    purpose=st.sampled_from(("ChargingStationMaxProfile", "TxDefaultProfile", "TxProfile")),
    kind=st.sampled_from(("Absolute", "Recurring", "Relative")),
    schedules=st.lists(SCHEDULES, min_size=1, max_size=3).map(tuple),
    recurrency=st.none() | st.sampled_from(("Daily", "Weekly")),
    valid_from=st.none() | MOMENTS,
    valid_to=st.none() | MOMENTS,
    reference=st.just("") | texts(36, 1),
)
COMPONENT: dict[str, Any] = {"component": {"name": "EVSE", "evse": {"id": 1}}, "variable": {"name": "Power"}}
PART: dict[str, Any] = {"request_id": INTEGERS, "more": st.booleans()}
NUMBERED: dict[str, Any] = {**PART, "seq_no": INTEGERS, "generated_at": MOMENTS}


def _plug_of_an_evse(event: reports.TransactionEvent) -> reports.TransactionEvent:
    return event if event.connector_id else msgspec.structs.replace(event, plug_id=None)


_STATUSES = st.sampled_from(("Available", "Preparing", "Reserved", "Unavailable")).map(reports.ConnectorStatus)
REPORTS: dict[str, st.SearchStrategy[Any]] = {
    "BootNotification": st.builds(
        reports.BootNotification,
        vendor=texts(50),
        model=texts(20),
        serial_number=st.none() | texts(25),
        firmware_version=st.none() | texts(50),
        iccid=st.none() | texts(20),
        imsi=st.none() | texts(20),
        reason=st.sampled_from(("PowerUp", "Triggered")),
    ),
    "Heartbeat": st.just(reports.Heartbeat()),
    "StatusNotification": st.builds(
        reports.StatusNotification,
        connector_id=EVSES,
        status=_STATUSES,
        error_code=st.just("NoError"),
        timestamp=MOMENTS,
        plug_id=st.integers(1, 4),
    ),
    "FirmwareStatusNotification": st.builds(
        reports.FirmwareStatus, status=st.just("Installed"), request_id=st.none() | INTEGERS
    ),
    "LogStatusNotification": st.builds(reports.LogStatus, status=st.just("Uploaded"), request_id=st.none() | INTEGERS),
    "SecurityEventNotification": st.builds(
        reports.SecurityEvent, kind=texts(50), timestamp=MOMENTS, tech_info=st.none() | texts(255)
    ),
    "SignCertificate": st.builds(
        reports.SignCertificate, csr=texts(50), certificate_type=st.none() | st.just("V2GCertificate")
    ),
    "DataTransfer": st.builds(
        reports.StationDataTransfer,
        vendor_id=texts(255),
        message_id=st.none() | texts(50),
        data=st.none() | texts(50),
    ),
    "Authorize": st.builds(reports.AuthorizeIdTag, id_tag=TAGS),
    "TransactionEvent": st.builds(
        reports.TransactionEvent,
        kind=st.sampled_from(reports.TransactionEventKind),
        reference=texts(36, 1),
        seq_no=INTEGERS,
        timestamp=MOMENTS,
        trigger=st.sampled_from(("CablePluggedIn", "Authorized", "RemoteStart", "MeterValuePeriodic")),
        offline=st.booleans(),
        connector_id=st.none() | EVSES,
        plug_id=st.none() | st.integers(0, 4),
        id_tag=st.none() | TAGS,
        remote_start_id=st.none() | INTEGERS,
        charging_state=st.none() | st.sampled_from(("Charging", "EVConnected", "Idle")),
        stopped_reason=st.none() | st.sampled_from(("Local", "EVDisconnected", "PowerLoss")),
        reservation_id=st.none() | INTEGERS,
        samples=SAMPLES,
    ).map(_plug_of_an_evse),
    "MeterValues": st.builds(reports.MeterValues, connector_id=st.integers(0, 255), samples=SAMPLES.filter(bool)),
    "ReservationStatusUpdate": st.builds(
        reports.ReservationStatus, reservation_id=INTEGERS, status=st.sampled_from(("Expired", "Removed"))
    ),
    "NotifyReport": st.builds(
        reports.NotifyReport,
        **NUMBERED,
        content=st.just(()) | st.just(({**COMPONENT, "variableAttribute": [{"value": "7", "type": "Actual"}]},)),
    ),
    "NotifyMonitoringReport": st.builds(reports.NotifyMonitoringReport, **NUMBERED),
    "NotifyDisplayMessages": st.builds(reports.NotifyDisplayMessages, **PART),
    "NotifyCustomerInformation": st.builds(reports.NotifyCustomerInformation, **NUMBERED, data=texts(512)),
    "ReportChargingProfiles": st.builds(
        reports.ReportChargingProfiles,
        **PART,
        connector_id=EVSES,
        source=st.just("CSO"),
        content=st.just(
            (
                {
                    "id": 1,
                    "stackLevel": 0,
                    "chargingProfilePurpose": "TxProfile",
                    "chargingProfileKind": "Relative",
                    "chargingSchedule": [
                        {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 6.5}]}
                    ],
                },
            )
        ),
    ),
    "NotifyEvent": st.builds(
        reports.NotifyEvent,
        generated_at=MOMENTS,
        seq_no=INTEGERS,
        more=st.booleans(),
        content=st.just(
            (
                {
                    "eventId": 1,
                    "timestamp": "2026-05-04T03:02:01Z",
                    "trigger": "Alerting",
                    "actualValue": "true",
                    "eventNotificationType": "HardWiredNotification",
                    **COMPONENT,
                },
            )
        ),
    ),
}
"""Every typed report, by its action."""

_ACKNOWLEDGED = st.just(reports.Acknowledgement())
_ID_TAG_ANSWERS = st.builds(reports.IdTagAnswer, id_tag_info=INFO)
ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "BootNotification": st.builds(
        reports.BootAnswer,
        status=st.sampled_from(reports.RegistrationStatus),
        current_time=CLOCKS,
        interval_s=INTEGERS,
    ),
    "Heartbeat": st.builds(reports.HeartbeatAnswer, current_time=CLOCKS),
    "SignCertificate": st.builds(reports.StatusAnswer, status=st.sampled_from(("Accepted", "Rejected"))),
    "DataTransfer": st.builds(
        reports.DataTransferAnswer,
        status=st.sampled_from(("Accepted", "UnknownVendorId")),
        data=st.none() | texts(50),
    ),
    "Authorize": _ID_TAG_ANSWERS,
    "TransactionEvent": _ID_TAG_ANSWERS | st.just(reports.IdTagAnswer(id_tag_info=None)),
}
"""What typed reports are answered, where that is more than nothing."""

_NAMES = st.sampled_from(("OCPPCommCtrlr", "EVSE", "SampledDataCtrlr"))
KEYS = st.builds(
    "{}{}.{}{}".format,
    _NAMES,
    st.sampled_from(("", "@1", ".North@", ".North@2")),
    st.sampled_from(("TxUpdatedInterval", "MessageTimeout")),
    st.sampled_from(("", ".Default")),
)
_RETRIES: dict[str, Any] = {"retries": st.none() | INTEGERS, "retry_interval_s": st.none() | INTEGERS}
COMMANDS: dict[str, st.SearchStrategy[Any]] = {
    "RequestStartTransaction": st.builds(
        commands.RemoteStartTransaction,
        id_tag=TAGS,
        connector_id=st.none() | EVSES,
        charging_profile=st.none() | PROFILES,
    ),
    "RequestStopTransaction": st.builds(
        commands.RemoteStopTransaction, transaction_id=st.just(0), reference=texts(36, 1)
    ),
    "GetTransactionStatus": st.builds(commands.GetTransactionStatus, reference=texts(36)),
    "UnlockConnector": st.builds(commands.UnlockConnector, connector_id=EVSES),
    "TriggerMessage": st.builds(
        commands.TriggerMessage,
        what=st.sampled_from(("BootNotification", "StatusNotification", "TransactionEvent", "MeterValues")),
        connector_id=EVSES,
        plug_id=st.none() | EVSES,
    ),
    "GetBaseReport": st.builds(
        commands.GetBaseReport,
        request_id=INTEGERS,
        base=st.sampled_from(("FullInventory", "ConfigurationInventory", "SummaryInventory")),
    ),
    "Reset": st.builds(commands.Reset, kind=st.sampled_from(("Hard", "Soft")), connector_id=st.none() | EVSES),
    "ChangeAvailability": st.builds(
        commands.ChangeAvailability,
        connector_id=st.integers(0, 255),
        kind=st.sampled_from(("Operative", "Inoperative")),
    ),
    "ReserveNow": st.builds(
        commands.ReserveNow,
        reservation_id=INTEGERS,
        connector_id=st.integers(0, 255),
        expiry_date=MOMENTS,
        id_tag=TAGS,
        parent_id_tag=st.none() | TAGS,
    ),
    "CancelReservation": st.builds(commands.CancelReservation, reservation_id=INTEGERS),
    "ClearCache": st.just(commands.ClearCache()),
    "SendLocalList": st.builds(
        commands.SendLocalList,
        version=INTEGERS,
        update=st.just("Differential"),
        entries=st.lists(st.builds(commands.LocalListEntry, id_tag=TAGS, id_tag_info=st.none() | INFO), max_size=3).map(
            tuple
        ),
    ),
    "GetLocalListVersion": st.just(commands.GetLocalListVersion()),
    "DataTransfer": st.builds(
        commands.CentralDataTransfer,
        vendor_id=texts(255),
        message_id=st.none() | texts(50),
        data=st.none() | texts(50),
    ),
    "SetVariables": st.builds(commands.ChangeConfiguration, key=KEYS, value=texts(1000)),
    "GetVariables": st.builds(commands.GetConfiguration, keys=st.lists(KEYS, min_size=1, max_size=3).map(tuple)),
    "SetChargingProfile": st.builds(
        commands.SetChargingProfile, connector_id=st.integers(0, 255), charging_profile=PROFILES
    ),
    "ClearChargingProfile": st.builds(
        commands.ClearChargingProfile,
        profile_id=st.none() | INTEGERS,
        connector_id=st.none() | st.integers(0, 255),
        purpose=st.none() | st.just("TxDefaultProfile"),
        stack_level=st.none() | st.integers(0, 9),
    ),
    "GetCompositeSchedule": st.builds(
        commands.GetCompositeSchedule,
        connector_id=st.integers(0, 255),
        duration_s=INTEGERS,
        rate_unit=st.none() | st.sampled_from("AW"),
    ),
    "UpdateFirmware": st.builds(
        commands.UpdateFirmware,
        location=texts(512),
        retrieve_at=MOMENTS,
        request_id=INTEGERS,
        install_at=st.none() | MOMENTS,
        signature=st.none() | texts(800),
        signing_certificate=st.none() | texts(50),
        **_RETRIES,
    ),
    "GetLog": st.builds(
        commands.GetLog,
        location=texts(512),
        log_type=st.sampled_from(("DiagnosticsLog", "SecurityLog")),
        request_id=INTEGERS,
        oldest=st.none() | MOMENTS,
        latest=st.none() | MOMENTS,
        **_RETRIES,
    ),
    "InstallCertificate": st.builds(
        commands.InstallCertificate, certificate_type=st.just("CSMSRootCertificate"), certificate=texts(50)
    ),
    "DeleteCertificate": st.builds(
        commands.DeleteCertificate,
        certificate=st.builds(
            commands.CertificateHash,
            algorithm=st.just("SHA256"),
            issuer_name_hash=texts(128),
            issuer_key_hash=texts(128),
            serial_number=texts(40),
        ),
    ),
    "GetInstalledCertificateIds": st.builds(
        commands.GetInstalledCertificateIds,
        certificate_types=st.just(()) | st.just(("CSMSRootCertificate", "V2GRootCertificate")),
    ),
    "CertificateSigned": st.builds(
        commands.CertificateSigned,
        certificate_chain=texts(50),
        certificate_type=st.none() | st.just("ChargingStationCertificate"),
    ),
}
"""Every typed command, by its action."""
