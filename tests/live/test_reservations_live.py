"""A connector that an operator has reserved, between two real nodes and over SIGKILL: nobody else is sent there."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.live.charging import Pair, authorized
from tests.live.operators import Operator, Record, Station

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-pair")]

OWNER, OTHER = "04D3C2B1A0", "04A1B2C3D4"
CONNECTOR = 1


def reserved(local: Operator, station: Station) -> None:
    """The connector is the owner's for some minutes, to the station and to its operator."""
    assert local.desk.put(f"/api/v1/operator/cards/{OWNER}", json={}).status_code == 200
    expiry = (datetime.now(UTC) + timedelta(minutes=5)).isoformat()
    command = {"command": "ReserveNow", "reservation_id": 7, "connector_id": CONNECTOR, "expiry_date": expiry}
    path = f"/api/v1/operator/stations/{station.identity}"
    answer = local.desk.post(f"{path}/commands", json={**command, "id_tag": OWNER})
    assert answer.status_code == 202, answer.text
    station.wait_for("reserved", number=7)
    local.until_true(lambda: kept(local, station), lambda found: [each["state"] for each in found] == ["Held"])


def kept(local: Operator, station: Station) -> list[Record]:
    found: list[Record] = local.desk.get(f"/api/v1/operator/stations/{station.identity}").json()["reservations"]
    return found


def start_of_our_own(local: Operator, station: Station, id_tag: str) -> tuple[int, Record]:
    asked = {"connector_id": CONNECTOR, "id_tag": id_tag}
    answer = local.desk.post(f"/api/v1/operator/stations/{station.identity}/transactions", json=asked)
    return answer.status_code, answer.json()


def test_a_reserved_connector_is_its_owners_alone_in_the_next_life_of_the_node_too(
    pair: Pair, station: Station
) -> None:
    home, local = pair
    view = authorized(home, local, station, CONNECTOR)
    reserved(local, station)
    local.restart()
    station.wait_for("online", count=2)

    home.request("start", view["transaction_id"])
    path = f"/api/v1/transactions/{view['transaction_id']}"
    over = home.until_true(
        lambda: home.app.get(path).json()["operations"][-1], lambda operation: operation["status"] == "failed"
    )
    assert "reserved for somebody else until 20" in over["cause"]
    asked = {"user_identifier": "anna", "destination": local.name, "local_service_identifier": station.identity}
    another = home.app.post("/api/v1/authorizations", json={**asked, "connector_identifier": str(CONNECTOR)})
    assert another.status_code == 409 and "reserved for somebody else until 20" in another.json()["detail"]
    status, problem = start_of_our_own(local, station, OTHER)
    assert (status, problem["kind"]) == (409, "connector-reserved")
    assert not station.said("remote_start")

    status, _ = start_of_our_own(local, station, OWNER)
    assert status == 202
    assert station.wait_for("started", id_tag=OWNER)["status"] == "Accepted"
    assert kept(local, station) == []
