"""Keys, requests for certificates, and what names a certificate (OCSP's hashes, RFC 6960 section 4.1.1)."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

from statecharts.station_commands import CertificateHash


class Request(NamedTuple):
    """A request for a certificate as PEM, and the public key that it is for, as DER."""

    pem: str
    public_key: bytes


def new_request(identity: str, organisation: str) -> Request:
    """A key of its own and the request to sign it (security whitepaper A00.FR.403: CN is the station's serial)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation), x509.NameAttribute(NameOID.COMMON_NAME, identity)]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return Request(request.public_bytes(serialization.Encoding.PEM).decode(), _public(key.public_key()))


def _public(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _key_bits(key: CertificatePublicKeyTypes) -> bytes:
    """The key alone, without what says of which kind it is: what RFC 6960 hashes."""
    if isinstance(key, rsa.RSAPublicKey):
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def is_certificate(pem: str) -> bool:
    """Whether this is a certificate, or a chain of them."""
    return _read(pem) is not None


def is_for(pem: str, public_key: bytes) -> bool:
    """Whether the first certificate of this chain is for that key."""
    certificate = _read(pem)
    return certificate is not None and _public(certificate.public_key()) == public_key


def hash_of(pem: str) -> CertificateHash | None:
    """What names a root certificate, which is its own issuer; None for what is no certificate."""
    certificate = _read(pem)
    if certificate is None:
        return None
    issuer = certificate.issuer.public_bytes()
    return CertificateHash(
        algorithm="SHA256",
        issuer_name_hash=hashlib.sha256(issuer).hexdigest(),
        issuer_key_hash=hashlib.sha256(_key_bits(certificate.public_key())).hexdigest(),
        serial_number=f"{certificate.serial_number:x}",
    )


def _read(pem: str) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificates(pem.encode())[0]
    except ValueError:
        return None
