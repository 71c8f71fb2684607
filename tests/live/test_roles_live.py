"""One node of each single role, and one node that roams with itself as in Motown's sample."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.charging import Pair, settled
from tests.live.operators import Operator, Station, make_partners, running, station_of

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-pair")]

MOTOWN = "/rest/mobieurope/source/sv1/"
CARD = "04A1B2C3D4"


def test_what_belongs_to_the_role_of_a_destination_is_not_mounted_at_a_source(pair: Pair) -> None:
    home, _ = pair
    assert home.stranger.get("/services/mobiEuropeSourceService?wsdl").status_code == 200
    assert home.stranger.get("/services/mobiEuropeDestinationService?wsdl").status_code == 404
    assert home.stranger.post("/services/mobiEuropeDestinationService").status_code == 404
    assert home.desk.get("/rest/mobieurope/destination/dv1/lastopensession").status_code == 404
    assert home.node.wait_for("node.ready")["ocpp"] == []
    with socket.socket() as station:
        assert station.connect_ex(("127.0.0.1", home.ocpp_port)) != 0, "a Source listens for stations"


def test_what_belongs_to_the_role_of_a_source_is_not_mounted_at_a_destination(pair: Pair) -> None:
    _, local = pair
    assert local.stranger.get("/services/mobiEuropeDestinationService?wsdl").status_code == 200
    assert local.stranger.get("/services/mobiEuropeSourceService?wsdl").status_code == 404
    assert local.stranger.post("/services/mobiEuropeSourceService").status_code == 404
    assert local.app.post(MOTOWN + "authorize", json={}).status_code == 404
    assert local.app.post("/api/v1/authorizations", json={}).status_code == 404
    assert local.app.get("/api/v1/transactions").status_code == 404


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Operator]:
    """An operator with both roles whose only partner is itself."""
    operator = Operator("NL-MOT", tmp_path, stations={"CS01": 1}, settings={"": {"start_margin_s": 60}})
    make_partners(operator, operator)
    with running(operator):
        yield operator


@pytest.fixture
def own_station(alone: Operator) -> Iterator[Station]:
    with station_of(alone, "CS01") as station:
        yield station


def test_a_node_roams_with_itself_through_motowns_api(alone: Operator, own_station: Station) -> None:
    def asked(what: str, **content: str) -> dict[str, Any]:
        answer = alone.app.post(MOTOWN + what, json=content)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    place = {"pmsIdentifier": "NL-MOT", "localServiceIdentifier": "CS01", "connectorIdentifier": "1"}
    granted = asked("authorize", userIdentifier="anna", serviceTypeIdentifier="EV_CHARGING", **place)
    name = granted["response"]["authorizationIdentifier"]

    def until(state: str) -> None:
        def look() -> Any:
            answer = alone.app.post(MOTOWN + "session", content=name, headers={"Content-Type": "text/plain"})
            return answer.json()["sessionStateMachine"]["state"]

        alone.until_true(look, lambda found: found == state)

    asked("requestStartTransaction", authorizationIdentifier=name)
    until("TxRunning")
    own_station.order(do="charge", wh=999)
    own_station.wait_for("metered")
    asked("requestStopTransaction", authorizationIdentifier=name)
    until("TxFinished")
    source = alone.app.get("/api/v1/transactions").json()["items"][0]
    assert settled((alone, alone), own_station, source)["energy_wh"] == 999


def test_a_start_that_an_operator_asked_for_waits_for_its_cable_also_over_a_crash(alone: Operator) -> None:
    with station_of(alone, "CS01", manual=True) as station:
        command = {"command": "RemoteStartTransaction", "id_tag": CARD, "connector_id": 1}
        answer = alone.desk.post("/api/v1/operator/stations/CS01/commands", json=command)
        assert answer.status_code == 202, answer.text
        place = answer.headers["Location"]
        station.wait_for("remote_start")
        alone.until_true(lambda: alone.desk.get(place).json()["state"], lambda state: state == "Waiting")
        alone.restart()
        station.wait_for("online", count=2)
        station.order(do="plug_in", id_tag=CARD, connector=1)
        done = alone.desk.get(place, params={"wait_s": 20}).json()
        assert (done["state"], done["by"]) == ("Succeeded", "desk")
        assert done["progress"].startswith("started #")
        assert len(station.said("remote_start")) == 1
        station.leave()
