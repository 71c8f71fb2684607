"""What a configuration names in the world must be there and fit: certificates, authorities, the data folder."""

from __future__ import annotations

import os
import ssl

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from protocols.cli.listeners import trust_in


@pytest.fixture
def certificate(tmp_path) -> dict[str, str]:
    """A certificate that fits its key, as variables for the listener of stations."""
    leaf = trustme.CA().issue_cert("localhost")
    leaf.private_key_pem.write_to_path(tmp_path / "node.key")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "node.pem")
    return {
        "ROAMNODE_OCPP__TLS_CERTIFICATE": str(tmp_path / "node.pem"),
        "ROAMNODE_OCPP__TLS_KEY": str(tmp_path / "node.key"),
    }


def test_a_certificate_and_its_key_are_taken(load, text, certificate):
    config = load(text, certificate)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(config.ocpp.tls_certificate, config.ocpp.tls_key)


@pytest.mark.parametrize("missing", ["TLS_CERTIFICATE", "TLS_KEY"])
def test_a_certificate_and_its_key_go_together(problems, text, certificate, missing):
    del certificate[f"ROAMNODE_OCPP__{missing}"]
    found = problems(text, certificate)
    assert found == {f"ocpp.{missing.lower()}": "is required: a certificate and its key go together"}


def test_a_certificate_with_the_key_of_another_is_named(problems, text, certificate, tmp_path):
    trustme.CA().issue_cert("localhost").private_key_pem.write_to_path(tmp_path / "node.key")
    ((key, reason),) = problems(text, certificate).items()
    assert key == "ocpp.tls_certificate"
    assert reason == "cannot be used with this tls_key: KEY_VALUES_MISMATCH"


def test_a_certificate_that_is_not_pem_is_named(problems, text, certificate, tmp_path):
    (tmp_path / "node.pem").write_text("not PEM")
    ((key, reason),) = problems(text, certificate).items()
    assert key == "ocpp.tls_certificate"
    assert reason.startswith("cannot be used with this tls_key: ")


def test_an_encrypted_key_is_named_and_nobody_is_asked_for_its_password(problems, text, certificate, tmp_path):
    file = tmp_path / "node.key"
    key = load_pem_private_key(file.read_bytes(), None)
    encryption = BestAvailableEncryption(b"password")
    file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    ((name, reason),) = problems(text, certificate).items()
    assert name == "ocpp.tls_certificate"
    assert reason.startswith("cannot be used with this tls_key: ")


def test_the_data_folder_may_be_missing_but_not_a_file(load, problems, text, tmp_path):
    (tmp_path / "file").write_text("")
    assert load(f'data_dir = "{tmp_path}/a/b"\n{text}').data_dir == tmp_path / "a" / "b"
    assert problems(f'data_dir = "{tmp_path}/file/b"\n{text}') == {"data_dir": f"{tmp_path}/file is not a folder"}


def test_the_data_folder_must_be_writable(problems, text, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert problems(f'data_dir = "{tmp_path}/a"\n{text}') == {"data_dir": f"{tmp_path} is not writable"}


def test_the_authorities_of_a_partner_are_taken(load, text, tmp_path):
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    config = load(text, {"ROAMNODE_DESTINATIONS__0__TLS_AUTHORITIES": str(tmp_path / "ca.pem")})
    trust = trust_in(config.destinations[0])
    assert isinstance(trust, ssl.SSLContext) and len(trust.get_ca_certs()) == 1
    assert trust_in(config.sources[0]) is None


def test_authorities_that_are_not_pem_are_named(problems, text, tmp_path):
    (tmp_path / "ca.pem").write_text("not PEM")
    ((key, reason),) = problems(text, {"ROAMNODE_SOURCES__0__TLS_AUTHORITIES": str(tmp_path / "ca.pem")}).items()
    assert key == "sources.0.tls_authorities"
    assert reason.startswith("holds no certificate: ")
