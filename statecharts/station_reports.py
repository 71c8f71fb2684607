"""What a station tells its central system, and the answers it gets, in words that every OCPP version maps to.

Typed is what means something to charts, actors or operators; every other action of a version is a `PlainReport`. What
only OCPP 2.x can say is marked so; a codec of another version never makes it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from statecharts.station_vocabulary import IdTagInfo
from statecharts.vocabulary import Acknowledgement, Message, Value, Word

# -- the station itself ------------------------------------------------------------------------------------------------


class BootNotification(Message, frozen=True, kw_only=True):
    """OCPP 1.6 section 4.2. `reason` is OCPP 2.x's: PowerUp, FirmwareUpdate, Triggered and others."""

    vendor: str
    model: str
    serial_number: str | None = None
    firmware_version: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None
    reason: str | None = None


class Heartbeat(Message, frozen=True, kw_only=True):
    pass


class ConnectorStatus(Word):
    """OCPP 1.6 section 7.7, ChargePointStatus."""

    AVAILABLE = "Available"
    PREPARING = "Preparing"
    CHARGING = "Charging"
    SUSPENDED_EVSE = "SuspendedEVSE"
    SUSPENDED_EV = "SuspendedEV"
    FINISHING = "Finishing"
    RESERVED = "Reserved"
    UNAVAILABLE = "Unavailable"
    FAULTED = "Faulted"


class StatusNotification(Message, frozen=True, kw_only=True):
    """`connector_id` 0 speaks of the whole station; in OCPP 2.x it is the EVSE's id, and `plug_id` its connector's.

    `timestamp` is the station's own clock, absent if it gave none.
    """

    connector_id: int
    status: ConnectorStatus
    error_code: str
    timestamp: datetime | None = None
    info: str | None = None
    vendor_id: str | None = None
    vendor_error_code: str | None = None
    plug_id: int | None = None


class FirmwareStatus(Message, frozen=True, kw_only=True):
    """How far an update of firmware is: Downloading, Installed, InstallationFailed, InvalidSignature and others.

    OCPP 1.6 section 4.5 and security whitepaper, SignedFirmwareStatusNotification. `request_id` is that of the
    UpdateFirmware; absent where the version has none, and on a status that was triggered while nothing goes on.
    """

    status: str
    request_id: int | None = None


class LogStatus(Message, frozen=True, kw_only=True):
    """How far the upload of a log is: Uploading, Uploaded, UploadFailure, PermissionDenied and others.

    OCPP 1.6 section 4.4 (DiagnosticsStatusNotification) and security whitepaper (LogStatusNotification).
    """

    status: str
    request_id: int | None = None


class SecurityEvent(Message, frozen=True, kw_only=True):
    """Security whitepaper, SecurityEventNotification. `kind` is a word of its list of events, or a vendor's own.

    Of the words that OCPP versions spell differently it is that of OCPP 2.x: InvalidChargingStationCertificate.
    """

    kind: str
    timestamp: datetime
    tech_info: str | None = None


class SignCertificate(Message, frozen=True, kw_only=True):
    """A request to sign this certificate, `csr` as PEM (RFC 2986); answered by a `StatusAnswer`.

    `certificate_type` is OCPP 2.x's ChargingStationCertificate, V2GCertificate or V2G20Certificate.
    """

    csr: str
    certificate_type: str | None = None
    request_id: int | None = None


class StationDataTransfer(Message, frozen=True, kw_only=True):
    """Whatever a vendor has to say; `data` is text, of OCPP 2.x other than text its JSON."""

    vendor_id: str
    message_id: str | None = None
    data: str | None = None


# -- charging ----------------------------------------------------------------------------------------------------------


class AuthorizeIdTag(Message, frozen=True, kw_only=True):
    id_tag: str


class MeterSample(Value, frozen=True, kw_only=True):
    """One sampled value as the station gave it; OCPP's defaults (Wh, import register, Sample.Periodic) filled in."""

    timestamp: datetime
    value: str
    measurand: str = "Energy.Active.Import.Register"
    unit: str = "Wh"
    context: str = "Sample.Periodic"
    phase: str | None = None
    location: str = "Outlet"
    format: str = "Raw"


class StartTransaction(Message, frozen=True, kw_only=True):
    """OCPP 1.6 section 4.8. `meter_start_wh` is absent where a station of OCPP 2.x has not metered yet.

    One that is `partial` is made of later events of OCPP 2.x: the first one is missing.
    """

    connector_id: int
    id_tag: str
    meter_start_wh: int | None
    timestamp: datetime
    reservation_id: int | None = None
    partial: bool = False


class StopTransaction(Message, frozen=True, kw_only=True):
    """`transaction_id` may be -1: the station never learned the number (OCPP 1.6 errata 3.18).

    `meter_stop_wh` is absent where an end of OCPP 2.x came without a reading.
    """

    transaction_id: int
    meter_stop_wh: int | None
    timestamp: datetime
    reason: str = "Local"
    id_tag: str | None = None
    samples: tuple[MeterSample, ...] = ()


class MeterValues(Message, frozen=True, kw_only=True):
    connector_id: int
    transaction_id: int | None = None
    samples: tuple[MeterSample, ...] = ()


class TransactionEventKind(Word):
    STARTED = "Started"
    UPDATED = "Updated"
    ENDED = "Ended"


class TransactionEvent(Message, frozen=True, kw_only=True):
    """OCPP 2.x only: something in the life of a transaction that the station itself calls `reference`.

    `seq_no` counts its events from 0; `offline` ones were kept while there was no connection. `trigger` is a word of
    TriggerReasonEnumType, `charging_state` of ChargingStateEnumType, `stopped_reason` of ReasonEnumType. `connector_id`
    is the EVSE's id, `plug_id` its connector's; `remote_start_id` that of the RemoteStartTransaction that this answers.
    """

    kind: TransactionEventKind
    reference: str
    seq_no: int
    timestamp: datetime
    trigger: str
    offline: bool = False
    connector_id: int | None = None
    plug_id: int | None = None
    id_tag: str | None = None
    remote_start_id: int | None = None
    charging_state: str | None = None
    stopped_reason: str | None = None
    reservation_id: int | None = None
    samples: tuple[MeterSample, ...] = ()


class ReservationStatus(Message, frozen=True, kw_only=True):
    """OCPP 2.x only: a reservation ended by itself. `status` is Expired, Removed or NoTransaction."""

    reservation_id: int
    status: str


# -- what was asked for, part by part (OCPP 2.x only) ------------------------------------------------------------------


class Part(Message, frozen=True, kw_only=True):
    """A part of what was asked for under `request_id`; `more` parts come, each with the next `seq_no`.

    `content` is the version's own: JSON as its schema has it.
    """

    request_id: int
    seq_no: int = 0
    more: bool = False
    generated_at: datetime | None = None
    content: tuple[dict[str, Any], ...] = ()


class NotifyReport(Part, frozen=True, kw_only=True):
    """Variables of the station's components (GetBaseReport, GetReport)."""


class NotifyMonitoringReport(Part, frozen=True, kw_only=True):
    """The monitors that are set (GetMonitoringReport)."""


class NotifyDisplayMessages(Part, frozen=True, kw_only=True):
    """The messages that the station shows (GetDisplayMessages)."""


class NotifyCustomerInformation(Part, frozen=True, kw_only=True):
    """What the station knows of a customer (CustomerInformation): `data` is a part of one text."""

    data: str


class ReportChargingProfiles(Part, frozen=True, kw_only=True):
    """The charging profiles of one EVSE that `source` (EMS, CSO, ...) has set (GetChargingProfiles)."""

    connector_id: int
    source: str


class NotifyEvent(Message, frozen=True, kw_only=True):
    """OCPP 2.x only: what the station's monitors have noticed; `content` as in `Part`."""

    generated_at: datetime
    seq_no: int
    more: bool = False
    content: tuple[dict[str, Any], ...] = ()


# -- everything else ---------------------------------------------------------------------------------------------------


class PlainReport(Message, frozen=True, kw_only=True):
    """An action that means nothing to us beyond its content: `payload` is JSON, checked by the version's schema.

    Acknowledged, it gets the answer that the dialect declares for its action.
    """

    action: str
    payload: dict[str, Any] = msgspec.field(default_factory=dict)


StationReport = (
    BootNotification
    | Heartbeat
    | StatusNotification
    | FirmwareStatus
    | LogStatus
    | SecurityEvent
    | SignCertificate
    | StationDataTransfer
    | AuthorizeIdTag
    | StartTransaction
    | StopTransaction
    | MeterValues
    | TransactionEvent
    | ReservationStatus
    | NotifyReport
    | NotifyMonitoringReport
    | NotifyDisplayMessages
    | NotifyCustomerInformation
    | ReportChargingProfiles
    | NotifyEvent
    | PlainReport
)


# -- answers -----------------------------------------------------------------------------------------------------------


def said_at(report: StationReport) -> datetime | None:
    """When this was by the station's clock; None where it does not say so, or says that it was long before."""
    match report:
        case TransactionEvent(offline=True):
            return None
        case StatusNotification() | StartTransaction() | StopTransaction() | TransactionEvent():
            return report.timestamp
        case MeterValues(samples=samples) if samples:
            return samples[-1].timestamp
    return None


class RegistrationStatus(Word):
    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


class BootAnswer(Message, frozen=True, kw_only=True):
    status: RegistrationStatus
    current_time: datetime
    interval_s: int


class HeartbeatAnswer(Message, frozen=True, kw_only=True):
    current_time: datetime


class IdTagAnswer(Message, frozen=True, kw_only=True):
    """Answer to Authorize, to a StopTransaction that named an idTag, and to a TransactionEvent."""

    id_tag_info: IdTagInfo | None


class StartAnswer(Message, frozen=True, kw_only=True):
    transaction_id: int
    id_tag_info: IdTagInfo


class DataTransferAnswer(Message, frozen=True, kw_only=True):
    status: str
    data: str | None = None


class StatusAnswer(Message, frozen=True, kw_only=True):
    """Answer to a SignCertificate: Accepted or Rejected."""

    status: str


class PlainAnswer(Message, frozen=True, kw_only=True):
    """Answer to a `PlainReport` that is other than the dialect's own, in full; `payload` is JSON."""

    payload: dict[str, Any] = msgspec.field(default_factory=dict)


ReportAnswer = (
    BootAnswer
    | HeartbeatAnswer
    | IdTagAnswer
    | StartAnswer
    | DataTransferAnswer
    | StatusAnswer
    | PlainAnswer
    | Acknowledgement
)
