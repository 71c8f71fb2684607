"""The authority that is built in: one key of ours signs the certificates of stations, and of our own listeners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from protocols.pki.requests import checked_request
from statecharts.ports import Clock
from statecharts.vocabulary import refused

SigningKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

BACKDATED = timedelta(hours=1)
"""Clocks of stations are often slow: a certificate that is not yet valid would keep its station out."""

SERVER_KEY_BITS = 2048
"""RSA, as only such a key serves all of the whitepaper's cipher suites; longer ones are too much for old stations."""

_SERIAL_BYTES = 19  # RFC 5280, 4.1.2.2: at most 20, and positive


class BuiltInAuthority:
    """Signs with a key of ours; a `statecharts.ports.CertificateAuthority`.

    `root` is our certificate as PEM. What is signed is valid for `days` from now on, and never longer than we are.
    """

    def __init__(
        self,
        root: str,
        key: SigningKey,
        *,
        organization: str | None,
        days: int,
        clock: Clock,
        fresh_bytes: Callable[[int], bytes],
    ) -> None:
        self.root = root
        self._certificate, self._key = x509.load_pem_x509_certificate(root.encode()), key
        self._organization, self._days = organization, days
        self._clock, self._fresh_bytes = clock, fresh_bytes

    def __repr__(self) -> str:
        return f"<BuiltInAuthority {self._certificate.subject.rfc4514_string()}>"

    def check(self, csr: str, common_name: str) -> None:
        checked_request(csr, common_name, self._organization)

    async def sign(self, csr: str, common_name: str) -> str:
        request = checked_request(csr, common_name, self._organization)
        await trio.lowlevel.checkpoint()
        key = request.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey), "no other key is let through"
        builder = self._builder(_subject(request, common_name), key).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        return self._signed(builder)

    def server(self, names: Sequence[x509.GeneralName], key: PublicKey) -> str:
        """A certificate for a listener of ours that is reached under these names."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, str(names[0].value))])
        builder = self._builder(subject, key)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return self._signed(builder)

    def _builder(self, subject: x509.Name, key: PublicKey) -> x509.CertificateBuilder:
        now = self._clock.now()
        until = min(now + timedelta(days=self._days), self._certificate.not_valid_after_utc)
        if until <= now:
            raise refused(503, "authority-expired", "the certificate of our own authority has expired: make a new one")
        return (
            x509.CertificateBuilder(issuer_name=self._certificate.subject, subject_name=subject, public_key=key)
            .serial_number(serial_of(self._fresh_bytes))
            .not_valid_before(max(now - BACKDATED, self._certificate.not_valid_before_utc))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(leaf=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
            .add_extension(_issued_by(self._key), critical=False)
        )

    def _signed(self, builder: x509.CertificateBuilder) -> str:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def open_authority(
    root: Path,
    key: Path,
    *,
    organization: str | None,
    days: int,
    clock: Clock,
    fresh_bytes: Callable[[int], bytes],
) -> BuiltInAuthority:
    """The authority in these two PEM files. Raises OSError, and ValueError where they are not of one another."""
    signing = load_pem_private_key(key.read_bytes(), password=None)
    if not isinstance(signing, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError(f"{key} is of neither RSA nor a curve")
    text = root.read_text()
    if x509.load_pem_x509_certificate(text.encode()).public_key() != signing.public_key():
        raise ValueError(f"{root} is not of the key in {key}")
    return BuiltInAuthority(text, signing, organization=organization, days=days, clock=clock, fresh_bytes=fresh_bytes)


def make_root(name: str, organization: str, days: int, clock: Clock, fresh: Callable[[int], bytes]) -> tuple[str, str]:
    """A new authority of our own: its certificate and its key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    now, public = clock.now(), key.public_key()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        ]
    )
    certificate = (
        x509.CertificateBuilder(issuer_name=subject, subject_name=subject, public_key=public)
        .serial_number(serial_of(fresh))
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(leaf=False), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode(), pem_of(key)


def make_server_key() -> rsa.RSAPrivateKey:
    """A fresh key for a listener of ours."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=SERVER_KEY_BITS)


def pem_of(key: SigningKey) -> str:
    """A private key as PEM, unencrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def expiry_of(pem: str) -> datetime:
    """Until when the first certificate in this PEM holds. Raises ValueError where there is none."""
    return x509.load_pem_x509_certificate(pem.encode()).not_valid_after_utc


def serial_of(fresh_bytes: Callable[[int], bytes]) -> int:
    """A serial number that nobody can foretell."""
    return int.from_bytes(fresh_bytes(_SERIAL_BYTES), "big") or 1


def _subject(request: x509.CertificateSigningRequest, common_name: str) -> x509.Name:
    """No more of what a station calls itself than was looked at, and the organisation that it names."""
    named = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[:1]
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name), *named])


def _issued_by(key: SigningKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _usage(*, leaf: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=leaf,
        key_encipherment=leaf,
        key_cert_sign=not leaf,
        crl_sign=not leaf,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
