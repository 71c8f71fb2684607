"""Certificates for tests of simulated stations, each signed by a key made for it."""

from __future__ import annotations

from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID


def certificate(name: str, key: CertificatePublicKeyTypes | None = None, subject: x509.Name | None = None) -> str:
    """A certificate as PEM that `name` has signed: his own, or one for this key and subject."""
    own = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().issuer_name(issuer).subject_name(subject or issuer).serial_number(0xBEEF)
    builder = builder.public_key(key or own.public_key()).not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
    signed = builder.not_valid_after(datetime(2036, 1, 1, tzinfo=UTC)).sign(own, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM).decode()
