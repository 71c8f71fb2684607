"""OCPP 2.x blocks A, B, G, L, N, P: what a station says of itself, and the parts of what it was asked for."""

from __future__ import annotations

from typing import Any

import msgspec

from protocols.ocpp.dialect import Content, Exchange
from protocols.ocpp.exchanges import notification
from protocols.ocpp.fields import (
    given,
    present,
    read_time,
    write_clock,
    write_optional_time,
    write_time,
)
from protocols.ocpp.mending import CLOCK_NEVER_SET, Leniency
from protocols.ocpp.v2.fields import said
from statecharts.station_reports import (
    BootAnswer,
    BootNotification,
    ConnectorStatus,
    DataTransferAnswer,
    FirmwareStatus,
    Heartbeat,
    HeartbeatAnswer,
    LogStatus,
    RegistrationStatus,
    SecurityEvent,
    SignCertificate,
    StationDataTransfer,
    StatusAnswer,
    StatusNotification,
)

_ANY_STATUS = frozenset({"status"})

# -- B: BootNotification, Heartbeat ------------------------------------------------------------------------------------


def _write_boot(boot: BootNotification) -> Content:
    modem = present(iccid=boot.iccid, imsi=boot.imsi)
    station = present(
        vendorName=boot.vendor,
        model=boot.model,
        serialNumber=boot.serial_number,
        firmwareVersion=boot.firmware_version,
        modem=modem or None,
    )
    return {"chargingStation": station, "reason": boot.reason or "PowerUp"}


def _read_boot(payload: Any) -> BootNotification:
    station = payload.chargingStation
    modem = given(station.modem)
    return BootNotification(
        vendor=station.vendorName,
        model=station.model,
        serial_number=given(station.serialNumber),
        firmware_version=given(station.firmwareVersion),
        iccid=said(modem, "iccid"),
        imsi=said(modem, "imsi"),
        reason=payload.reason,
    )


def _write_boot_answer(answer: BootAnswer) -> Content:
    return {
        "status": answer.status.value,
        "currentTime": write_clock(answer.current_time),
        "interval": answer.interval_s,
    }


def _read_boot_answer(payload: Any) -> BootAnswer:
    return BootAnswer(
        status=RegistrationStatus(payload.status),
        current_time=read_time(payload.currentTime),
        interval_s=payload.interval,
    )


# -- G: StatusNotification ---------------------------------------------------------------------------------------------

_OCCUPIED = "Occupied"
_STATUSES = {
    "Available": ConnectorStatus.AVAILABLE,
    _OCCUPIED: ConnectorStatus.PREPARING,
    "Reserved": ConnectorStatus.RESERVED,
    "Unavailable": ConnectorStatus.UNAVAILABLE,
    "Faulted": ConnectorStatus.FAULTED,
}
_STATUS_WORDS = {status: word for word, status in _STATUSES.items()}


def _write_status(report: StatusNotification) -> Content:
    return present(
        timestamp=write_optional_time(report.timestamp),
        connectorStatus=_STATUS_WORDS.get(report.status, _OCCUPIED),
        evseId=report.connector_id,
        connectorId=report.plug_id or 0,
    )


def _read_status(payload: Any) -> StatusNotification:
    status = _STATUSES[payload.connectorStatus]
    return StatusNotification(
        connector_id=payload.evseId,
        status=status,
        error_code="OtherError" if status is ConnectorStatus.FAULTED else "NoError",
        timestamp=read_time(payload.timestamp),
        plug_id=payload.connectorId,
    )


_MENDED_STATUS = Leniency(
    {"timestamp": CLOCK_NEVER_SET, "connectorId": 0},
    # the words of OCPP 1.6
    dict.fromkeys(("preparing", "charging", "suspendedev", "suspendedevse", "finishing"), _OCCUPIED),
)
_MENDED_BOOT = Leniency({"reason": "", "chargingStation": {}, "vendorName": "", "model": ""})


# -- A, L, N: security, firmware, logs ---------------------------------------------------------------------------------


def _write_progress(report: FirmwareStatus | LogStatus) -> Content:
    return present(status=report.status, requestId=report.request_id)


def _write_security_event(report: SecurityEvent) -> Content:
    return present(type=report.kind, timestamp=write_time(report.timestamp), techInfo=report.tech_info)


def _read_security_event(payload: Any) -> SecurityEvent:
    return SecurityEvent(kind=payload.type, timestamp=read_time(payload.timestamp), tech_info=given(payload.techInfo))


def _write_sign(report: SignCertificate) -> Content:
    return present(csr=report.csr, certificateType=report.certificate_type, requestId=report.request_id)


def _read_sign(payload: Any) -> SignCertificate:
    return SignCertificate(
        csr=payload.csr, certificate_type=given(payload.certificateType), request_id=said(payload, "requestId")
    )


# -- P: DataTransfer ---------------------------------------------------------------------------------------------------


def read_data(data: Any) -> str | None:
    """A vendor's data as text: what is no text, as its JSON."""
    content = given(data)
    return content if content is None or isinstance(content, str) else msgspec.json.encode(content).decode()


def _write_transfer(report: StationDataTransfer) -> Content:
    return present(vendorId=report.vendor_id, messageId=report.message_id, data=report.data)


def _read_transfer(payload: Any) -> StationDataTransfer:
    data = read_data(payload.data)
    return StationDataTransfer(vendor_id=payload.vendorId, message_id=given(payload.messageId), data=data)


def _write_transfer_answer(answer: DataTransferAnswer) -> Content:
    return present(status=answer.status, data=answer.data)


def _read_transfer_answer(payload: Any) -> DataTransferAnswer:
    return DataTransferAnswer(status=payload.status, data=read_data(payload.data))


REPORTS = (
    Exchange(
        action="BootNotification",
        request=BootNotification,
        write_request=_write_boot,
        read_request=_read_boot,
        write_answer=_write_boot_answer,
        read_answer=_read_boot_answer,
        open_words=frozenset({"reason"}),
        mended=_MENDED_BOOT,
    ),
    Exchange(
        action="Heartbeat",
        request=Heartbeat,
        write_request=lambda report: {},
        read_request=lambda payload: Heartbeat(),
        write_answer=lambda answer: {"currentTime": write_clock(answer.current_time)},
        read_answer=lambda payload: HeartbeatAnswer(current_time=read_time(payload.currentTime)),
    ),
    notification("StatusNotification", StatusNotification, _write_status, _read_status, mended=_MENDED_STATUS),
    notification(
        "FirmwareStatusNotification",
        FirmwareStatus,
        _write_progress,
        lambda payload: FirmwareStatus(status=payload.status, request_id=given(payload.requestId)),
        open_words=_ANY_STATUS,
    ),
    notification(
        "LogStatusNotification",
        LogStatus,
        _write_progress,
        lambda payload: LogStatus(status=payload.status, request_id=given(payload.requestId)),
        open_words=_ANY_STATUS,
    ),
    notification("SecurityEventNotification", SecurityEvent, _write_security_event, _read_security_event),
    Exchange(
        action="SignCertificate",
        request=SignCertificate,
        write_request=_write_sign,
        read_request=_read_sign,
        write_answer=lambda answer: {"status": answer.status},
        read_answer=lambda payload: StatusAnswer(status=payload.status),
    ),
    Exchange(
        action="DataTransfer",
        request=StationDataTransfer,
        write_request=_write_transfer,
        read_request=_read_transfer,
        write_answer=_write_transfer_answer,
        read_answer=_read_transfer_answer,
    ),
)
