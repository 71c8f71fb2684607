"""Foreign stations of OCPP 2.0.1 and 2.1 at a real node: charges that roam, charges by card, and without a line."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.charging import Pair, begun, settled
from tests.live.operators import Station, station_of

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-pair")]

CARD = "04a1b2c3d4"


@pytest.fixture(params=["ocpp2.0.1", "ocpp2.1"])
def station(pair: Pair, request: pytest.FixtureRequest) -> Iterator[Station]:
    """The foreign station CS01 of IE-001, in a version after 1.6."""
    with station_of(pair[1], "CS01", subprotocol=request.param) as station:
        yield station


def test_a_roaming_charge_at_a_station_of_2_x_has_one_record_with_the_stations_own_energy(
    pair: Pair, station: Station
) -> None:
    home, _ = pair
    view = begun(pair, station)
    station.order(do="charge", wh=1_234)
    station.order(do="charge", wh=2_111)
    station.wait_for("metered", count=2)
    home.request("stop", view["transaction_id"])
    name = station.wait_for("started", id_tag=view["authorization_identifier"])["transaction_id"]
    assert station.wait_for("remote_stop", transaction_id=name)["known"]
    assert settled(pair, station, view)["energy_wh"] == 3_345


def test_a_card_charges_at_a_station_of_2_x_and_what_it_did_without_a_line_is_billed(
    pair: Pair, station: Station
) -> None:
    local = pair[1]
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
