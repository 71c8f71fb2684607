"""OCPP 2.x blocks A, L, M, N: firmware, logs and certificates."""

from __future__ import annotations

from typing import Any

from protocols.ocpp.dialect import Content
from protocols.ocpp.exchanges import command
from protocols.ocpp.fields import given, present, read_optional_time, read_time, write_optional_time, write_time
from protocols.ocpp.v2.fields import said
from statecharts.station_commands import (
    CertificateHash,
    CertificateSigned,
    DeleteCertificate,
    GetInstalledCertificateIds,
    GetLog,
    InstallCertificate,
    UpdateFirmware,
)

# -- L: firmware -------------------------------------------------------------------------------------------------------


def _write_update(order: UpdateFirmware) -> Content:
    firmware = present(
        location=order.location,
        retrieveDateTime=write_time(order.retrieve_at),
        installDateTime=write_optional_time(order.install_at),
        signature=order.signature,
        signingCertificate=order.signing_certificate,
    )
    return present(
        requestId=order.request_id,
        retries=order.retries,
        retryInterval=order.retry_interval_s,
        firmware=firmware,
    )


def _read_update(payload: Any) -> UpdateFirmware:
    firmware = payload.firmware
    return UpdateFirmware(
        location=firmware.location,
        retrieve_at=read_time(firmware.retrieveDateTime),
        request_id=payload.requestId,
        install_at=read_optional_time(firmware.installDateTime),
        signature=given(firmware.signature),
        signing_certificate=given(firmware.signingCertificate),
        retries=given(payload.retries),
        retry_interval_s=given(payload.retryInterval),
    )


# -- N: logs -----------------------------------------------------------------------------------------------------------


def _write_log(order: GetLog) -> Content:
    log = present(
        remoteLocation=order.location,
        oldestTimestamp=write_optional_time(order.oldest),
        latestTimestamp=write_optional_time(order.latest),
    )
    return present(
        logType=order.log_type,
        requestId=order.request_id,
        retries=order.retries,
        retryInterval=order.retry_interval_s,
        log=log,
    )


def _read_log(payload: Any) -> GetLog:
    log = payload.log
    return GetLog(
        location=log.remoteLocation,
        log_type=payload.logType,
        request_id=payload.requestId,
        oldest=read_optional_time(log.oldestTimestamp),
        latest=read_optional_time(log.latestTimestamp),
        retries=given(payload.retries),
        retry_interval_s=given(payload.retryInterval),
    )


# -- A, M: certificates ------------------------------------------------------------------------------------------------


def _write_delete(order: DeleteCertificate) -> Content:
    certificate = order.certificate
    return {
        "certificateHashData": {
            "hashAlgorithm": certificate.algorithm,
            "issuerNameHash": certificate.issuer_name_hash,
            "issuerKeyHash": certificate.issuer_key_hash,
            "serialNumber": certificate.serial_number,
        }
    }


def _read_delete(payload: Any) -> DeleteCertificate:
    data = payload.certificateHashData
    return DeleteCertificate(
        certificate=CertificateHash(
            algorithm=data.hashAlgorithm,
            issuer_name_hash=data.issuerNameHash,
            issuer_key_hash=data.issuerKeyHash,
            serial_number=data.serialNumber,
        )
    )


def _write_signed(order: CertificateSigned) -> Content:
    return present(
        certificateChain=order.certificate_chain, certificateType=order.certificate_type, requestId=order.request_id
    )


def _read_signed(payload: Any) -> CertificateSigned:
    return CertificateSigned(
        certificate_chain=payload.certificateChain,
        certificate_type=given(payload.certificateType),
        request_id=said(payload, "requestId"),
    )


COMMANDS = (
    command("UpdateFirmware", UpdateFirmware, _write_update, _read_update),
    command("GetLog", GetLog, _write_log, _read_log),
    command(
        "InstallCertificate",
        InstallCertificate,
        lambda order: {"certificateType": order.certificate_type, "certificate": order.certificate},
        lambda payload: InstallCertificate(certificate_type=payload.certificateType, certificate=payload.certificate),
    ),
    command("DeleteCertificate", DeleteCertificate, _write_delete, _read_delete),
    command(
        "GetInstalledCertificateIds",
        GetInstalledCertificateIds,
        lambda order: present(certificateType=list(order.certificate_types) or None),
        lambda payload: GetInstalledCertificateIds(certificate_types=tuple(given(payload.certificateType) or ())),
    ),
    command("CertificateSigned", CertificateSigned, _write_signed, _read_signed),
)
