"""Two operators who know each other by certificates as well: a charge, strangers kept out, a certificate renewed."""

from __future__ import annotations

import hashlib
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from tests.live.charging import Pair, begun, settled
from tests.live.operators import WAIT_S, Operator, free_ports, make_partners, running, station_of

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-certificates")]

DESTINATION = "/services/mobiEuropeDestinationService"


def _write(folder: Path, name: str, leaf: trustme.LeafCert) -> None:
    leaf.private_key_pem.write_to_path(str(folder / f"{name}.key"))
    leaf.cert_chain_pems[0].write_to_path(str(folder / f"{name}.pem"))


def _fingerprint(folder: Path, name: str) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert((folder / f"{name}.pem").read_text())).hexdigest()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA) -> Path:
    """Certificates of two operators, and of a third that the same authority vouches for."""
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name in ("home", "local", "third"):
        _write(folder, name, authority.issue_cert("127.0.0.1"))
    return folder


def _operator(folder: Path, name: str, own: str, other: str, **options) -> Operator:
    """An operator with TLS, who shows a certificate to its partner and wants to see the partner's."""
    operator = Operator(name, folder / own, **options)
    (peers_port,) = free_ports(1)
    files = {"tls_certificate": str(folder / f"{own}.pem"), "tls_key": str(folder / f"{own}.key")}
    authorities = str(folder / "ca.pem")
    operator.settings["http"] = {"peers_port": peers_port, "peers_client_authorities": authorities, **files}
    operator.partner_keys = {
        "tls_authorities": authorities,
        "client_certificate": files["tls_certificate"],
        "client_key": files["tls_key"],
        "incoming_certificates": [_fingerprint(folder, other)],
    }
    base, trust = f"https://127.0.0.1:{operator.port}", ssl.create_default_context(cafile=authorities)
    for client in ("app", "desk"):
        headers = getattr(operator, client).headers
        getattr(operator, client).close()
        setattr(operator, client, httpx.Client(base_url=base, headers=headers, verify=trust, timeout=WAIT_S))
    return operator


@pytest.fixture(scope="module")
def pair(folder: Path) -> Iterator[Pair]:
    home = _operator(folder, "NL-MOT", "home", "local", roles=("source",))
    local = _operator(folder, "IE-001", "local", "home", roles=("destination",), stations={"CS01": 2})
    make_partners(home, local, ports=(local.settings["http"]["peers_port"], home.settings["http"]["peers_port"]))
    for operator in (home, local):
        operator.partners = [
            (role, partner, url.replace("http:", "https:"), *passwords)
            for role, partner, url, *passwords in operator.partners
        ]
    with running(home, local):
        yield home, local


def test_a_whole_charge_between_operators_who_show_each_other_their_certificates(pair: Pair) -> None:
    with station_of(pair[1], "CS01") as station:
        view = begun(pair, station)
        station.order(do="charge", wh=4_000)
        station.wait_for("metered")
        pair[0].request("stop", view["transaction_id"])
        assert settled(pair, station, view)["energy_wh"] == 4_000


def _peer(pair: Pair, folder: Path, certificate: str | None) -> httpx.Client:
    """A client with the Source's right password, and the certificate of that name."""
    trust = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    if certificate is not None:
        trust.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    home, local = pair
    password = home.partners[0][3]
    base = f"https://127.0.0.1:{local.settings['http']['peers_port']}"
    return httpx.Client(base_url=base, auth=("NL-MOT", password), verify=trust, timeout=WAIT_S)


@pytest.mark.parametrize(("certificate", "status"), [("home", 415), ("third", 401)])
def test_another_certificate_is_refused_before_the_body_is_looked_at(
    pair: Pair, folder: Path, certificate: str, status: int
) -> None:
    with _peer(pair, folder, certificate) as peer:
        assert peer.post(DESTINATION, content=b"no SOAP at all").status_code == status


def test_without_a_certificate_or_with_a_strangers_there_is_no_connection(pair: Pair, folder: Path) -> None:
    _write(folder, "stranger", trustme.CA().issue_cert("127.0.0.1"))
    for certificate in (None, "stranger"):
        with _peer(pair, folder, certificate) as peer, pytest.raises(httpx.TransportError):
            peer.post(DESTINATION, content=b"no SOAP at all")


def test_apps_show_no_certificate_and_speak_http_2_where_they_can(pair: Pair, folder: Path) -> None:
    home = pair[0]
    assert home.app.get("/health").json()["status"] == "ok"
    trust = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    trust.set_alpn_protocols(["h2", "http/1.1"])
    spoken = {}
    for port in (home.port, home.settings["http"]["peers_port"]):
        trust.load_cert_chain(folder / "local.pem", folder / "local.key")
        plain = socket.create_connection(("127.0.0.1", port))
        with trust.wrap_socket(plain, server_hostname="127.0.0.1") as stream:
            spoken[port] = stream.selected_alpn_protocol()
    assert list(spoken.values()) == ["h2", "http/1.1"]


def test_a_renewed_certificate_is_taken_up_without_a_restart(pair: Pair, folder: Path, authority: trustme.CA) -> None:
    home = pair[0]
    before = ssl.get_server_certificate(("127.0.0.1", home.port))
    _write(folder, "home", authority.issue_cert("127.0.0.1"))
    home.node.popen.send_signal(signal.SIGHUP)
    home.node.wait_for("tls.certificate_reloaded", count=2)
    after = ssl.get_server_certificate(("127.0.0.1", home.port))
    assert before != after == (folder / "home.pem").read_text()

    (folder / "home.pem").write_text("no certificate")
    home.node.popen.send_signal(signal.SIGHUP)
    home.node.wait_for("tls.certificate_not_reloaded", count=2)
    assert ssl.get_server_certificate(("127.0.0.1", home.port)) == after
