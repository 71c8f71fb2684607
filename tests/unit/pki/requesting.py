"""Requests for certificates as stations make them, and authorities on a clock that stands still."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from protocols.pki.authority import BuiltInAuthority, make_root

NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
SHA256 = hashes.SHA256()
OIDS = {"cn": NameOID.COMMON_NAME, "o": NameOID.ORGANIZATION_NAME}


class StandingClock:
    def __init__(self, now: datetime = NOW) -> None:
        self.at = now

    def now(self) -> datetime:
        return self.at


def request(key: Any, *names: tuple[str, str], algorithm: Any = SHA256) -> str:
    """A request signed with this key, for a subject of these ("cn", "CS01") in their order."""
    subject = x509.Name([x509.NameAttribute(OIDS[what], name) for what, name in names])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, algorithm)
    return csr.public_bytes(Encoding.PEM).decode()


def station_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def authority(
    clock: StandingClock | None = None, *, root_days: int = 7_300, organization: str | None = None
) -> BuiltInAuthority:
    clock = clock or StandingClock()
    root, key = make_root("Stations of Motown", "Motown", root_days, clock, os.urandom)
    signing: Any = load_pem_private_key(key.encode(), None)
    return BuiltInAuthority(root, signing, organization=organization, days=365, clock=clock, fresh_bytes=os.urandom)
