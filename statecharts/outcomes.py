"""How the true outcome of a command shows: by which report or charge of its station, and until when it may be awaited.

Commands that are not listed in `_AWAITED` have no other outcome than the station's answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from statecharts import evse
from statecharts.charging import ChargingDeadlines
from statecharts.station import Station, StationCharge, is_older
from statecharts.station_commands import (
    ChangeAvailability,
    GetBaseReport,
    GetLog,
    PlainCommand,
    RemoteStartTransaction,
    RemoteStopTransaction,
    Reset,
    StationCommand,
    TriggerMessage,
    UpdateFirmware,
)
from statecharts.station_reports import (
    BootNotification,
    ConnectorStatus,
    FirmwareStatus,
    LogStatus,
    Part,
    StationReport,
    StatusNotification,
)
from statecharts.station_vocabulary import IdTagStatus
from statecharts.vocabulary import Value

HOUR_S, DAY_S = 3_600.0, 86_400.0
BOOT_WITHIN_S = 900.0
REPORT_WITHIN_S = 600.0
TRIGGERED_WITHIN_S = 120.0
LOG_WITHIN_S = 6 * HOUR_S
CLOCKS_DIFFER = timedelta(minutes=1)
"""A start is taken for one that was queued before only if its station's clock says so by more than this."""


class Sign(StrEnum):
    """What kind of thing shows an outcome."""

    CHARGE_BEGINS = "charge-begins"
    CHARGE_ENDS = "charge-ends"
    AVAILABILITY = "availability"
    BOOT = "boot"
    FIRMWARE = "firmware"
    LOG = "log"
    PARTS = "parts"
    MESSAGE = "message"


class Awaits(Value, frozen=True, kw_only=True):
    """What is awaited, in words for people, for how long after the station's answer, and how it is recognised."""

    sign: Sign
    what: str
    within_s: float
    since: datetime
    connector_id: int | None = None
    id_tag: str = ""
    number: int | None = None
    request_id: int | None = None
    message: str = ""
    operative: bool = True


class Shown(Value, frozen=True, kw_only=True):
    """What was reported, and whether by it the operation has succeeded, failed or (None) gone on."""

    told: str
    succeeded: bool | None = None
    transaction: str | None = None


# -- what each command waits for ---------------------------------------------------------------------------------------

REPORTED_BY = {
    "GetReport": "NotifyReport",
    "GetMonitoringReport": "NotifyMonitoringReport",
    "CustomerInformation": "NotifyCustomerInformation",
    "GetDisplayMessages": "NotifyDisplayMessages",
    "GetChargingProfiles": "ReportChargingProfiles",
}
"""Of OCPP 2.x: what is asked for by a plain command, and the reports that it comes in."""

TRIGGERED = {
    "BootNotification": "BootNotification",
    "Heartbeat": "Heartbeat",
    "StatusNotification": "StatusNotification",
    "MeterValues": "MeterValues",
    "TransactionEvent": "TransactionEvent",
    "FirmwareStatusNotification": "FirmwareStatus",
    "LogStatusNotification": "LogStatus",
    "DiagnosticsStatusNotification": "LogStatus",
    "SignChargePointCertificate": "SignCertificate",
    "SignChargingStationCertificate": "SignCertificate",
    "SignV2GCertificate": "SignCertificate",
    "SignV2G20Certificate": "SignCertificate",
    "SignCombinedCertificate": "SignCertificate",
}
"""The report that a triggered message is read as."""


def awaited(command: StationCommand, now: datetime, deadlines: ChargingDeadlines) -> Awaits | None:
    """What shows that this command, given `now`, was carried out; None where the answer says so itself."""
    found = _AWAITED.get(type(command))
    return found(command, now, deadlines) if found else None


def _start(command: RemoteStartTransaction, now: datetime, deadlines: ChargingDeadlines) -> Awaits:
    where = f" at connector {command.connector_id}" if command.connector_id else ""
    return Awaits(
        sign=Sign.CHARGE_BEGINS,
        what=f"the cable, and the charge that begins{where}",
        within_s=deadlines.start_s,
        since=now,
        connector_id=command.connector_id,
        id_tag=command.id_tag,
    )


def _stop(command: RemoteStopTransaction, now: datetime, deadlines: ChargingDeadlines) -> Awaits:
    what = f"the end of charge {command.transaction_id}"
    return Awaits(sign=Sign.CHARGE_ENDS, what=what, within_s=deadlines.stop_s, since=now, number=command.transaction_id)


def _availability(command: ChangeAvailability, now: datetime, _: ChargingDeadlines) -> Awaits:
    where = f"connector {command.connector_id}" if command.connector_id else "every connector"
    return Awaits(
        sign=Sign.AVAILABILITY,
        what=f"{where} shows that it is {command.kind.lower()}",
        within_s=DAY_S,
        since=now,
        connector_id=command.connector_id,
        operative=command.kind == "Operative",
    )


def _reset(command: Reset, now: datetime, _: ChargingDeadlines) -> Awaits | None:
    if command.connector_id is not None:
        return None  # OCPP 2.0.1, B11: of a single EVSE there is no boot
    within_s = BOOT_WITHIN_S if command.kind == "Hard" else DAY_S
    return Awaits(sign=Sign.BOOT, what="the station boots", within_s=within_s, since=now)


def _firmware(command: UpdateFirmware, now: datetime, _: ChargingDeadlines) -> Awaits:
    begins_at = max(now, command.retrieve_at, command.install_at or now)
    within_s = (begins_at - now).total_seconds() + DAY_S
    what = "the firmware is installed"
    return Awaits(sign=Sign.FIRMWARE, what=what, within_s=within_s, since=now, request_id=command.request_id)


def _log(command: GetLog, now: datetime, _: ChargingDeadlines) -> Awaits:
    what = "the log is uploaded"
    return Awaits(sign=Sign.LOG, what=what, within_s=LOG_WITHIN_S, since=now, request_id=command.request_id)


def _base_report(command: GetBaseReport, now: datetime, _: ChargingDeadlines) -> Awaits | None:
    return None if command.request_id is None else _parts("NotifyReport", command.request_id, now)


def _plain(command: PlainCommand, now: datetime, _: ChargingDeadlines) -> Awaits | None:
    report, request_id = REPORTED_BY.get(command.action), command.payload.get("requestId")
    return _parts(report, request_id, now) if report and isinstance(request_id, int) else None


def _parts(report: str, request_id: int, now: datetime) -> Awaits:
    what = f"the last {report} of request {request_id}"
    return Awaits(
        sign=Sign.PARTS, what=what, within_s=REPORT_WITHIN_S, since=now, request_id=request_id, message=report
    )


def _trigger(command: TriggerMessage, now: datetime, _: ChargingDeadlines) -> Awaits | None:
    message = TRIGGERED.get(command.what)
    if message is None:
        return None
    what = f"the {command.what} that was asked for"
    connector = command.connector_id or None
    return Awaits(
        sign=Sign.MESSAGE, what=what, within_s=TRIGGERED_WITHIN_S, since=now, message=message, connector_id=connector
    )


_AWAITED: dict[type[Any], Callable[[Any, datetime, ChargingDeadlines], Awaits | None]] = {
    RemoteStartTransaction: _start,
    RemoteStopTransaction: _stop,
    ChangeAvailability: _availability,
    Reset: _reset,
    UpdateFirmware: _firmware,
    GetLog: _log,
    GetBaseReport: _base_report,
    PlainCommand: _plain,
    TriggerMessage: _trigger,
}

# -- what shows it -----------------------------------------------------------------------------------------------------

INSTALLED = "Installed"
INSTALLATION_FAILED = (
    "DownloadFailed",
    "InstallationFailed",
    "InstallVerificationFailed",
    "InvalidSignature",
    "InvalidCertificate",
    "RevokedCertificate",
    "CertificateVerificationFailed",
)
UPLOADED = "Uploaded"
UPLOAD_FAILED = (
    "UploadFailed",
    "UploadFailure",
    "BadMessage",
    "NotSupportedOperation",
    "PermissionDenied",
    "AcceptedCanceled",
)
IDLE = "Idle"
"""What a station says that is asked for a status while nothing goes on."""


def shown_by_report(awaits: Awaits, said: StationReport, station: Station, connectors: tuple[int, ...]) -> Shown | None:
    """What this report says of what is awaited; `station` is as the report has left it. None: nothing."""
    match awaits.sign, said:
        case Sign.AVAILABILITY, StatusNotification():
            return _by_availability(awaits, station, connectors)
        case Sign.BOOT, BootNotification(reason=reason):
            return Shown(told=f"booted: {reason}" if reason else "booted", succeeded=True)
        case Sign.FIRMWARE, FirmwareStatus(status=status) if _of_request(awaits, said.request_id):
            return _by_word(status, INSTALLED, INSTALLATION_FAILED)
        case Sign.LOG, LogStatus(status=status) if _of_request(awaits, said.request_id):
            return _by_word(status, UPLOADED, UPLOAD_FAILED)
        case Sign.PARTS, Part(request_id=request_id) if request_id == awaits.request_id:
            is_of_it = type(said).__name__ == awaits.message
            return Shown(told=f"part {said.seq_no + 1}", succeeded=None if said.more else True) if is_of_it else None
        case Sign.MESSAGE, _ if type(said).__name__ == awaits.message:
            where = getattr(said, "connector_id", None)
            fits = awaits.connector_id is None or where in (None, awaits.connector_id)
            return Shown(told=f"{awaits.message} came", succeeded=True) if fits else None
        case _:
            return None


def shown_by_charge(awaits: Awaits, charge: StationCharge) -> Shown | None:
    """What the state of this charge says of what is awaited: it was judged, or is over."""
    if awaits.sign is Sign.CHARGE_ENDS and charge.number == awaits.number and not charge.open:
        return Shown(told=f"charge {charge.number} has ended", succeeded=True, transaction=charge.transaction)
    if awaits.sign is not Sign.CHARGE_BEGINS or not charge.open or is_older(charge.start, awaits.since - CLOCKS_DIFFER):
        return None
    is_mine = charge.start.id_tag.casefold() == awaits.id_tag.casefold()
    is_here = awaits.connector_id in (None, charge.start.connector_id)
    if is_mine and is_here:
        return _by_start(charge)
    if is_here and awaits.connector_id is not None:
        return Shown(told=f"another charge, {charge.number}, began on this connector", succeeded=False)
    return None


def shown_already(awaits: Awaits, station: Station, connectors: tuple[int, ...]) -> Iterator[Shown]:
    """What shows the outcome in what the station is now: it may have come about while nobody waited for it."""
    if awaits.sign is Sign.AVAILABILITY and (found := _by_availability(awaits, station, connectors)):
        yield found
    booted = station.registration
    if awaits.sign is Sign.BOOT and booted.since is not None and booted.since > awaits.since:
        yield Shown(told="booted", succeeded=True)
    for charge in station.charges.values():
        if found := shown_by_charge(awaits, charge):
            yield found


def _by_start(charge: StationCharge) -> Shown:
    info = charge.id_tag_info
    accepted = info is not None and info.status is IdTagStatus.ACCEPTED
    told = (
        f"started #{charge.number}" if accepted else f"#{charge.number} began, and its idTag is {info and info.status}"
    )
    return Shown(told=told, succeeded=accepted, transaction=charge.transaction)


def _by_availability(awaits: Awaits, station: Station, connectors: tuple[int, ...]) -> Shown | None:
    """Of connector 0, the whole station, the station says so of that, or of each of its connectors."""
    for wanted in ((awaits.connector_id,),) if awaits.connector_id else ((0,), connectors):
        states = {station.evse(connector).state for connector in wanted}
        if all(_is_as_wanted(state, awaits.operative) for state in states):
            return Shown(told=", ".join(sorted(states)), succeeded=True)
    return None


def _is_as_wanted(state: str, operative: bool) -> bool:
    unavailable = state == ConnectorStatus.UNAVAILABLE
    return (state != evse.UNKNOWN and not unavailable) if operative else unavailable


def _of_request(awaits: Awaits, request_id: int | None) -> bool:
    """OCPP 1.6 without the security whitepaper names no request."""
    return awaits.request_id is None or request_id in (None, awaits.request_id)


def _by_word(status: str, good: str, bad: tuple[str, ...]) -> Shown | None:
    if status == IDLE:
        return None
    return Shown(told=status, succeeded=True if status == good else False if status in bad else None)
