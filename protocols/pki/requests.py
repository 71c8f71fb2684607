"""What a station's request for a certificate must be before any authority sees it (PKCS #10, RFC 2986)."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import NameOID

from statecharts.vocabulary import Refused, refused

RSA_BITS_MIN, RSA_BITS_MAX = 2048, 4096
EC_BITS_MIN = 256
"""The security whitepaper asks for 112 bits of security at least: RSA of 2048 bits, curves of 224; none of those is met
that are smaller than P-256. Verifying a longer RSA key would only cost time."""

_HASHES = frozenset({"sha256", "sha384", "sha512"})


def checked_request(csr: str, common_name: str, organization: str | None) -> x509.CertificateSigningRequest:
    """The request, if it is of this station and sound: its names, its key, and that the station holds that key.

    Raises `Refused` (400) that says what is wrong.
    """
    request = _parsed(csr)
    try:
        sound = request.is_signature_valid
        key = request.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no("has a key or a signature of a kind that is not known here") from error
    if not sound:
        raise _no("is not signed with its own key")
    if request.signature_hash_algorithm is None or request.signature_hash_algorithm.name not in _HASHES:
        raise _no("must be signed over SHA-256, SHA-384 or SHA-512")
    _check_key(key)
    _check_name(request, NameOID.COMMON_NAME, "common name (CN)", common_name)
    if organization is not None:
        _check_name(request, NameOID.ORGANIZATION_NAME, "organisation (O)", organization)
    return request


def _parsed(csr: str) -> x509.CertificateSigningRequest:
    try:
        return x509.load_pem_x509_csr(csr.encode())
    except ValueError as error:
        raise _no("is not PEM of PKCS #10") from error


def _check_key(key: object) -> None:
    rsa = isinstance(key, RSAPublicKey) and RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX
    curve = isinstance(key, EllipticCurvePublicKey) and key.key_size >= EC_BITS_MIN
    if not (rsa or curve):
        raise _no(f"must be of RSA with {RSA_BITS_MIN} to {RSA_BITS_MAX} bits, or of a curve of {EC_BITS_MIN} or more")


def _check_name(request: x509.CertificateSigningRequest, oid: x509.ObjectIdentifier, what: str, wanted: str) -> None:
    try:
        names = [attribute.value for attribute in request.subject.get_attributes_for_oid(oid)]
    except ValueError as error:
        raise _no("has a subject that cannot be read") from error
    if names != [wanted]:
        raise _no(f"must have {wanted!r} as its {what}, and has {', '.join(map(repr, names)) or 'none'}")


def _no(why: str) -> Refused:
    return refused(400, "bad-certificate-request", f"the certificate signing request {why}")
