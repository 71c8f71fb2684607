"""Commands to a station as operators write them: `{"command": "Reset", "kind": "Soft"}`.

The same commands as in `statecharts.station_commands`, with the limits of OCPP 1.6 section 6 and of the security
whitepaper, so that a wrong field is named here and never reaches a station. What a version says otherwise, or cannot
say at all, its codec knows.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from statecharts import station_commands
from statecharts.station_commands import CertificateHash, LocalListEntry, StationCommand
from statecharts.station_vocabulary import ChargingProfile

IdTag = Annotated[str, Meta(min_length=1, max_length=20, pattern=r"\A[\x20-\x7e]+\Z")]
Key = Annotated[str, Meta(min_length=1, max_length=220)]
"""OCPP 1.6 has keys of up to 50 characters; of OCPP 2.x it is made of up to four names of 50."""

ConnectorId = Annotated[int, Meta(ge=1, le=2**31 - 1)]
ConnectorOrStation = Annotated[int, Meta(ge=0, le=2**31 - 1)]
TransactionId = Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Location = Annotated[str, Meta(min_length=1, max_length=512)]
Pem = Annotated[str, Meta(min_length=1, max_length=5500)]
Moment = Annotated[datetime, Meta(tz=True)]
Purpose = Literal["ChargingStationMaxProfile", "TxDefaultProfile", "TxProfile"]
CertificateType = Annotated[str, Meta(min_length=1, max_length=50)]


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", forbid_unknown_fields=True):
    """Base of the commands; the class name is the command's. `forced` sends what the station says it cannot do."""

    forced: bool = False

    def for_station(self) -> StationCommand:
        """The same command in the words that every OCPP version maps to."""
        words: Any = getattr(station_commands, type(self).__name__)
        fields = {name: value for name, value in msgspec.structs.asdict(self).items() if name != "forced"}
        command: StationCommand = words(**fields)
        return command


# -- charging ----------------------------------------------------------------------------------------------------------


class RemoteStartTransaction(Command, frozen=True, tag=True):
    id_tag: IdTag
    connector_id: ConnectorId | None = None
    charging_profile: ChargingProfile | None = None


class RemoteStopTransaction(Command, frozen=True, tag=True):
    transaction_id: TransactionId


class GetTransactionStatus(Command, frozen=True, tag=True):
    transaction_id: TransactionId | None = None


class UnlockConnector(Command, frozen=True, tag=True):
    connector_id: ConnectorId


class ReserveNow(Command, frozen=True, tag=True):
    reservation_id: Number
    connector_id: ConnectorOrStation
    expiry_date: Moment
    id_tag: IdTag
    parent_id_tag: IdTag | None = None


class CancelReservation(Command, frozen=True, tag=True):
    reservation_id: Number


# -- smart charging ----------------------------------------------------------------------------------------------------


class SetChargingProfile(Command, frozen=True, tag=True):
    connector_id: ConnectorOrStation
    charging_profile: ChargingProfile


class ClearChargingProfile(Command, frozen=True, tag=True):
    profile_id: Number | None = None
    connector_id: ConnectorOrStation | None = None
    purpose: Purpose | None = None
    stack_level: Number | None = None


class GetCompositeSchedule(Command, frozen=True, tag=True):
    connector_id: ConnectorOrStation
    duration_s: Number
    rate_unit: Literal["A", "W"] | None = None


# -- the station itself ------------------------------------------------------------------------------------------------


class Reset(Command, frozen=True, tag=True):
    kind: Literal["Hard", "Soft"]
    connector_id: ConnectorId | None = None


class ChangeAvailability(Command, frozen=True, tag=True):
    connector_id: ConnectorOrStation
    kind: Literal["Operative", "Inoperative"]


class ChangeConfiguration(Command, frozen=True, tag=True):
    key: Key
    value: Annotated[str, Meta(max_length=1000)]


class GetConfiguration(Command, frozen=True, tag=True):
    keys: Annotated[tuple[Key, ...], Meta(max_length=100)] = ()


class GetBaseReport(Command, frozen=True, tag=True):
    request_id: Number | None = None
    base: Literal["FullInventory", "ConfigurationInventory", "SummaryInventory"] = "FullInventory"


class TriggerMessage(Command, frozen=True, tag=True):
    what: Annotated[str, Meta(min_length=1, max_length=50)]
    connector_id: ConnectorOrStation | None = None
    plug_id: ConnectorId | None = None


class CentralDataTransfer(Command, frozen=True, tag=True):
    vendor_id: Annotated[str, Meta(min_length=1, max_length=255)]
    message_id: Annotated[str, Meta(max_length=50)] | None = None
    data: str | None = None


# -- idTags that the station knows -------------------------------------------------------------------------------------


class ClearCache(Command, frozen=True, tag=True):
    pass


class SendLocalList(Command, frozen=True, tag=True):
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    update: Literal["Full", "Differential"]
    entries: tuple[LocalListEntry, ...] = ()


class GetLocalListVersion(Command, frozen=True, tag=True):
    pass


# -- firmware, logs, certificates --------------------------------------------------------------------------------------


class UpdateFirmware(Command, frozen=True, tag=True):
    location: Location
    retrieve_at: Moment
    request_id: Number | None = None
    install_at: Moment | None = None
    signature: Annotated[str, Meta(max_length=800)] | None = None
    signing_certificate: Pem | None = None
    retries: Number | None = None
    retry_interval_s: Number | None = None


class GetLog(Command, frozen=True, tag=True):
    location: Location
    log_type: Literal["DiagnosticsLog", "SecurityLog"] = "DiagnosticsLog"
    request_id: Number | None = None
    oldest: Moment | None = None
    latest: Moment | None = None
    retries: Number | None = None
    retry_interval_s: Number | None = None


class InstallCertificate(Command, frozen=True, tag=True):
    certificate_type: CertificateType
    certificate: Pem


class DeleteCertificate(Command, frozen=True, tag=True):
    certificate: CertificateHash


class GetInstalledCertificateIds(Command, frozen=True, tag=True):
    certificate_types: tuple[CertificateType, ...] = ()


class CertificateSigned(Command, frozen=True, tag=True):
    certificate_chain: Annotated[str, Meta(min_length=1, max_length=10_000)]
    certificate_type: CertificateType | None = None
    request_id: Number | None = None


# -- everything else ---------------------------------------------------------------------------------------------------


class PlainCommand(Command, frozen=True, tag=True):
    action: Annotated[str, Meta(min_length=1, max_length=50)]
    payload: dict[str, Any] = {}


ANY_COMMAND: Any = (
    RemoteStartTransaction
    | RemoteStopTransaction
    | GetTransactionStatus
    | UnlockConnector
    | ReserveNow
    | CancelReservation
    | SetChargingProfile
    | ClearChargingProfile
    | GetCompositeSchedule
    | Reset
    | ChangeAvailability
    | ChangeConfiguration
    | GetConfiguration
    | GetBaseReport
    | TriggerMessage
    | CentralDataTransfer
    | ClearCache
    | SendLocalList
    | GetLocalListVersion
    | UpdateFirmware
    | GetLog
    | InstallCertificate
    | DeleteCertificate
    | GetInstalledCertificateIds
    | CertificateSigned
    | PlainCommand
)
