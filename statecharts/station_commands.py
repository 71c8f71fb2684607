"""What a station is asked to do, in words that every OCPP version maps to, and what became of it.

Typed is what means something to charts, actors or operators; every other action of a version is a `PlainCommand`. What
a version cannot say is refused by its codec before anything is sent.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from statecharts.station_vocabulary import ChargingProfile, IdTagInfo
from statecharts.vocabulary import Message, Value, Word

# -- charging ----------------------------------------------------------------------------------------------------------


class RemoteStartTransaction(Message, frozen=True, kw_only=True):
    """OCPP 1.6 section 5.11. A profile given with it is a TxProfile without a transaction (errata 3.41)."""

    id_tag: str
    connector_id: int | None = None
    charging_profile: ChargingProfile | None = None


class RemoteStopTransaction(Message, frozen=True, kw_only=True):
    """`transaction_id` is our number; `reference` the station's own for it (OCPP 2.x), which its actor adds."""

    transaction_id: int
    reference: str = ""


class GetTransactionStatus(Message, frozen=True, kw_only=True):
    """OCPP 2.x only: whether a transaction goes on, and whether messages about it, or about any, are still queued."""

    transaction_id: int | None = None
    reference: str = ""


class UnlockConnector(Message, frozen=True, kw_only=True):
    connector_id: int


class ReserveNow(Message, frozen=True, kw_only=True):
    """OCPP 1.6 section 5.13. Connector 0: any that is free. A tag of the group `parent_id_tag` may use it too."""

    reservation_id: int
    connector_id: int
    expiry_date: datetime
    id_tag: str
    parent_id_tag: str | None = None


class CancelReservation(Message, frozen=True, kw_only=True):
    reservation_id: int


# -- smart charging ----------------------------------------------------------------------------------------------------


class SetChargingProfile(Message, frozen=True, kw_only=True):
    """OCPP 1.6 section 5.16. Connector 0: the whole station, or each of its connectors."""

    connector_id: int
    charging_profile: ChargingProfile


class ClearChargingProfile(Message, frozen=True, kw_only=True):
    """OCPP 1.6 section 5.5: clears the profile of this id, or all that the other fields describe; none given, all."""

    profile_id: int | None = None
    connector_id: int | None = None
    purpose: str | None = None
    stack_level: int | None = None


class GetCompositeSchedule(Message, frozen=True, kw_only=True):
    """OCPP 1.6 section 5.7: what the station will allow for the next `duration_s` seconds; `rate_unit` is A or W."""

    connector_id: int
    duration_s: int
    rate_unit: str | None = None


# -- the station itself ------------------------------------------------------------------------------------------------


class Reset(Message, frozen=True, kw_only=True):
    """`kind` is Hard (OCPP 2.x: Immediate) or Soft (OnIdle). Only OCPP 2.x can reset a single EVSE."""

    kind: str
    connector_id: int | None = None


class ChangeAvailability(Message, frozen=True, kw_only=True):
    """`kind` is Operative or Inoperative; connector 0 is the whole station."""

    connector_id: int
    kind: str


class ChangeConfiguration(Message, frozen=True, kw_only=True):
    """`key` is a configuration key of OCPP 1.6; of OCPP 2.x it names a variable (`station_settings`)."""

    key: str
    value: str


class GetConfiguration(Message, frozen=True, kw_only=True):
    """Keys as in `ChangeConfiguration`. No keys asks for all of them, in OCPP 2.x by `GetBaseReport`."""

    keys: tuple[str, ...] = ()


class GetBaseReport(Message, frozen=True, kw_only=True):
    """OCPP 2.x only: all settings, in parts that come as `NotifyReport`s of this `request_id`.

    `base` is FullInventory, ConfigurationInventory (what can be changed) or SummaryInventory (what is wrong).
    """

    request_id: int | None = None
    base: str = "FullInventory"


class TriggerMessage(Message, frozen=True, kw_only=True):
    """Asks for a message: BootNotification, Heartbeat, StatusNotification, MeterValues, TransactionEvent (2.x),
    FirmwareStatusNotification, LogStatusNotification, DiagnosticsStatusNotification (1.6),
    SignChargingStationCertificate and others. OCPP 1.6 section 5.17, security whitepaper: ExtendedTriggerMessage.
    `plug_id` is one plug of an EVSE of OCPP 2.x; without it the statuses of all its plugs are asked for.
    """

    what: str
    connector_id: int | None = None
    plug_id: int | None = None


class CentralDataTransfer(Message, frozen=True, kw_only=True):
    """Whatever a vendor's station understands; `data` is text."""

    vendor_id: str
    message_id: str | None = None
    data: str | None = None


# -- idTags that the station knows -------------------------------------------------------------------------------------


class ClearCache(Message, frozen=True, kw_only=True):
    pass


class LocalListEntry(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An idTag of the local list; without `id_tag_info` a differential update takes it out."""

    id_tag: str
    id_tag_info: IdTagInfo | None = None


class SendLocalList(Message, frozen=True, kw_only=True):
    """OCPP 1.6 section 5.15. `update` is Full or Differential; the station has `version` once it accepted."""

    version: int
    update: str
    entries: tuple[LocalListEntry, ...] = ()


class GetLocalListVersion(Message, frozen=True, kw_only=True):
    """The answer's data names the version; 0 for an empty list, -1 where the station keeps none (1.6 section 5.10)."""


# -- firmware and logs -------------------------------------------------------------------------------------------------


class UpdateFirmware(Message, frozen=True, kw_only=True):
    """Fetches firmware from `location` (a URI) at `retrieve_at` and installs it, at once or at `install_at`.

    OCPP 1.6 section 5.19; with `signature` and `signing_certificate` (PEM) the security whitepaper's
    SignedUpdateFirmware, which needs a `request_id`, as all of OCPP 2.x does: the node chooses one where none is given.
    """

    location: str
    retrieve_at: datetime
    request_id: int | None = None
    install_at: datetime | None = None
    signature: str | None = None
    signing_certificate: str | None = None
    retries: int | None = None
    retry_interval_s: int | None = None


class GetLog(Message, frozen=True, kw_only=True):
    """Uploads a log of that time to `location` (a URI); `log_type` is DiagnosticsLog or SecurityLog.

    Security whitepaper and OCPP 2.x. Without `request_id` and of diagnostics it is OCPP 1.6's own GetDiagnostics
    (section 5.9), which stations without the whitepaper's extension know.
    """

    location: str
    log_type: str = "DiagnosticsLog"
    request_id: int | None = None
    oldest: datetime | None = None
    latest: datetime | None = None
    retries: int | None = None
    retry_interval_s: int | None = None


# -- certificates (security whitepaper, OCPP 2.x) ----------------------------------------------------------------------


class InstallCertificate(Message, frozen=True, kw_only=True):
    """`certificate` is PEM; `certificate_type` is CSMSRootCertificate (1.6: CentralSystemRootCertificate),
    ManufacturerRootCertificate, or of OCPP 2.x V2GRootCertificate, MORootCertificate and others.
    """

    certificate_type: str
    certificate: str


class CertificateHash(Value, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What names a certificate: the hashes of its issuer by `algorithm` (SHA256 ...), and its serial number, as hex."""

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str


class DeleteCertificate(Message, frozen=True, kw_only=True):
    certificate: CertificateHash


class GetInstalledCertificateIds(Message, frozen=True, kw_only=True):
    """Types as in `InstallCertificate`. OCPP 1.6 asks for exactly one; of OCPP 2.x none given asks for all."""

    certificate_types: tuple[str, ...] = ()


class CertificateSigned(Message, frozen=True, kw_only=True):
    """The station's own certificate, signed: PEM, with its issuers after it (answers `SignCertificate`)."""

    certificate_chain: str
    certificate_type: str | None = None
    request_id: int | None = None


# -- everything else ---------------------------------------------------------------------------------------------------


class PlainCommand(Message, frozen=True, kw_only=True):
    """An action that means nothing to us beyond its content: `payload` is JSON, checked by the version's schema."""

    action: str
    payload: dict[str, Any] = msgspec.field(default_factory=dict)


StationCommand = (
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
