"""A partner that cannot be reached, and answers that are lost: everything arrives, and counts once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.charging import Pair, authorized, begun, settled
from tests.live.cutting_proxy import CuttingProxy
from tests.live.operators import Operator, Record, Station, make_partners, running

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-delivery")]


@pytest.fixture(scope="module")
def proxies() -> Iterator[tuple[CuttingProxy, CuttingProxy]]:
    """What stands before the Destination, and before the Source."""
    with CuttingProxy() as to_destination, CuttingProxy() as to_source:
        yield to_destination, to_source


@pytest.fixture(scope="module")
def session_pair(
    tmp_path_factory: pytest.TempPathFactory, proxies: tuple[CuttingProxy, CuttingProxy]
) -> Iterator[Pair]:
    """The usual pair, with a proxy before each."""
    folder, (to_destination, to_source) = tmp_path_factory.mktemp("cut"), proxies
    home = Operator("NL-MOT", folder / "home", roles=("source",))
    local = Operator("IE-001", folder / "local", roles=("destination",), stations={"CS01": 2})
    to_destination.target_port, to_source.target_port = local.port, home.port
    local.settings["destination_deadlines"] = {"cdr_overdue_s": 1}
    make_partners(home, local, ports=(to_destination.port, to_source.port))
    with running(home, local):
        yield home, local


def facts(operator: Operator, transaction: str, event_type: str) -> int:
    """How often this fact was recorded; at least once is waited for, as a log comes a little after its answer."""
    operator.node.wait_for("transaction.event", transaction=transaction, event_type=event_type)
    return len(operator.log("transaction.event", transaction=transaction, event_type=event_type))


def test_requests_whose_answers_are_lost_are_asked_again_and_done_once(
    pair: Pair, station: Station, proxies: tuple[CuttingProxy, CuttingProxy]
) -> None:
    (home, local), (to_destination, to_source) = pair, proxies
    view = authorized(home, local, station)
    name = view["authorization_identifier"]
    to_destination.cut(2)
    to_source.cut(1)
    home.request("start", view["transaction_id"])
    home.until("source", view["transaction_id"], "TxRunning")
    station.order(do="charge", wh=1_500)
    station.wait_for("metered")
    to_destination.cut(1)
    to_source.cut(3)
    home.request("stop", view["transaction_id"])
    assert settled(pair, station, view)["energy_wh"] == 1_500
    assert to_destination.lost == 3
    assert to_source.lost >= 4
    assert facts(local, f"destination/{name}", "StartRequested") == 1
    assert facts(local, f"destination/{name}", "StopRequested") == 1
    assert facts(home, f"source/{view['transaction_id']}", "TransactionEnded") == 1
    assert len(station.said("remote_start")) == len(station.said("remote_stop")) == 1


def test_a_lost_answer_to_authorize_is_a_clear_error_and_the_next_one_works(
    pair: Pair, station: Station, proxies: tuple[CuttingProxy, CuttingProxy]
) -> None:
    home, _ = pair
    proxies[0].cut(1)
    asked = {"user_identifier": "anna", "destination": "IE-001", "local_service_identifier": "CS01"}
    answer = home.app.post("/api/v1/authorizations", json=asked)
    assert answer.status_code == 504
    assert answer.json()["kind"] == "peer-unanswered"
    view = begun(pair, station)
    station.order(do="unplug")
    assert settled(pair, station, view)["energy_wh"] == 0


def test_a_record_owed_to_a_partner_that_is_down_outlives_both_and_arrives_once(pair: Pair, station: Station) -> None:
    home, local = pair
    view = begun(pair, station)
    name = view["authorization_identifier"]
    home.kill()
    station.order(do="charge", wh=2_600)
    station.order(do="unplug")
    local.node.wait_for("peer.retry", operation="EndTransaction")
    local.restart()
    local.node.wait_for("peer.retry", operation="EndTransaction")
    assert local.transaction("destination", name)["state"] == "TxFinished"
    home.start()
    assert settled(pair, station, view)["energy_wh"] == 2_600
    (peer,) = local.desk.get("/api/v1/operator/peers").json()["items"]
    assert (peer["pending_deliveries"], peer["parked_deliveries"]) == (0, 0)
    assert facts(home, f"source/{view['transaction_id']}", "TransactionEnded") == 1


def test_a_record_that_was_refused_is_overdue_until_an_operator_has_it_sent_again(
    pair: Pair, station: Station, proxies: tuple[CuttingProxy, CuttingProxy]
) -> None:
    (home, local), (_, to_source) = pair, proxies
    view = begun(pair, station)
    home.kill()
    to_source.target_port = local.port  # where no Source is
    station.order(do="charge", wh=1_700)
    station.order(do="unplug")
    (letter,) = local.until_true(lambda: deliveries(local, status="parked", overdue=True), bool)
    assert (letter["operation"], letter["error"].partition(":")[0]) == ("EndTransaction", "404")
    to_source.target_port = home.port
    home.start()
    replayed = local.desk.post(f"/api/v1/operator/deliveries/{letter['id']}/replay")
    assert (replayed.status_code, replayed.json()["status"]) == (200, "pending")
    assert settled(pair, station, view)["energy_wh"] == 1_700
    told = local.desk.get(f"/api/v1/operator/deliveries/{letter['id']}").json()
    assert (told["status"], told["overdue"], told["record"]["cdr"]["energy_wh"]) == ("done", False, 1_700)
    assert told["record"]["acknowledged_at"] >= told["record"]["ended_at"]
    assert deliveries(local, overdue=True) == []


def deliveries(operator: Operator, **search: object) -> list[Record]:
    found: list[Record] = operator.desk.get("/api/v1/operator/deliveries", params=search).json()["items"]
    return found
