"""The certificates of a simulated station, in every version."""

from __future__ import annotations

import pytest
import trio
from cryptography import x509
from hall import on_the_wire, word
from papers import certificate
from trio.testing import MockClock

from statecharts.station_commands import (
    CertificateHash,
    CertificateSigned,
    DeleteCertificate,
    GetInstalledCertificateIds,
    InstallCertificate,
    TriggerMessage,
)
from statecharts.station_reports import (
    SecurityEvent,
    SignCertificate,
)

EVERY_VERSION = pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])


@EVERY_VERSION
async def test_certificates_are_installed_listed_and_deleted(autojump_clock: MockClock, version: str) -> None:
    async with on_the_wire(version=version) as (hall, _):
        kind = "CSMSRootCertificate"
        wanted = GetInstalledCertificateIds(certificate_types=(kind,))
        assert await word(hall, wanted) == "NotFound"
        assert await word(hall, InstallCertificate(certificate_type=kind, certificate="nonsense")) == "Rejected"
        root = InstallCertificate(certificate_type=kind, certificate=certificate("Root"))
        assert await word(hall, root) == "Accepted"
        data = (await hall.connections[0].call(wanted)).data
        [entry] = data.get("certificateHashData") or [
            each["certificateHashData"] for each in data["certificateHashDataChain"]
        ]
        assert entry["serialNumber"] == "beef"
        named = CertificateHash(
            algorithm=entry["hashAlgorithm"],
            issuer_name_hash=entry["issuerNameHash"],
            issuer_key_hash=entry["issuerKeyHash"],
            serial_number=entry["serialNumber"],
        )
        assert await word(hall, DeleteCertificate(certificate=named)) == "Accepted"
        assert await word(hall, DeleteCertificate(certificate=named)) == "NotFound"


@EVERY_VERSION
async def test_a_station_takes_the_certificate_that_was_signed_for_its_own_key(
    autojump_clock: MockClock, version: str
) -> None:
    async with on_the_wire(version=version) as (hall, _):
        assert await word(hall, CertificateSigned(certificate_chain=certificate("Too early"))) == "Rejected"
        assert await word(hall, TriggerMessage(what="SignChargingStationCertificate")) == "Accepted"
        await trio.sleep(1)
        [asked] = hall.central.reports(SignCertificate)
        request = x509.load_pem_x509_csr(asked.csr.encode())
        assert request.is_signature_valid
        assert "CN=CS01" in request.subject.rfc4514_string()
        assert await word(hall, CertificateSigned(certificate_chain=certificate("Of another"))) == "Rejected"
        own = certificate("CA", request.public_key(), request.subject)
        assert await word(hall, CertificateSigned(certificate_chain=own)) == "Accepted"
        kinds = [event.kind for event in hall.central.reports(SecurityEvent)]
        assert kinds == ["InvalidChargingStationCertificate"] * 2
