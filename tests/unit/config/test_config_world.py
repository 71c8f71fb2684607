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
from structlog.testing import capture_logs

from protocols.cli.listeners import ServerTls, trust_in


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


# -- client certificates -----------------------------------------------------------------------------------------------

FINGERPRINT = "AB:" * 31 + "AB"


@pytest.fixture
def peers(tmp_path, certificate) -> dict[str, str]:
    """Variables for a listener of the peers' own, on which they must show a certificate."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    files = {name.replace("OCPP", "HTTP"): file for name, file in certificate.items()}
    authorities = {"ROAMNODE_HTTP__PEERS_CLIENT_AUTHORITIES": str(tmp_path / "ca.pem")}
    return {"ROAMNODE_HTTP__PEERS_PORT": "8090", **files, **authorities}


def test_peers_may_be_asked_for_certificates_and_be_listed_with_them(load, text, peers):
    listed = {"ROAMNODE_SOURCES__0__INCOMING_CERTIFICATES": f'["{FINGERPRINT}"]'}
    config = load(text, {**peers, **listed})
    (entry,) = config.source_entries(lambda: b"8 bytes.")
    assert entry.incoming_certificates == ("ab" * 32,)


@pytest.mark.parametrize(
    ("missing", "key"),
    [("ROAMNODE_HTTP__PEERS_PORT", "http.peers_port"), ("TLS", "http.tls_certificate")],
)
def test_peers_who_show_certificates_have_a_port_with_tls_of_their_own(problems, text, peers, missing, key):
    kept = {name: value for name, value in peers.items() if missing not in name}
    ((found, reason),) = problems(text, kept).items()
    assert found == key
    assert reason.startswith("is required where peers show certificates")


def test_a_peer_is_listed_with_certificates_only_where_it_is_asked_for_one(problems, text):
    found = problems(text, {"ROAMNODE_SOURCES__0__INCOMING_CERTIFICATES": f'["{FINGERPRINT}"]'})
    reason = "needs http.peers_client_authorities: nobody is asked for one"
    assert found == {"sources.0.incoming_certificates": reason}


def test_a_fingerprint_is_a_sha_256(problems, text, peers):
    found = problems(text, {**peers, "ROAMNODE_SOURCES__0__INCOMING_CERTIFICATES": '["AB:CD"]'})
    assert "SHA-256" in found["sources.0.incoming_certificates.0"]


def test_stations_show_certificates_over_tls_only(load, problems, text, certificate, peers):
    authorities = {"ROAMNODE_OCPP__CLIENT_AUTHORITIES": peers["ROAMNODE_HTTP__PEERS_CLIENT_AUTHORITIES"]}
    assert load(text, {**authorities, **certificate}).ocpp.client_authorities is not None
    assert problems(text, authorities) == {"ocpp.tls_certificate": "is required where stations show certificates"}


def test_our_own_certificate_towards_a_peer_goes_with_its_key_and_over_tls(load, problems, text, certificate):
    file, key = certificate.values()
    ours = {"ROAMNODE_SOURCES__0__CLIENT_CERTIFICATE": file, "ROAMNODE_SOURCES__0__CLIENT_KEY": key}
    assert isinstance(trust_in(load(text, ours).sources[0]), ssl.SSLContext)
    loopback = {**ours, "ROAMNODE_SOURCES__0__URL": "http://localhost:1/services/mobiEuropeSourceService"}
    assert list(problems(text, loopback)) == ["sources.0.client_certificate"]
    del ours["ROAMNODE_SOURCES__0__CLIENT_KEY"]
    assert list(problems(text, ours)) == ["sources.0.client_key"]


def test_certificates_are_read_again_and_one_that_does_not_fit_leaves_what_was_there(load, text, certificate, tmp_path):
    listeners = ServerTls()
    config = load(text, certificate)
    assert listeners.context(config.http) is None
    context = listeners.context(config.ocpp)
    assert context is not None
    (tmp_path / "node.pem").write_text("not PEM")
    with capture_logs() as logs:
        listeners.reload()
    assert [line["event"] for line in logs] == ["tls.certificate_not_reloaded"]


# -- security profiles -------------------------------------------------------------------------------------------------


@pytest.fixture
def authorities(peers) -> dict[str, str]:
    return {"ROAMNODE_OCPP__CLIENT_AUTHORITIES": peers["ROAMNODE_HTTP__PEERS_CLIENT_AUTHORITIES"]}


def profiles(config) -> list[int]:
    return [entry.credentials.profile for entry in config.station_entries(lambda: b"8 bytes.")]


def test_stations_show_all_that_the_listener_can_ask_for_unless_it_is_said_otherwise(
    load, text, certificate, authorities
):
    assert profiles(load(text)) == [1, 1]
    assert profiles(load(text, certificate)) == [2, 2]
    assert profiles(load(text, {**certificate, **authorities})) == [3, 3]
    said = {"ROAMNODE_OCPP__SECURITY_PROFILE": "1", "ROAMNODE_STATIONS__1__SECURITY_PROFILE": "2"}
    assert profiles(load(text, {**certificate, **authorities, **said})) == [1, 2]


def test_a_profile_that_the_listener_cannot_ask_for_is_named(problems, text, certificate):
    two, three = ({"ROAMNODE_STATIONS__1__SECURITY_PROFILE": profile} for profile in ("2", "3"))
    over_tls = "needs ocpp.tls_certificate; where a proxy has the TLS, it is 1 here"
    assert problems(text, two) == {"stations.1.security_profile": over_tls}
    assert problems(text, {"ROAMNODE_OCPP__SECURITY_PROFILE": "2"}) == {"ocpp.security_profile": over_tls}
    nobody = "needs ocpp.client_authorities or [authority]: nobody is asked for a certificate"
    assert problems(text, {**certificate, **three}) == {"stations.1.security_profile": nobody}
    assert list(problems(text, {"ROAMNODE_OCPP__SECURITY_PROFILE": "4"})) == ["ocpp.security_profile"]


def test_only_stations_whose_profile_asks_for_it_need_a_password(load, problems, text, certificate, authorities):
    bare = text.replace('password = "password-of-CS01-0123"\n', "")
    required = {"stations.0.password": "is required, or password_hash instead"}
    assert problems(bare) == required
    assert problems(bare, certificate) == required
    (entry, _) = load(bare, {**certificate, **authorities}).station_entries(lambda: b"8 bytes.")
    assert entry.credentials.password_hash is None
    open_to_all = load(bare, {"ROAMNODE_STATIONS__0__SECURITY_PROFILE": "0"})
    reason = "lets anybody in who knows the station's identity"
    assert [warning for warning in open_to_all.warnings() if "profile" in warning.key] == [
        ("stations.0.security_profile", reason)
    ]


def test_a_plain_port_stands_beside_tls_and_on_a_number_of_its_own(load, problems, text, certificate):
    plain = {"ROAMNODE_OCPP__PLAIN_PORT": "9001"}
    assert load(text, {**certificate, **plain}).ocpp.plain_port == 9001
    assert problems(text, plain) == {"ocpp.plain_port": "is needed beside TLS only: ocpp.port has none"}
    taken = problems(text, {**certificate, "ROAMNODE_OCPP__PLAIN_PORT": "9000"})
    assert taken == {"ocpp.plain_port": "must differ from ocpp.port (got 9000)"}


# -- the authority of stations' certificates ---------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path, certificate) -> dict[str, str]:
    (tmp_path / "node.key").chmod(0o600)
    return {name.replace("OCPP__TLS_", "AUTHORITY__"): file for name, file in certificate.items()}


def test_an_authority_has_its_certificate_and_a_key_or_a_command(load, problems, text, authority):
    key = {name: file for name, file in authority.items() if name.endswith("KEY")}
    certificate = {name: file for name, file in authority.items() if name not in key}
    command = {"ROAMNODE_AUTHORITY__COMMAND": '["sign-it"]'}
    assert load(text, authority).authorities_of_stations == load(text, certificate | command).authorities_of_stations
    required = {"authority.certificate": "is required: it vouches for what is signed"}
    assert problems(text, key) == problems(text, command) == required
    one_of_both = {"authority.key": "is required, or command instead, and not both"}
    assert problems(text, certificate) == problems(text, authority | command) == one_of_both


def test_an_authoritys_key_that_others_can_read_is_named(problems, text, authority, tmp_path):
    (tmp_path / "node.key").chmod(0o640)
    assert problems(text, authority) == {"authority.key": "can be read by others than its owner: chmod 600"}


def test_an_authority_lets_stations_move_up_and_moves_none_by_itself(load, text, certificate, authority):
    assert profiles(load(text, certificate | authority)) == [2, 2]
    moved = {"ROAMNODE_STATIONS__1__SECURITY_PROFILE": "3"}
    assert profiles(load(text, certificate | authority | moved)) == [2, 3]
