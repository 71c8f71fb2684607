"""A roaming transaction between two real nodes, with a station that is not ours."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.live.charging import Pair, begun, record_of, settled
from tests.live.operators import Station

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-pair")]


def test_both_operators_hold_the_same_charge_record_with_the_stations_own_energy(pair: Pair, station: Station) -> None:
    home, local = pair
    view = home.authorize("IE-001", "CS01")
    name, source = view["authorization_identifier"], view["transaction_id"]
    assert view["state"] == "Ready"

    operation = home.request("start", source)
    assert operation["status"] == "pending" and operation["waits_for"] and operation["until"]
    home.until("source", source, "TxRunning")
    started = station.wait_for("started", id_tag=name)
    assert started["status"] == "Accepted"

    station.order(do="charge", wh=1_234)
    home.until_true(lambda: home.transaction("source", source), lambda shown: shown.get("energy_wh") == 1_234)
    station.order(do="charge", wh=2_111)
    station.wait_for("metered", count=2)
    home.request("stop", source)
    assert station.wait_for("remote_stop", transaction_id=started["transaction_id"])["known"]

    assert settled(pair, station, view)["energy_wh"] == 3_345
    receipt = home.app.get(f"/api/v1/transactions/{source}/receipt").json()
    assert (receipt["cdr_id"], receipt["energy_wh"]) == (f"IE-001/{name}", 3_345)
    assert record_of(local, "destination", name)["status"] == "acknowledged"


def test_a_driver_who_unplugs_ends_the_charge_without_anybody_asking(pair: Pair, station: Station) -> None:
    view = begun(pair, station)
    station.order(do="charge", wh=700)
    station.order(do="unplug", reason="EVDisconnected")
    assert settled(pair, station, view)["energy_wh"] == 700
    assert not station.said("remote_stop")


def test_a_start_that_the_station_rejects_reaches_the_app_as_a_cause(pair: Pair, station: Station) -> None:
    home, local = pair
    station.order(do="set", answers_start="Rejected")
    view = home.authorize("IE-001", "CS01", 2)
    home.request("start", view["transaction_id"])
    found = home.until_true(
        lambda: home.app.get(f"/api/v1/transactions/{view['transaction_id']}").json(),
        lambda shown: shown["operations"][-1]["status"] == "failed",
    )
    assert found["state"] == "Ready"
    assert "refused" in found["operations"][-1]["cause"]
    assert local.transaction("destination", view["authorization_identifier"])["state"] == "Ready"


def test_a_card_of_our_own_charges_beside_a_roaming_driver(pair: Pair, station: Station) -> None:
    home, local = pair
    roaming = begun(pair, station, connector=1)
    station.order(do="plug_in", connector=2, id_tag="04a1b2c3d4")
    card = station.wait_for("started", id_tag="04a1b2c3d4")
    assert card["status"] == "Accepted"
    station.order(do="charge", connector=1, wh=1_100)
    station.order(do="charge", connector=2, wh=450)
    station.order(do="unplug", connector=2)
    station.wait_for("stopped", id_tag="04a1b2c3d4")

    local_one = next(t for t in local.transactions("local") if t["station_transaction_id"] == card["transaction_id"])
    assert (local_one["state"], local_one["energy_wh"]) == ("Settled", 450)
    assert local.transaction("destination", roaming["authorization_identifier"])["state"] == "TxRunning"
    home.request("stop", roaming["transaction_id"])
    assert settled(pair, station, roaming)["energy_wh"] == 1_100


def test_what_a_station_did_without_a_line_is_taken_from_its_queue_by_its_own_times(
    pair: Pair, station: Station
) -> None:
    _, local = pair
    station.order(do="disconnect")
    station.wait_for("disconnected")
    local.until_true(lambda: local.station("CS01"), lambda shown: not shown["online"])
    station.order(do="plug_in", connector=2, id_tag="04A1B2C3D4")
    station.order(do="charge", connector=2, wh=900)
    station.order(do="unplug", connector=2)
    station.order(do="connect")
    stopped = station.wait_for("stopped", id_tag="04A1B2C3D4")
    number = stopped["transaction_id"]
    assert number > 0
    found = next(t for t in local.transactions("local") if t["station_transaction_id"] == number)
    assert (found["state"], found["energy_wh"]) == ("Settled", 900)
    assert datetime.fromisoformat(found["start_timestamp"]) == datetime.fromisoformat(stopped["started_at"])
    assert datetime.fromisoformat(found["end_timestamp"]) == datetime.fromisoformat(stopped["at"])


def test_a_roaming_charge_ends_without_a_line_and_is_recorded_when_the_station_is_back(
    pair: Pair, station: Station
) -> None:
    _, local = pair
    view = begun(pair, station)
    station.order(do="disconnect")
    station.wait_for("disconnected")
    station.order(do="charge", wh=5_000)
    station.order(do="unplug")
    assert local.transaction("destination", view["authorization_identifier"])["state"] == "TxRunning"
    station.order(do="connect")
    assert settled(pair, station, view)["energy_wh"] == 5_000


def test_a_reboot_alone_ends_nothing(pair: Pair, station: Station) -> None:
    home, _ = pair
    view = begun(pair, station)
    station.order(do="charge", wh=300)
    station.wait_for("metered")
    station.order(do="reboot")
    station.wait_for("online", count=2)
    station.order(do="charge", wh=200)
    station.wait_for("metered", count=2)
    home.request("stop", view["transaction_id"])
    assert settled(pair, station, view)["energy_wh"] == 500
