"""Motown's Source and Destination APIs: the shapes its apps and pages know, and what was wrong with them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from protocols.rest.motown import session_id
from statecharts.vocabulary import ServiceType
from tests.unit.rest.fakes import NOON, READY, World

SV1 = "/rest/mobieurope/source/sv1"
DV1 = "/rest/mobieurope/destination/dv1"
SOURCE_TYPE = "application/vnd.io.motown.mobi-europe-source-api-v1+json"
DESTINATION_TYPE = "application/vnd.io.motown.mobi-europe-destination-api-v1+json"

AUTHORIZE = {
    "pmsIdentifier": "NL-MOT",
    "servicePms": "IE-001",
    "userIdentifier": "alice",
    "localServiceIdentifier": "DEMO_001",
    "connectorIdentifier": "1",
    "serviceTypeIdentifier": "EV_CHARGING",
}
SESSION = {
    "id": session_id("tx-1"),
    "transactionId": 0,
    "userIdentifier": "alice",
    "authorizationIdentifier": "0A1B2C3D4E5F",
    "sessionStateMachine": {"state": "Ready", "lastTimeStateChanged": 1779019200250},
    "pmsIdentifier": "NL-MOT",
    "servicePms": "IE-001",
    "localServiceIdentifier": "DEMO_001",
    "connectorIdentifier": "1",
    "serviceTypeIdentifier": "EV_CHARGING",
    "meterStart": 0,
    "meterStop": 0,
}


async def body_of(response: Any) -> Any:
    return msgspec.json.decode(await response.get_data())


async def ask(world: World, path: str, json: Any, **more: Any) -> Any:
    return await world.ask("POST", f"{SV1}/{path}", json=json, **more)


async def test_authorize_answers_as_motown_did() -> None:
    response = await ask(World(), "authorize", AUTHORIZE, headers={"Content-Type": SOURCE_TYPE})
    assert response.status_code == 200
    assert response.content_type == SOURCE_TYPE
    assert await body_of(response) == {
        "response": {"authorizationIdentifier": "0A1B2C3D4E5F"},
        "sessionInfo": SESSION,
    }


async def test_start_answers_with_the_request_and_the_session() -> None:
    response = await ask(World(READY), "requestStartTransaction", {"authorizationIdentifier": "0A1B2C3D4E5F"})
    assert response.status_code == 200
    state = {"state": "StartTxRequested", "lastTimeStateChanged": 1779019200250}
    assert await body_of(response) == {
        "response": {"authorizationIdentifier": "0A1B2C3D4E5F", "requestIdentifier": "start-request"},
        "sessionInfo": SESSION | {"requestIdentifier": "start-request", "sessionStateMachine": state},
    }


async def test_stop_answers_with_the_request_and_the_session() -> None:
    world = World(msgspec.structs.replace(READY, state="TxRunning"))
    response = await ask(world, "requestStopTransaction", {"authorizationIdentifier": "0A1B2C3D4E5F"})
    assert (await body_of(response))["response"] == {
        "authorizationIdentifier": "0A1B2C3D4E5F",
        "requestIdentifier": "stop-request",
    }


async def test_session_takes_the_raw_identifier_and_shows_dates_and_meters() -> None:
    settled = msgspec.structs.replace(
        READY,
        state="Settled",
        start_timestamp=NOON + timedelta(microseconds=1),
        end_timestamp=NOON + timedelta(hours=1),
        meter_start_wh=100,
        meter_stop_wh=12445,
        station_transaction_id=17,
    )
    response = await World(settled).ask("POST", f"{SV1}/session", data="0A1B2C3D4E5F\n")
    assert response.content_type == SOURCE_TYPE
    assert await body_of(response) == SESSION | {
        "transactionId": 17,
        "sessionStateMachine": {"state": "TxFinished", "lastTimeStateChanged": 1779019200250},
        "startTimestamp": "2026-05-17T12:00:00Z",
        "endTimestamp": "2026-05-17T13:00:00Z",
        "meterStart": 100,
        "meterStop": 12445,
    }


@pytest.mark.parametrize(("state", "code"), [("Refused", "400"), ("Expired", "410")])
async def test_a_state_that_motown_did_not_know_is_shown_as_an_error(state: str, code: str) -> None:
    world = World(msgspec.structs.replace(READY, state=state, cause="because"))
    response = await world.ask("POST", f"{SV1}/session", data="0A1B2C3D4E5F")
    assert response.status_code == 400
    assert await body_of(response) == {"responseError": {"errorCode": code, "errorMsg": "because"}}


@pytest.mark.parametrize("path", ["requestStartTransaction", "requestStopTransaction"])
async def test_d4_an_unknown_authorization_is_a_400_with_code_404(path: str) -> None:
    response = await ask(World(), path, {"authorizationIdentifier": "FFFFFFFFFFFF"})
    assert response.status_code == 400
    assert (await body_of(response))["responseError"]["errorCode"] == "404"


async def test_d4_an_unknown_session_is_a_400_with_code_404() -> None:
    response = await World().ask("POST", f"{SV1}/session", data="FFFFFFFFFFFF")
    assert response.status_code == 400
    assert (await body_of(response))["responseError"]["errorCode"] == "404"


async def test_d27_the_destination_s_refusal_reaches_the_app() -> None:
    response = await ask(World(), "authorize", AUTHORIZE | {"localServiceIdentifier": "BUSY"})
    assert response.status_code == 400
    assert await body_of(response) == {"responseError": {"errorCode": "409", "errorMsg": "the connector is in use"}}


async def test_pms_identifier_names_the_destination_when_service_pms_is_absent_or_empty() -> None:
    for absent in ({}, {"servicePms": ""}, {"servicePms": None}):
        world = World()
        asked = {name: value for name, value in AUTHORIZE.items() if name != "servicePms"} | absent
        assert (await ask(world, "authorize", asked)).status_code == 200
        assert world.apps.asked[0].destination == "NL-MOT"


async def test_d13_the_service_type_asked_for_is_passed_on() -> None:
    world = World()
    await ask(world, "authorize", AUTHORIZE | {"serviceTypeIdentifier": "PARKING"})
    assert world.apps.asked[0].service_type is ServiceType.PARKING


async def test_d15_the_connector_may_be_absent_or_empty() -> None:
    for absent in ("", None):
        world = World()
        await ask(world, "authorize", AUTHORIZE | {"connectorIdentifier": absent})
        assert world.apps.asked[0].connector_identifier is None


@pytest.mark.parametrize("field", ["userIdentifier", "localServiceIdentifier"])
async def test_a_missing_or_empty_field_is_named(field: str) -> None:
    for body in ({**AUTHORIZE, field: ""}, {name: value for name, value in AUTHORIZE.items() if name != field}):
        response = await ask(World(), "authorize", body)
        assert response.status_code == 400
        error = (await body_of(response))["responseError"]
        assert error["errorCode"] == "400"
        assert field in error["errorMsg"]


async def test_no_destination_at_all_is_refused() -> None:
    response = await ask(World(), "authorize", {"userIdentifier": "alice", "localServiceIdentifier": "DEMO_001"})
    assert "servicePms" in (await body_of(response))["responseError"]["errorMsg"]


async def test_d3_no_token_is_a_401_in_motown_s_shape() -> None:
    response = await ask(World(), "authorize", AUTHORIZE, token=None)
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"].startswith("Bearer ")
    assert (await body_of(response))["responseError"]["errorCode"] == "401"


async def test_d3_an_app_acts_for_its_own_users_only() -> None:
    response = await ask(World(), "authorize", AUTHORIZE, token="other-token")
    assert response.status_code == 403
    response = await World(READY).ask("POST", f"{SV1}/session", data="0A1B2C3D4E5F", token="other-token")
    assert (await body_of(response))["responseError"]["errorCode"] == "404"


async def test_another_media_type_is_a_415_and_rubbish_a_400() -> None:
    response = await World().ask("POST", f"{SV1}/authorize", data="{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415
    for rubbish in (b"{", b"\xff", b"[" * 100_000):
        response = await World().ask("POST", f"{SV1}/authorize", data=rubbish, headers={"Content-Type": SOURCE_TYPE})
        assert response.status_code == 400
        assert (await body_of(response))["responseError"]["errorCode"] == "400"


async def test_an_unforeseen_error_is_a_500_without_details() -> None:
    world = World()
    world.apps.fails_with = RuntimeError("secret")
    response = await ask(world, "authorize", AUTHORIZE)
    assert response.status_code == 500
    assert b"secret" not in await response.get_data()


async def test_d25_local_services_are_searched_by_decimal_degrees_as_text_or_number() -> None:
    for latitude, longitude in (("53.349805", "-6.260310"), (53.349805, -6.26031)):
        world = World()
        place = {"latitude": latitude, "longitude": longitude}
        response = await ask(
            world,
            "getLocalServicesList",
            {"location": place, "searchRadius": 500, "serviceTypesList": ["EV_CHARGING"], "servicePms": "IE-001"},
        )
        location, radius_m, types, destinations = world.apps.asked[0]
        assert str(location.latitude) == "53.349805"
        assert (radius_m, types, destinations) == (500, (ServiceType.EV_CHARGING,), ("IE-001",))
        shown = (await body_of(response))["response"]
        assert shown["unanswered"] == {"NL-OTH": "no answer within 5 s"}
        assert shown["localServices"] == [
            {
                "servicePms": "IE-001",
                "localServiceIdentifier": "DEMO_001",
                "localServiceStatus": "AVAILABLE",
                "serviceTypesList": ["EV_CHARGING"],
                "location": {"latitude": "53.349805", "longitude": "-6.260310"},
                "distance": 250,
            }
        ]


async def test_local_service_status_is_answered() -> None:
    response = await ask(
        World(), "getLocalServiceStatus", {"servicePms": "IE-001", "localServiceIdentifier": "DEMO_001"}
    )
    assert (await body_of(response))["response"]["localService"]["localServiceStatus"] == "AVAILABLE"


async def test_last_open_session_is_shown_to_operators_only() -> None:
    world = World()
    running = msgspec.structs.replace(READY, role="destination", pms_identifier="DE-999", state="TxRunning")
    world.operators.last = running
    assert (await world.ask("GET", f"{DV1}/lastopensession")).status_code == 403
    response = await world.ask("GET", f"{DV1}/lastopensession", token="operator-token")
    assert response.content_type == DESTINATION_TYPE
    shown = await body_of(response)
    assert (shown["pmsIdentifier"], shown["servicePms"]) == ("DE-999", "NL-MOT")
    assert shown["sessionStateMachine"]["state"] == "TxRunning"


async def test_no_session_is_an_empty_200() -> None:
    response = await World().ask("GET", f"{DV1}/lastopensession", token="operator-token")
    assert response.status_code == 200
    assert await response.get_data() == b""


@pytest.mark.parametrize(
    ("method", "path"), [("POST", f"{SV1}/session"), ("GET", f"{DV1}/lastopensession"), ("GET", "/api/v1/transactions")]
)
async def test_what_belongs_to_an_absent_role_is_not_mounted(method: str, path: str) -> None:
    world = World(source=False, dv1=False)
    assert (await world.ask(method, path, token="operator-token")).status_code == 404
