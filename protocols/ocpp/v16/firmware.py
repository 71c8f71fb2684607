"""OCPP 1.6 firmware and diagnostics (sections 4.4, 4.5, 5.9, 5.19), signed and by log as in the security whitepaper."""

from __future__ import annotations

from typing import Any

import msgspec

from protocols.ocpp.dialect import Content
from protocols.ocpp.exchanges import command, notification
from protocols.ocpp.fields import (
    given,
    present,
    read_optional_time,
    read_time,
    translation,
    write_optional_time,
    write_time,
)
from statecharts.station_commands import GetLog, UpdateFirmware
from statecharts.station_reports import FirmwareStatus, LogStatus

_ANY_STATUS = frozenset({"status"})
"""A status word unknown to us is kept as it is: it says more to an operator than none."""

# -- how far it is -----------------------------------------------------------------------------------------------------

PLAIN_FIRMWARE_WORDS = frozenset(
    {"Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed"}
)
DIAGNOSTICS_WORDS = frozenset({"Idle", "Uploaded", "UploadFailure", "Uploading"})

_diagnostics_said, _diagnostics_read = translation({"UploadFailure": "UploadFailed"})


def _is_unsigned_status(report: FirmwareStatus) -> bool:
    return report.request_id is None and report.status in PLAIN_FIRMWARE_WORDS


def _is_diagnostics_status(report: LogStatus) -> bool:
    return report.request_id is None and report.status in DIAGNOSTICS_WORDS


def _write_status(report: FirmwareStatus | LogStatus) -> Content:
    return present(status=report.status, requestId=report.request_id)


def _read_firmware_status(payload: Any) -> FirmwareStatus:
    return FirmwareStatus(status=payload.status)


def _read_signed_status(payload: Any) -> FirmwareStatus:
    return FirmwareStatus(status=payload.status, request_id=given(payload.requestId))


def _read_log_status(payload: Any) -> LogStatus:
    return LogStatus(status=payload.status, request_id=given(payload.requestId))


def _write_diagnostics_status(report: LogStatus) -> Content:
    return {"status": _diagnostics_said(report.status)}


def _read_diagnostics_status(payload: Any) -> LogStatus:
    return LogStatus(status=_diagnostics_read(payload.status))


REPORTS = (
    notification(
        "FirmwareStatusNotification",
        FirmwareStatus,
        _write_status,
        _read_firmware_status,
        says=_is_unsigned_status,
        open_words=_ANY_STATUS,
    ),
    notification(
        "SignedFirmwareStatusNotification", FirmwareStatus, _write_status, _read_signed_status, open_words=_ANY_STATUS
    ),
    notification(
        "DiagnosticsStatusNotification",
        LogStatus,
        _write_diagnostics_status,
        _read_diagnostics_status,
        says=_is_diagnostics_status,
        open_words=_ANY_STATUS,
    ),
    notification("LogStatusNotification", LogStatus, _write_status, _read_log_status, open_words=_ANY_STATUS),
)


# -- firmware ----------------------------------------------------------------------------------------------------------


def _is_unsigned(order: UpdateFirmware) -> bool:
    return order.signature is None and order.signing_certificate is None


def _write_update(order: UpdateFirmware) -> Content:
    """Such an update has no number: its statuses are those of the newest."""
    if order.install_at is not None:
        raise msgspec.ValidationError("OCPP 1.6 installs at once what is not signed: leave out install_at")
    return present(
        location=order.location,
        retrieveDate=write_time(order.retrieve_at),
        retries=order.retries,
        retryInterval=order.retry_interval_s,
    )


def _read_update(payload: Any) -> UpdateFirmware:
    return UpdateFirmware(
        location=payload.location,
        retrieve_at=read_time(payload.retrieveDate),
        retries=given(payload.retries),
        retry_interval_s=given(payload.retryInterval),
    )


def _write_signed_update(order: UpdateFirmware) -> Content:
    firmware = present(
        location=order.location,
        retrieveDateTime=write_time(order.retrieve_at),
        installDateTime=write_optional_time(order.install_at),
        signingCertificate=order.signing_certificate,
        signature=order.signature,
    )
    return present(
        requestId=order.request_id, firmware=firmware, retries=order.retries, retryInterval=order.retry_interval_s
    )


def _read_signed_update(payload: Any) -> UpdateFirmware:
    return UpdateFirmware(
        location=payload.firmware.location,
        retrieve_at=read_time(payload.firmware.retrieveDateTime),
        request_id=payload.requestId,
        install_at=read_optional_time(payload.firmware.installDateTime),
        signature=payload.firmware.signature,
        signing_certificate=payload.firmware.signingCertificate,
        retries=given(payload.retries),
        retry_interval_s=given(payload.retryInterval),
    )


# -- logs --------------------------------------------------------------------------------------------------------------


def _is_diagnostics(order: GetLog) -> bool:
    return order.request_id is None and order.log_type == "DiagnosticsLog"


def _write_diagnostics(order: GetLog) -> Content:
    return present(
        location=order.location,
        startTime=write_optional_time(order.oldest),
        stopTime=write_optional_time(order.latest),
        retries=order.retries,
        retryInterval=order.retry_interval_s,
    )


def _read_diagnostics(payload: Any) -> GetLog:
    return GetLog(
        location=payload.location,
        oldest=read_optional_time(payload.startTime),
        latest=read_optional_time(payload.stopTime),
        retries=given(payload.retries),
        retry_interval_s=given(payload.retryInterval),
    )


def _write_log(order: GetLog) -> Content:
    wanted = present(
        remoteLocation=order.location,
        oldestTimestamp=write_optional_time(order.oldest),
        latestTimestamp=write_optional_time(order.latest),
    )
    return present(
        log=wanted,
        logType=order.log_type,
        requestId=order.request_id,
        retries=order.retries,
        retryInterval=order.retry_interval_s,
    )


def _read_log(payload: Any) -> GetLog:
    return GetLog(
        location=payload.log.remoteLocation,
        log_type=payload.logType,
        request_id=payload.requestId,
        oldest=read_optional_time(payload.log.oldestTimestamp),
        latest=read_optional_time(payload.log.latestTimestamp),
        retries=given(payload.retries),
        retry_interval_s=given(payload.retryInterval),
    )


COMMANDS = (
    command("UpdateFirmware", UpdateFirmware, _write_update, _read_update, says=_is_unsigned),
    command("SignedUpdateFirmware", UpdateFirmware, _write_signed_update, _read_signed_update),
    command("GetDiagnostics", GetLog, _write_diagnostics, _read_diagnostics, says=_is_diagnostics),
    command("GetLog", GetLog, _write_log, _read_log),
)
