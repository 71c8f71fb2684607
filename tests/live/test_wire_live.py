"""What the wires carry: correlation ids, contracts, and everything that should not be on them."""

from __future__ import annotations

import json
import warnings
from typing import Any

import httpx
import pytest

from tests.live.charging import Pair, authorized, begun, settled
from tests.live.operators import Operator, Record, Station, station_of

pytestmark = [pytest.mark.live, pytest.mark.xdist_group("live-pair")]

BODY_BYTES_MAX = 256 * 1024
SERVICE = "/services/mobiEuropeDestinationService"
SOAP_11, SOAP_12 = "http://schemas.xmlsoap.org/soap/envelope/", "http://www.w3.org/2003/05/soap-envelope"
PMS = "http://webservice.pms.mobieurope.com"


# -- stations ----------------------------------------------------------------------------------------------------------


def test_the_newest_socket_of_a_station_wins(pair: Pair, station: Station) -> None:
    _, local = pair
    station.order(do="set", reconnects=False)
    with station_of(local, "CS01") as newer:
        gone = station.wait_for("disconnected")
        assert (gone["code"], "newer" in gone["reason"]) == (1000, True)
        view = begun(pair, newer)
        newer.order(do="charge", wh=321)
        newer.order(do="unplug")
        assert settled(pair, newer, view)["energy_wh"] == 321
    assert not station.said("remote_start")


def answered(station: Station, message_id: str) -> list[Any]:
    """The frame that answers this message."""

    def is_it(record: Record) -> bool:
        return bool(record["event"] == "frame" and json.loads(record["text"])[1] == message_id)

    frame, *_ = station.wait_until(lambda: filter(is_it, list(station.records)))
    answer: list[Any] = json.loads(frame["text"])
    return answer


@pytest.mark.parametrize(
    ("frame", "message_id", "code"),
    [
        ("no JSON", "-1", "FormationViolation"),
        ('[2,"b1","Heartbeat"]', "b1", "FormationViolation"),
        ('[2,"b2","MakeCoffee",{}]', "b2", "NotImplemented"),
        ('[2,"b3","StatusNotification",{"connectorId":"one","errorCode":"NoError","status":"Available"}]', "b3",
         "TypeConstraintViolation"),
        ('[2,"b4","StartTransaction",{"connectorId":1}]', "b4", "OccurenceConstraintViolation"),
    ],
)  # fmt: skip
def test_a_bad_frame_gets_its_error_and_the_connection_lives(
    station: Station, frame: str, message_id: str, code: str
) -> None:
    station.order(do="raw", text=frame)
    kind, _, said, *_ = answered(station, message_id)
    assert (kind, said) == (4, code)
    station.order(do="raw", text='[2,"alive","Heartbeat",{}]')
    assert answered(station, "alive")[0] == 3
    assert not station.said("disconnected")


def test_an_oversized_frame_costs_the_connection_and_nothing_else(pair: Pair, station: Station) -> None:
    home, _ = pair
    view = begun(pair, station)
    station.order(do="raw", text=json.dumps([2, "big", "DataTransfer", {"vendorId": "x", "data": "y" * 70_000}]))
    assert station.wait_for("disconnected")["code"] == 1009
    station.wait_for("online", count=2)
    station.order(do="charge", wh=77)
    station.wait_for("metered")
    home.request("stop", view["transaction_id"])
    assert settled(pair, station, view)["energy_wh"] == 77


def test_strangers_among_stations_are_turned_away_before_the_upgrade(pair: Pair) -> None:
    _, local = pair
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
               "Sec-WebSocket-Key": "x3JJHMbDL1EzLkh9GBhXDw==", "Sec-WebSocket-Protocol": "ocpp1.6"}  # fmt: skip
    base = f"http://127.0.0.1:{local.ocpp_port}/ocpp"
    with httpx.Client(headers=upgrade) as client:
        assert client.get(f"{base}/CS99", auth=("CS99", "0123456789abcdef")).status_code == 404
        assert client.get(f"{base}/CS01", auth=("CS01", "0123456789abcdef")).status_code == 401
        assert client.get(f"{base}/CS01").status_code == 401


# -- apps --------------------------------------------------------------------------------------------------------------


def test_one_correlation_id_from_the_app_to_the_stations_frame(pair: Pair, station: Station) -> None:
    home, local = pair
    view = authorized(home, local, station)
    home.request("start", view["transaction_id"], **{"X-Correlation-ID": "drive-1"})
    station.wait_for("started", status="Accepted")
    local.until("destination", view["authorization_identifier"], "TxRunning")
    home.until("source", view["transaction_id"], "TxRunning")
    home.request("stop", view["transaction_id"], **{"X-Correlation-ID": "drive-2"})
    settled(pair, station, view)
    for correlation_id, action in (("drive-1", "RemoteStartTransaction"), ("drive-2", "RemoteStopTransaction")):
        for operator in (home, local):
            operator.node.wait_for("transaction.event", correlation_id=correlation_id)
        local.node.wait_for("ocpp.call", correlation_id=correlation_id)
        (call,) = local.log("ocpp.call", correlation_id=correlation_id)
        assert call["action"] == action


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b"{", 400, "malformed-json"),
        (b'{"user_identifier": 7}', 400, "invalid-request"),
        (b" " * (BODY_BYTES_MAX + 1), 413, None),
    ],
    ids=["malformed", "wrong", "oversized"],
)
def test_a_bad_body_of_an_app_gets_a_problem_document(pair: Pair, body: bytes, status: int, kind: str | None) -> None:
    home, _ = pair
    headers = {"Content-Type": "application/json", "X-Correlation-ID": f"bad-{status}-{len(body)}"}
    answer = home.app.post("/api/v1/authorizations", content=body, headers=headers)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    problem = answer.json()
    assert problem["correlation_id"] == headers["X-Correlation-ID"]
    assert kind in (None, problem["kind"])
    home.node.wait_for("rest.request_refused", correlation_id=headers["X-Correlation-ID"])
    assert len(home.log("rest.request_refused", correlation_id=headers["X-Correlation-ID"])) == 1
    assert home.stranger.get("/health").status_code == 200


# -- peers -------------------------------------------------------------------------------------------------------------


def credentials(pair: Pair) -> tuple[str, str]:
    """What the Source presents at the Destination."""
    home, _ = pair
    return home.name, home.partners[0][3]


def authorize(soap: str, head: str = "") -> str:
    return (
        f'{head}<s:Envelope xmlns:s="{soap}" xmlns:p="{PMS}"><s:Body><p:authorizeRequest>'
        "<pmsIdentifier>NL-MOT</pmsIdentifier><userIdentifier>anna</userIdentifier>"
        "<serviceTypeIdentifier>EV_CHARGING</serviceTypeIdentifier>"
        "<localServiceIdentifier>CS01</localServiceIdentifier>"
        "</p:authorizeRequest></s:Body></s:Envelope>"
    )


def sent(local: Operator, pair: Pair, content: str | bytes, media_type: str) -> httpx.Response:
    headers = {"Content-Type": media_type}
    return local.stranger.post(SERVICE, content=content, headers=headers, auth=credentials(pair))


def test_soap_1_1_is_tolerated_and_answered_in_kind(pair: Pair, station: Station) -> None:
    _, local = pair
    answer = sent(local, pair, authorize(SOAP_11), "text/xml; charset=utf-8")
    assert answer.status_code == 200
    assert SOAP_11 in answer.text
    assert "authorizationIdentifier" in answer.text


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (authorize(SOAP_12)[:-20], 400),
        (authorize(SOAP_12, '<!DOCTYPE a [<!ENTITY x "y">]>'), 400),
        (authorize(SOAP_12).replace("localServiceIdentifier", "localThing"), 400),
        (authorize(SOAP_12) + " " * BODY_BYTES_MAX, 413),
    ],
)
def test_a_bad_message_of_a_peer_gets_a_fault_and_the_node_lives(pair: Pair, content: str, status: int) -> None:
    _, local = pair
    before = len(local.transactions("destination"))
    answer = sent(local, pair, content, "application/soap+xml; charset=utf-8")
    assert answer.status_code == status
    if status == 400:
        assert "Fault" in answer.text
        assert "Sender" in answer.text
    assert len(local.transactions("destination")) == before
    assert local.stranger.get("/health").status_code == 200


def test_a_stranger_among_peers_is_refused_before_its_body_is_read(pair: Pair) -> None:
    _, local = pair
    answer = local.stranger.post(SERVICE, content=b"<", auth=("NL-MOT", "0123456789abcdef"))
    assert answer.status_code == 401


def test_the_wsdl_of_a_living_node_makes_a_zeep_client_that_can_authorize(pair: Pair, station: Station) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import zeep
        from requests import Session
        from zeep.transports import Transport

    _, local = pair
    with Session() as session:
        session.auth = credentials(pair)
        client = zeep.Client(f"http://127.0.0.1:{local.port}{SERVICE}?wsdl", transport=Transport(session=session))
        answer = client.service.authorize(
            pmsIdentifier="NL-MOT",
            userIdentifier="anna",
            serviceTypeIdentifier="EV_CHARGING",
            localServiceIdentifier="CS01",
        )
    name = answer["authorizationIdentifier"]
    assert local.transaction("destination", name)["state"] == "Ready"
