"""What a central system and its stations say to each other, in words that every OCPP version maps to.

Three groups: what a station reports and the answers it gets; what a station is asked to do; what became of that.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from statecharts.vocabulary import Acknowledgement, Message, Value, Word

# -- reported by a station ---------------------------------------------------------------------------------------------


class BootNotification(Message, frozen=True, kw_only=True):
    vendor: str
    model: str
    serial_number: str | None = None
    firmware_version: str | None = None


class Heartbeat(Message, frozen=True, kw_only=True):
    pass


class AuthorizeIdTag(Message, frozen=True, kw_only=True):
    id_tag: str


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
    """`connector_id` 0 speaks of the whole station. `timestamp` is the station's own clock, absent if it gave none."""

    connector_id: int
    status: ConnectorStatus
    error_code: str
    timestamp: datetime | None = None
    info: str | None = None
    vendor_error_code: str | None = None


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
    connector_id: int
    id_tag: str
    meter_start_wh: int
    timestamp: datetime
    reservation_id: int | None = None


class StopTransaction(Message, frozen=True, kw_only=True):
    """`transaction_id` may be -1: the station never learned the number (OCPP 1.6 errata 3.18)."""

    transaction_id: int
    meter_stop_wh: int
    timestamp: datetime
    reason: str = "Local"
    id_tag: str | None = None
    samples: tuple[MeterSample, ...] = ()


class MeterValues(Message, frozen=True, kw_only=True):
    connector_id: int
    transaction_id: int | None = None
    samples: tuple[MeterSample, ...] = ()


class StationDataTransfer(Message, frozen=True, kw_only=True):
    vendor_id: str
    message_id: str | None = None
    data: str | None = None


StationReport = (
    BootNotification
    | Heartbeat
    | AuthorizeIdTag
    | StatusNotification
    | StartTransaction
    | StopTransaction
    | MeterValues
    | StationDataTransfer
)


class RegistrationStatus(Word):
    ACCEPTED = "Accepted"
    PENDING = "Pending"
    REJECTED = "Rejected"


class IdTagStatus(Word):
    """OCPP 1.6 section 7.2, AuthorizationStatus."""

    ACCEPTED = "Accepted"
    BLOCKED = "Blocked"
    EXPIRED = "Expired"
    INVALID = "Invalid"
    CONCURRENT_TX = "ConcurrentTx"


class IdTagInfo(Value, frozen=True, kw_only=True):
    status: IdTagStatus
    expiry_date: datetime | None = None
    parent_id_tag: str | None = None


class BootAnswer(Message, frozen=True, kw_only=True):
    status: RegistrationStatus
    current_time: datetime
    interval_s: int


class HeartbeatAnswer(Message, frozen=True, kw_only=True):
    current_time: datetime


class IdTagAnswer(Message, frozen=True, kw_only=True):
    """Answer to Authorize, and to a StopTransaction that named an idTag."""

    id_tag_info: IdTagInfo | None


class StartAnswer(Message, frozen=True, kw_only=True):
    transaction_id: int
    id_tag_info: IdTagInfo


class DataTransferAnswer(Message, frozen=True, kw_only=True):
    status: str
    data: str | None = None


ReportAnswer = BootAnswer | HeartbeatAnswer | IdTagAnswer | StartAnswer | DataTransferAnswer | Acknowledgement


# -- asked of a station ------------------------------------------------------------------------------------------------


class RemoteStartTransaction(Message, frozen=True, kw_only=True):
    id_tag: str
    connector_id: int | None = None


class RemoteStopTransaction(Message, frozen=True, kw_only=True):
    transaction_id: int


class Reset(Message, frozen=True, kw_only=True):
    """`kind` is Hard or Soft."""

    kind: str


class UnlockConnector(Message, frozen=True, kw_only=True):
    connector_id: int


class ChangeAvailability(Message, frozen=True, kw_only=True):
    """`kind` is Operative or Inoperative; connector 0 is the whole station."""

    connector_id: int
    kind: str


class ChangeConfiguration(Message, frozen=True, kw_only=True):
    key: str
    value: str


class GetConfiguration(Message, frozen=True, kw_only=True):
    """No keys asks for all of them."""

    keys: tuple[str, ...] = ()


class ClearCache(Message, frozen=True, kw_only=True):
    pass


class CentralDataTransfer(Message, frozen=True, kw_only=True):
    vendor_id: str
    message_id: str | None = None
    data: str | None = None


StationCommand = (
    RemoteStartTransaction
    | RemoteStopTransaction
    | Reset
    | UnlockConnector
    | ChangeAvailability
    | ChangeConfiguration
    | GetConfiguration
    | ClearCache
    | CentralDataTransfer
)


class CallVerdict(Word):
    """What became of a command sent to a station."""

    ACCEPTED = "Accepted"
    REJECTED = "Rejected"
    ERROR = "Error"
    NEVER_SENT = "NeverSent"
    UNKNOWN = "Unknown"


class CallOutcome(Message, frozen=True, kw_only=True):
    """What became of a command sent to a station.

    ACCEPTED and REJECTED are the station's own words, as its `status` (Scheduled, Unlocked, RebootRequired count as
    accepted); ERROR is a CALLERROR; NEVER_SENT means that no byte of it left, so it has certainly not happened; UNKNOWN
    means sent and not answered: nobody knows whether it happened. `data` is the whole answer for an operator to read.
    """

    verdict: CallVerdict
    status: str = ""
    cause: str = ""
    data: dict[str, Any] = msgspec.field(default_factory=dict)
