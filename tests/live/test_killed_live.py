"""SIGKILL at the moments that hurt: whoever is killed goes on where its journal ends, and nothing is done twice."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.charging import Pair, authorized, begun, settled
from tests.live.operators import Station, station_of

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-pair")]


@pytest.fixture
def slow_driver(pair: Pair) -> Iterator[Station]:
    """CS01, where nobody plugs in before the test does."""
    with station_of(pair[1], "CS01", manual=True) as station:
        yield station


# -- the Source --------------------------------------------------------------------------------------------------------


def test_a_source_killed_while_it_waits_for_the_start_hears_of_it_in_its_next_life(
    pair: Pair, slow_driver: Station
) -> None:
    home, local = pair
    view = authorized(home, local, slow_driver)
    home.request("start", view["transaction_id"])
    slow_driver.wait_for("remote_start")
    home.kill()
    slow_driver.order(do="plug_in", id_tag=view["authorization_identifier"])
    local.until("destination", view["authorization_identifier"], "TxRunning")
    home.start()
    home.until("source", view["transaction_id"], "TxRunning")
    slow_driver.order(do="charge", wh=2_500)
    slow_driver.wait_for("metered")
    home.request("stop", view["transaction_id"])
    assert settled(pair, slow_driver, view)["energy_wh"] == 2_500


def test_a_source_killed_while_charging_can_still_stop(pair: Pair, station: Station) -> None:
    home, _ = pair
    view = begun(pair, station)
    home.restart()
    assert home.transaction("source", view["transaction_id"])["state"] == "TxRunning"
    station.order(do="charge", wh=800)
    station.wait_for("metered")
    home.request("stop", view["transaction_id"])
    assert settled(pair, station, view)["energy_wh"] == 800


def test_a_source_that_is_dead_when_the_charge_ends_gets_its_record_when_it_lives_again(
    pair: Pair, station: Station
) -> None:
    home, local = pair
    view = begun(pair, station)
    home.kill()
    station.order(do="charge", wh=1_700)
    station.order(do="unplug")
    local.until("destination", view["authorization_identifier"], "TxFinished")
    local.node.wait_for("peer.retry", operation="EndTransaction")
    home.start()
    assert settled(pair, station, view)["energy_wh"] == 1_700


# -- the Destination ---------------------------------------------------------------------------------------------------


def test_a_destination_killed_after_its_remote_start_never_sends_another(pair: Pair, slow_driver: Station) -> None:
    home, local = pair
    view = authorized(home, local, slow_driver)
    name = view["authorization_identifier"]
    home.request("start", view["transaction_id"])
    slow_driver.wait_for("remote_start", id_tag=name)
    local.restart()
    slow_driver.wait_for("online", count=2)
    slow_driver.order(do="plug_in", id_tag=name)
    assert slow_driver.wait_for("started", id_tag=name)["status"] == "Accepted"
    home.until("source", view["transaction_id"], "TxRunning")
    slow_driver.order(do="charge", wh=1_250)
    slow_driver.wait_for("metered")
    home.request("stop", view["transaction_id"])
    assert settled(pair, slow_driver, view)["energy_wh"] == 1_250
    assert len(slow_driver.said("remote_start", id_tag=name)) == 1


def test_a_destination_killed_while_charging_still_stops_its_station(pair: Pair, station: Station) -> None:
    home, local = pair
    view = begun(pair, station)
    station.order(do="charge", wh=600)
    station.wait_for("metered")
    local.restart()
    station.wait_for("online", count=2)
    station.order(do="charge", wh=400)
    station.wait_for("metered", count=2)
    home.request("stop", view["transaction_id"])
    station.wait_for("remote_stop")
    assert settled(pair, station, view)["energy_wh"] == 1_000


def test_a_destination_killed_when_the_charge_has_just_ended_owes_its_record_still(
    pair: Pair, station: Station
) -> None:
    _, local = pair
    view = begun(pair, station)
    station.order(do="charge", wh=3_300)
    station.order(do="unplug")
    local.node.wait_for("transaction.event", event_type="TransactionStopped",
                        transaction=f"destination/{view['authorization_identifier']}")  # fmt: skip
    local.restart()
    assert settled(pair, station, view)["energy_wh"] == 3_300


def test_a_station_that_charges_through_the_death_of_its_operator_is_heard_when_it_lives_again(
    pair: Pair, station: Station
) -> None:
    _, local = pair
    view = begun(pair, station)
    local.kill()
    station.order(do="charge", wh=2_200)
    station.order(do="unplug")
    local.start()
    assert settled(pair, station, view)["energy_wh"] == 2_200
