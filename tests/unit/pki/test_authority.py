"""Our own authority, and another behind a command: what is signed, for whom, for how long, and what is not."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from ssl import DER_cert_to_PEM_cert

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st
from requesting import NOW, StandingClock, authority, request, station_key

from protocols.pki.authority import make_root, open_authority
from protocols.pki.external import CommandAuthority
from statecharts.vocabulary import Refused

KEY = station_key()
CSR = request(KEY, ("cn", "CS01"), ("o", "Motown"))


OURS = authority()


def _point(csr: x509.CertificateSigningRequest) -> bytes:
    return csr.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def leaf(chain: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(chain.encode())


async def test_a_certificate_is_of_the_stations_name_and_key_and_for_clients_only() -> None:
    ours = authority()
    certificate = leaf(await ours.sign(CSR, "CS01"))
    certificate.verify_directly_issued_by(leaf(ours.root))
    assert certificate.public_key() == KEY.public_key()
    assert certificate.subject.rfc4514_string() == "O=Motown,CN=CS01"
    assert list(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert certificate.not_valid_before_utc == NOW - timedelta(hours=1)
    assert certificate.not_valid_after_utc == NOW + timedelta(days=365)


async def test_no_two_certificates_have_the_same_number() -> None:
    ours = authority()
    assert leaf(await ours.sign(CSR, "CS01")).serial_number != leaf(await ours.sign(CSR, "CS01")).serial_number


async def test_nothing_is_signed_for_longer_than_the_authority_itself_holds() -> None:
    clock = StandingClock()
    ours = authority(clock, root_days=100)
    assert leaf(await ours.sign(CSR, "CS01")).not_valid_after_utc == NOW + timedelta(days=100)
    clock.at += timedelta(days=100)
    with pytest.raises(Refused, match="has expired"):
        await ours.sign(CSR, "CS01")


WRONG_KEYS = {
    "RSA of 1024 bits": rsa.generate_private_key(65_537, 1024),
    "DSA": dsa.generate_private_key(2048),
    "P-192": ec.generate_private_key(ec.SECP192R1()),
}


@pytest.mark.parametrize("key", WRONG_KEYS.values(), ids=WRONG_KEYS)
async def test_a_key_that_is_too_weak_is_refused(key: object) -> None:
    with pytest.raises(Refused, match="must be of RSA with 2048 to 4096 bits"):
        await authority().sign(request(key, ("cn", "CS01")), "CS01")


async def test_a_key_that_tls_1_2_stations_do_not_have_is_refused() -> None:
    csr = request(ed25519.Ed25519PrivateKey.generate(), ("cn", "CS01"), algorithm=None)
    with pytest.raises(Refused, match="SHA-256, SHA-384 or SHA-512"):
        await authority().sign(csr, "CS01")


@pytest.mark.parametrize("key", [rsa.generate_private_key(65_537, 2048), ec.generate_private_key(ec.SECP384R1())])
async def test_keys_of_the_whitepapers_kinds_are_taken(key: object) -> None:
    assert leaf(await authority().sign(request(key, ("cn", "CS01")), "CS01")).subject.rfc4514_string() == "CN=CS01"


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ((), "must have 'CS01' as its common name .CN., and has none"),
        ((("cn", "CS02"),), "and has 'CS02'"),
        ((("cn", "cs01"),), "and has 'cs01'"),
        ((("cn", "CS01"), ("cn", "CS02")), "and has 'CS01', 'CS02'"),
        ((("cn", "CS01"),), "must have 'Motown' as its organisation .O., and has none"),
        ((("cn", "CS01"), ("o", "Elsewhere")), "and has 'Elsewhere'"),
    ],
)
def test_a_request_must_name_the_station_and_our_organisation(names: tuple[tuple[str, str], ...], reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        authority(organization="Motown").check(request(KEY, *names), "CS01")


def test_a_request_must_be_signed_with_its_own_key_and_over_a_sound_hash() -> None:
    ours, others = (x509.load_pem_x509_csr(csr.encode()) for csr in (CSR, request(station_key(), ("cn", "CS01"))))
    forged = ours.public_bytes(Encoding.DER).replace(_point(ours), _point(others))
    with pytest.raises(Refused, match="is not signed with its own key"):
        authority().check(DER_cert_to_PEM_cert(forged).replace("CERTIFICATE", "CERTIFICATE REQUEST"), "CS01")
    with pytest.raises(Refused, match="SHA-256"):
        authority().check(request(KEY, ("cn", "CS01"), algorithm=hashes.SHA224()), "CS01")


@given(st.text(max_size=200))
def test_what_is_no_request_is_refused_in_words(text: str) -> None:
    for csr in (text, f"-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n"):
        with pytest.raises(Refused, match="the certificate signing request"):
            OURS.check(csr, "CS01")


def test_files_that_do_not_belong_together_open_no_authority(tmp_path) -> None:
    clock = StandingClock()
    for name in ("one", "two"):
        root, key = make_root(name, "Motown", 10, clock, os.urandom)
        (tmp_path / f"{name}.pem").write_text(root)
        (tmp_path / f"{name}.key").write_text(key)
    more = {"organization": None, "days": 1, "clock": clock, "fresh_bytes": os.urandom}
    assert "CN=one" in repr(open_authority(tmp_path / "one.pem", tmp_path / "one.key", **more))
    with pytest.raises(ValueError, match="is not of the key"):
        open_authority(tmp_path / "one.pem", tmp_path / "two.key", **more)
    assert load_pem_private_key((tmp_path / "one.key").read_bytes(), None)


# -- an authority behind a command -------------------------------------------------------------------------------------


def command(script: str, timeout_s: float = 20) -> CommandAuthority:
    python = (sys.executable, "-c", script)
    return CommandAuthority("root", python, organization=None, timeout_s=timeout_s)


async def test_a_command_gets_the_request_and_the_name_and_prints_the_chain() -> None:
    chain = await authority().sign(CSR, "CS01")
    script = f"import sys; assert (sys.stdin.read(), sys.argv[1]) == ({CSR!r}, 'CS01'); print({chain!r})"
    assert await command(script).sign(CSR, "CS01") == chain


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("print('no certificate')", "printed no certificate"),
        ("raise SystemExit(3)", "ended with status 3"),
        ("import time; time.sleep(60)", "did not end within 0.5 s"),
    ],
)
async def test_a_command_that_gives_no_certificate_is_said_to(script: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        await command(script, 0.5 if "sleep" in script else 20).sign(CSR, "CS01")


async def test_a_command_that_is_not_there_is_said_to_be() -> None:
    with pytest.raises(Refused, match="cannot be run: No such file"):
        await CommandAuthority("root", ["/not/there"], organization=None, timeout_s=1).sign(CSR, "CS01")


async def test_a_command_is_never_asked_for_a_request_that_is_not_of_the_station() -> None:
    with pytest.raises(Refused, match="'CS02'"):
        command("raise SystemExit(1)").check(CSR, "CS02")


def test_the_name_in_a_root_is_the_one_that_binds_stations_to_it() -> None:
    names = leaf(OURS.root).subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert [name.value for name in names] == ["Stations of Motown"]
