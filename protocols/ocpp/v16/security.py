"""OCPP 1.6 security whitepaper (edition 3): security events and certificates."""

from __future__ import annotations

from typing import Any

import msgspec

from protocols.ocpp.dialect import Content, Exchange
from protocols.ocpp.exchanges import command, notification
from protocols.ocpp.fields import given, present, read_time, translation, write_time
from statecharts.station_commands import (
    CertificateHash,
    CertificateSigned,
    DeleteCertificate,
    GetInstalledCertificateIds,
    InstallCertificate,
)
from statecharts.station_reports import SecurityEvent, SignCertificate, StatusAnswer

_type_said, _type_read = translation({"CSMSRootCertificate": "CentralSystemRootCertificate"})

_event_said, _event_read = translation(
    {
        "FailedToAuthenticateAtCsms": "FailedToAuthenticateAtCentralSystem",
        "CsmsFailedToAuthenticate": "CentralSystemFailedToAuthenticate",
        "InvalidCsmsCertificate": "InvalidCentralSystemCertificate",
        "InvalidChargingStationCertificate": "InvalidChargePointCertificate",
    }
)
"""The events of the whitepaper's list that OCPP 2.x calls otherwise (2.0.1 part 2, appendix 1)."""


# -- reports -----------------------------------------------------------------------------------------------------------


def _write_event(event: SecurityEvent) -> Content:
    return present(type=_event_said(event.kind), timestamp=write_time(event.timestamp), techInfo=event.tech_info)


def _read_event(payload: Any) -> SecurityEvent:
    return SecurityEvent(
        kind=_event_read(payload.type), timestamp=read_time(payload.timestamp), tech_info=given(payload.techInfo)
    )


def _write_signing(report: SignCertificate) -> Content:
    return {"csr": report.csr}


def _read_signing(payload: Any) -> SignCertificate:
    return SignCertificate(csr=payload.csr)


def _write_signing_answer(answer: StatusAnswer) -> Content:
    return {"status": answer.status}


def _read_signing_answer(payload: Any) -> StatusAnswer:
    return StatusAnswer(status=payload.status)


REPORTS = (
    notification("SecurityEventNotification", SecurityEvent, _write_event, _read_event),
    Exchange(
        action="SignCertificate",
        request=SignCertificate,
        write_request=_write_signing,
        read_request=_read_signing,
        write_answer=_write_signing_answer,
        read_answer=_read_signing_answer,
    ),
)


# -- commands ----------------------------------------------------------------------------------------------------------


def _write_install(order: InstallCertificate) -> Content:
    return {"certificateType": _type_said(order.certificate_type), "certificate": order.certificate}


def _read_install(payload: Any) -> InstallCertificate:
    return InstallCertificate(certificate_type=_type_read(payload.certificateType), certificate=payload.certificate)


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


def _write_get_ids(order: GetInstalledCertificateIds) -> Content:
    if len(order.certificate_types) != 1:
        raise msgspec.ValidationError("OCPP 1.6 asks for the certificates of exactly one type")
    return {"certificateType": _type_said(order.certificate_types[0])}


def _read_get_ids(payload: Any) -> GetInstalledCertificateIds:
    return GetInstalledCertificateIds(certificate_types=(_type_read(payload.certificateType),))


def _write_signed(order: CertificateSigned) -> Content:
    return {"certificateChain": order.certificate_chain}


def _read_signed(payload: Any) -> CertificateSigned:
    return CertificateSigned(certificate_chain=payload.certificateChain)


COMMANDS = (
    command("InstallCertificate", InstallCertificate, _write_install, _read_install),
    command("DeleteCertificate", DeleteCertificate, _write_delete, _read_delete),
    command("GetInstalledCertificateIds", GetInstalledCertificateIds, _write_get_ids, _read_get_ids),
    command("CertificateSigned", CertificateSigned, _write_signed, _read_signed),
)
