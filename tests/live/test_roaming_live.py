"""A roaming transaction between two real nodes, with a station that is not ours."""

from __future__ import annotations

import pytest

from tests.live.operators import Operator, Station

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-pair")]


def test_both_operators_hold_the_same_charge_record_with_the_stations_own_energy(
    pair: tuple[Operator, Operator], station: Station
) -> None:
    home, local = pair
    view = home.authorize("IE-001", "CS01")
    name = view["authorization_identifier"]
    assert view["state"] == "Ready"

    operation = home.request("start", view["transaction_id"])
    assert operation["status"] == "pending" and operation["waits_for"] and operation["until"]
    home.until("source", view["transaction_id"], "TxRunning")
    started = station.wait_for("started", id_tag=name)
    assert started["status"] == "Accepted"

    station.order(do="charge", wh=1_234)
    home.until_true(
        lambda: home.transaction("source", view["transaction_id"]), lambda shown: shown.get("energy_wh") == 1_234
    )
    station.order(do="charge", wh=2_111)
    home.request("stop", view["transaction_id"])
    assert station.wait_for("remote_stop", transaction_id=started["transaction_id"])["known"]
    stopped = station.wait_for("stopped", id_tag=name)
    home.until("source", view["transaction_id"], "Settled")
    local.until("destination", name, "Settled")

    (received,) = [cdr for cdr in home.cdrs("source") if cdr["authorization_identifier"] == name]
    (made,) = [cdr for cdr in local.cdrs("destination") if cdr["authorization_identifier"] == name]
    assert received["cdr_id"] == made["cdr_id"] == f"IE-001/{name}"
    assert received["energy_wh"] == made["energy_wh"] == stopped["energy_wh"] == 3_345
    assert received["start_timestamp"] == made["start_timestamp"]
    assert received["end_timestamp"] == made["end_timestamp"]
    assert len(station.said("remote_start", id_tag=name)) == 1
