"""A webhook of a node that runs: registered, told over HTTPS, failing, and the node killed while it does."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from tests.live.charging import Pair, begun, settled
from tests.live.operators import Operator, Station, make_partners, running
from tests.unit.webhooks.receiver import Received

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-webhooks")]

AUTHORITY = trustme.CA()
HOOKS = "/api/v1/operator/webhooks"


class Server(ThreadingHTTPServer):
    """Answers every request with `status`, and keeps what it got."""

    status = 503

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[Received] = []
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        AUTHORITY.issue_cert("localhost").configure_cert(context)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.url = f"https://localhost:{self.server_address[1]}/hook"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append(Received(self.path, headers, body))
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def served() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def session_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """The usual pair; webhooks of the Destination may be on this machine."""
    folder: Path = tmp_path_factory.mktemp("hooks")
    AUTHORITY.cert_pem.write_to_path(str(folder / "ca.pem"))
    home = Operator("NL-MOT", folder / "home", roles=("source",))
    local = Operator("IE-001", folder / "local", roles=("destination",), stations={"CS01": 2})
    local.settings["webhooks"] = {
        "allowed_networks": ["127.0.0.0/8", "::1/128"],
        "tls_authorities": str(folder / "ca.pem"),
        "retry_base_s": 0.1,
        "retry_cap_s": 0.3,
    }
    make_partners(home, local)
    with running(home, local):
        yield home, local


def test_a_charge_record_is_told_though_its_server_fails_and_the_node_is_killed(pair: Pair, station: Station) -> None:
    _, local = pair
    with served() as server:
        made = local.desk.post(HOOKS, json={"url": server.url, "events": ["cdr"]})
        assert made.status_code == 201, made.text
        hook, secret = made.json()["id"], made.json()["secret"]
        view = begun(pair, station)
        station.order(do="charge", wh=1_500)
        station.wait_for("metered")
        pair[0].request("stop", view["transaction_id"])
        record = settled(pair, station, view)
        local.until_true(lambda: len(server.got), lambda count: count >= 3)
        shown = local.desk.get(f"{HOOKS}/{hook}").json()
        assert (shown["cause"], shown["pending"] > 0) == ("HTTP 503", True) and "secret" not in shown
        local.restart()
        failed = len(server.got)
        server.status = 200
        local.until_true(lambda: local.desk.get(f"{HOOKS}/{hook}").json()["state"], lambda state: state == "Idle")
        assert len({each.id for each in server.got[:failed]}) == 1
        assert all(each.is_signed_with(secret) for each in server.got)
        newest = msgspec.json.decode(server.got[-1].body)["cdr"]
        assert (newest["cdr_id"], newest["energy_wh"]) == (record["cdr_id"], record["energy_wh"])
        (delivery, *_) = local.listed(f"webhooks/{hook}/deliveries", status="delivered")
        assert (delivery["message_id"], delivery["answered"]) == (server.got[-1].id, 200)
        figures = local.desk.get("/metrics").text
        assert f'roamnode_webhook_state{{state="Idle",webhook="{hook}"}} 1.0' in figures
        assert "roamnode_webhook_lag_seconds" in figures
        assert local.desk.delete(f"{HOOKS}/{hook}").status_code == 204


@pytest.mark.parametrize("url", ["https://169.254.169.254/latest", "http://8.8.8.8/", "https://[::ffff:10.0.0.1]/"])
def test_an_address_that_only_the_node_can_reach_is_refused(pair: Pair, url: str) -> None:
    refused = pair[1].desk.post(HOOKS, json={"url": url, "events": ["cdr"]})
    assert (refused.status_code, refused.json()["kind"]) == (400, "unfit-url")
