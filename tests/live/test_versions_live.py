"""Stations that are not ours, of every version and of two makes, at a real node: by roaming, by card, without a line.

That on Node.js checks every message of the node by the schemas of its own package, but for 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.charging import Pair, begun, settled
from tests.live.operators import ASYNCIO_2, NPM, NPM_STATION, Station, station_of

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-pair")]

CARD = "04a1b2c3d4"
_no_npm = pytest.mark.skipif(
    not (NPM_STATION / "node_modules").is_dir(), reason="its packages are not here: make test installs them by npm"
)
STATIONS = [
    pytest.param((ASYNCIO_2, "ocpp2.0.1"), id="asyncio-2.0.1"),
    pytest.param((ASYNCIO_2, "ocpp2.1"), id="asyncio-2.1"),
    pytest.param((NPM, "ocpp1.6"), id="npm-1.6", marks=_no_npm),
    pytest.param((NPM, "ocpp2.0.1"), id="npm-2.0.1", marks=_no_npm),
    pytest.param((NPM, "ocpp2.1"), id="npm-2.1", marks=_no_npm),
]


@pytest.fixture(params=STATIONS)
def station(pair: Pair, request: pytest.FixtureRequest) -> Iterator[Station]:
    """The station CS01 of IE-001, online."""
    make, subprotocol = request.param
    with station_of(pair[1], "CS01", make=make, subprotocol=subprotocol) as station:
        yield station


def test_a_station_that_is_not_ours_charges_by_roaming_and_by_card(pair: Pair, station: Station) -> None:
    home, local = pair
    view = begun(pair, station)
    station.order(do="charge", wh=1_234)
    station.order(do="charge", wh=2_111)
    station.wait_for("metered", count=2)
    home.request("stop", view["transaction_id"])
    name = station.wait_for("started", id_tag=view["authorization_identifier"])["transaction_id"]
    assert station.wait_for("remote_stop", transaction_id=name)["known"]
    assert settled(pair, station, view)["energy_wh"] == 3_345

    station.order(do="plug_in", id_tag=CARD)
    assert station.wait_for("started", id_tag=CARD)["status"] == "Accepted"
    station.order(do="disconnect")
    station.wait_for("disconnected")
    station.order(do="charge", wh=900)
    station.order(do="unplug", reason="EVDisconnected")
    station.come_online()
    stopped = station.wait_for("stopped", id_tag=CARD)
    newest = local.transactions("local")[0]
    assert (newest["state"], newest["energy_wh"], stopped["energy_wh"]) == ("Settled", 900, 900)
    assert station.said("invalid") == []
