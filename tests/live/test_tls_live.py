"""TLS on every line: https of apps and partners, wss of stations, with an authority of the operators' own."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from tests.live.operators import ROOT, START_S, Process, free_ports

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-tls")]

STATION = "NL-MOT-CS01"
WISH = {"user_identifier": "anna", "destination": "NL-MOT", "local_service_identifier": STATION}


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    leaf = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    leaf.private_key_pem.write_to_path(str(tmp_path / "node.key"))
    leaf.cert_chain_pems[0].write_to_path(str(tmp_path / "node.pem"))
    return authority


def configuration(folder: Path, http: int, ocpp: int, *, trusting: bool) -> str:
    """The example of a node that roams with itself, with TLS everywhere."""
    tls = f'tls_certificate = "{folder}/node.pem"\ntls_key = "{folder}/node.key"\n'
    trust = f'tls_authorities = "{folder}/ca.pem"\n' if trusting else ""
    text = (ROOT / "examples" / "both.toml").read_text(encoding="utf-8")
    text = text.replace("data/both", f"{folder}/data").replace("http://localhost:8089", f"https://localhost:{http}")
    text = text.replace("port = 8089\n", f"port = {http}\n{tls}").replace("port = 9000\n", f"port = {ocpp}\n{tls}")
    text = text.replace("[[destinations]]", '[log]\nformat = "json"\n\n[[destinations]]')
    return text.replace('pms_identifier = "NL-MOT"\nurl', f'pms_identifier = "NL-MOT"\n{trust}url')


@pytest.fixture
def node(tmp_path: Path, authority: trustme.CA, request: pytest.FixtureRequest) -> Iterator[Process]:
    ports = free_ports(2)
    file = tmp_path / "node.toml"
    file.write_text(configuration(tmp_path, *ports, trusting=request.param), encoding="utf-8")
    node = Process(["node.py", "run", "-c", str(file)], lines_on="stderr")
    try:
        yield node
    finally:
        node.close()


@pytest.fixture
def app(node: Process, authority: trustme.CA) -> Iterator[httpx.Client]:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    (address,) = node.wait_for("node.ready", timeout_s=START_S)["http"]
    token = {"Authorization": "Bearer sample-app-token-of-NL-MOT"}
    base = address.replace("127.0.0.1", "localhost")
    with httpx.Client(base_url=base, headers=token, verify=trust, timeout=START_S) as client:
        yield client


@pytest.mark.parametrize("node", [True], indirect=True)
def test_app_partner_and_station_meet_over_tls(node: Process, app: httpx.Client, tmp_path: Path) -> None:
    (address,) = node.wait_for("node.ready", timeout_s=START_S)["ocpp"]
    url = address.replace("127.0.0.1", "localhost")
    command = [sys.executable, "node.py", "station", "-c", str(tmp_path / "node.toml"), "--url", url]
    environment = {**os.environ, "SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    station = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    try:
        node.wait_for("station.online", station=STATION, timeout_s=START_S)
        shown = app.get(f"/api/v1/local-services/NL-MOT/{STATION}")
    finally:
        station.kill()
        station.wait()
    assert shown.status_code == 200, shown.text
    assert shown.json()["local_service_identifier"] == STATION


@pytest.mark.parametrize("node", [False], indirect=True)
def test_a_partner_whose_authority_nobody_named_is_not_trusted(node: Process, app: httpx.Client) -> None:
    refused = app.post("/api/v1/authorizations", json=WISH)
    assert refused.status_code in (502, 504), refused.text
    line = node.wait_for("soap.call_failed")
    assert line["error"] == "Unreachable"
    assert "certificate verify failed" in line["reason"]
    assert len(node.said("soap.call_failed")) == 1
